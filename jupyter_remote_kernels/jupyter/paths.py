"""Where our files lie, from Jupyter's own directories."""

from __future__ import annotations

from pathlib import Path

from jupyter_core.paths import jupyter_data_dir


def state_directory() -> Path:
    """Return the directory of registry, runtimes and kernelspecs: one per user."""
    return Path(jupyter_data_dir()) / "remote_kernels"
