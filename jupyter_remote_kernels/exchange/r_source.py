"""The code of one call in an R kernel."""

from __future__ import annotations

import functools
import importlib.resources

# In the order in which they are put together.
_SOURCES = ("wire.R", "columns.R", "state.R")


def make_r_call(read_path: str, write_path: str, token: str) -> str:
    """Return the code of one call.

    Parameters
    ----------
    read_path, write_path : str
        The pipes from which the kernel reads and to which it writes.
    token : str
        What the kernel says first.
    """
    body = _read_source()
    for name, value in (("@FROM@", read_path), ("@TO@", write_path)):
        body = body.replace(name, _quote(value))
    body = body.replace("@TOKEN@", token)
    # An environment of its own: nothing is left behind.
    return f"suppressWarnings(local({{\n{body}\ninvisible(NULL)\n}}))"


@functools.cache
def _read_source() -> str:
    # importlib.resources reads from a zip archive too, which is how the agent travels.
    folder = importlib.resources.files("jupyter_remote_kernels.exchange")
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in _SOURCES)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
