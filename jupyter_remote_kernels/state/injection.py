"""How all this gets into a kernel: one piece of code, nothing installed, nothing left behind.

This module runs on the host; what it sends runs in kernels. The sources travel compressed in
the code of one silent request. There they are modules of a private package, found by an importer
that holds their text, so that a kernel compiles only what it needs.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib
import importlib.resources
import json
import os
import pathlib
import sys
import zlib
from typing import Any

_PACKAGE = "_jrk_state"
_OWN = "jupyter_remote_kernels"
_HOST_ONLY = ("__init__", "injection")
_LOADER = """
import importlib.abc, importlib.util, sys

class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def __init__(self, sources, fingerprint):
        self.sources = sources
        self.fingerprint = fingerprint
    def find_spec(self, name, path=None, target=None):
        if name in self.sources:
            return importlib.util.spec_from_loader(name, self, is_package=name == PACKAGE)
    def get_source(self, name):
        return self.sources[name]

def install(sources, fingerprint):
    for finder in list(sys.meta_path):
        if getattr(finder, "sources", {}).get(PACKAGE) is not None:
            if finder.fingerprint == fingerprint:
                return
            sys.meta_path.remove(finder)
            for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
                del sys.modules[name]
    sys.meta_path.insert(0, Sources(sources, fingerprint))
"""


@functools.cache
def make_source() -> str:
    """Return the code that brings the modules into a kernel; running it again does nothing."""
    sources = _read_sources()
    text = json.dumps(sources)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    program = f"PACKAGE = {_PACKAGE!r}\n{_LOADER}\nimport json\n"
    program += f"install(json.loads({text!r}), {fingerprint!r})\n"
    packed = base64.b85encode(zlib.compress(program.encode(), 9)).decode("ascii")
    return (
        "__import__('builtins').exec(__import__('zlib').decompress("
        f"__import__('base64').b85decode('{packed}')).decode(), "
        f"{{'__name__': '{_PACKAGE}_loader'}})"
    )


def bring() -> None:
    """Bring the modules into this process, whose forks are kernels: they have them from birth.

    Raises
    ------
    ImportError
        When something is missing that they need. Then each kernel is sent them at its first call.
    """
    before = set(sys.modules)
    exec(make_source(), {})  # noqa: S102 - our own text
    for name in _read_sources():
        importlib.import_module(name)
    # Its text was found by importing it, but in the kernel the user's own one comes first.
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "cloudpickle":
            del sys.modules[name]


def make_call(address: str, token: str) -> str:
    """Return the code of one whole request: bring the modules, then do one operation.

    Parameters
    ----------
    address : str
        Path of the Unix socket where the host listens.
    token : str
        What the kernel says first.
    """
    call = f"__import__('{_PACKAGE}.entry').entry.serve({address!r}, {token!r})"
    return f"{make_source()}\n{call}"


def _read_sources() -> dict[str, str]:
    sources = {_PACKAGE: '"""State of this kernel; private."""\n'}
    # importlib.resources reads from a zip archive too, which is how the agent travels.
    for entry in importlib.resources.files(f"{_OWN}.state").iterdir():
        name, _, ending = entry.name.rpartition(".")
        if ending == "py" and name not in _HOST_ONLY:
            sources[f"{_PACKAGE}.{name}"] = _rename(entry.read_text(encoding="utf-8"))
    package = importlib.resources.files(_OWN)
    for name, entry in (
        ("state_stream", package / "protocol" / "state_stream.py"),
        ("errors", package / "errors.py"),
        ("cloudpickle", _find_cloudpickle()),
    ):
        sources[f"{_PACKAGE}.{name}"] = _rename(entry.read_text(encoding="utf-8"))
    return sources


def _find_cloudpickle() -> Any:
    # Who starts us in another Python puts the one that we know beside us.
    for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        own = pathlib.Path(folder, "cloudpickle_source", "cloudpickle.py")
        if own.exists():
            return own
    return importlib.resources.files("cloudpickle") / "cloudpickle.py"


def _rename(source: str) -> str:
    for old, new in (
        (f"{_OWN}.state", _PACKAGE),
        (f"{_OWN}.protocol", _PACKAGE),
        (f"from {_OWN}.errors", f"from {_PACKAGE}.errors"),
        ("from cloudpickle import", f"from {_PACKAGE} import"),
    ):
        source = source.replace(old, new)
    return source
