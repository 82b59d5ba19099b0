"""Pythons of several versions, each with pandas; ``scripts/test contract`` makes them."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.engines.tools import give_up

VERSIONS = ("3.9", "3.11", "3.13")
_FOLDER = Path(__file__).parents[2] / ".cache" / "versions"
_OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


def find_pythons():
    """Return version -> interpreter, or skip the test when one is missing."""
    found = {version: _find_python(version) for version in VERSIONS}
    missing = [version for version, python in found.items() if python is None]
    if missing:
        give_up(f"no Python {', '.join(missing)} with pandas: scripts/test contract makes them")
    return found


def _find_python(version):
    python = _FOLDER / version / "bin" / "python"
    return str(python) if python.exists() else sys.executable if version == _OWN else None
