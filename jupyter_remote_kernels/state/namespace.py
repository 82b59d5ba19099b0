"""Which names are the user's, what they are, and what every kernel has."""

from __future__ import annotations

import importlib
import re
import sys
import types
from typing import Any

from jupyter_remote_kernels.state.attempts import attempt

_PREVIEW_CHARACTERS = 200
# IPython's own, whether or not it lists them as hidden.
_OWN = frozenset({"get_ipython", "exit", "quit", "open"})
# IPython's, which hides them then, unless a cell has used the name for something else.
UNDERSCORES = ("_", "__", "___")
_HISTORY = re.compile(
    r"In|Out|_{1,3}|_i{1,3}|_i?\d+|_(ih|oh|dh|exit_code)"
    r"|__(name|doc|package|loader|spec|builtins?|session)__"
)
_SHOWN_WHOLE = (bool, int, float, complex, str, bytes, type(None))


def find_shell() -> Any:
    """Return the kernel's shell."""
    from IPython import get_ipython

    return get_ipython()


def list_names(shell: Any) -> list[str]:
    """Return the names of the user's variables, in the order in which they were made."""
    hidden = shell.user_ns_hidden
    missing = object()
    return [
        name
        for name, value in list(shell.user_ns.items())
        if isinstance(name, str)
        and name not in _OWN
        and (name in UNDERSCORES or not _HISTORY.fullmatch(name))
        and hidden.get(name, missing) is not value
    ]


def fixed_objects(shell: Any) -> dict[int, tuple[Any, ...]]:
    """Return what every kernel has and what is only named in a stream: id -> persistent id."""
    found: dict[int, tuple[Any, ...]] = {
        id(shell.user_ns): ("namespace",),
        id(shell): ("shell",),
        id(shell.user_module): ("module",),
    }
    if getattr(shell, "kernel", None) is not None:
        found[id(shell.kernel)] = ("kernel",)
    for name in ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"):
        found.setdefault(id(getattr(sys, name)), ("sys", name))
    pandas = sys.modules.get("pandas")
    for name in ("DataFrame", "Series"):
        # A list of the class's, which is in the state of each frame.
        metadata = getattr(getattr(pandas, name, None), "_metadata", None)
        found.setdefault(id(metadata), ("metadata", name))
    found.pop(id(None), None)
    return found


def find_fixed(shell: Any, name: tuple[Any, ...]) -> Any:
    """Return what a stream only names."""
    if name[0] == "namespace":
        return shell.user_ns
    if name[0] == "module":
        return shell.user_module
    if name[0] == "sys":
        return getattr(sys, name[1])
    if name[0] == "metadata":
        return getattr(importlib.import_module("pandas"), name[1])._metadata  # noqa: SLF001
    return shell if name[0] == "shell" else shell.kernel


def type_name(value: Any) -> str:
    """Return a type's name as a user would say it."""
    kind = type(value)
    module = getattr(kind, "__module__", "")
    name = str(getattr(kind, "__qualname__", kind))
    return name if module in ("builtins", "__main__", None) else f"{module}.{name}"


def is_definition(value: Any) -> bool:
    """Whether others may need it while they are loaded."""
    return isinstance(value, (type, types.FunctionType, types.ModuleType))


def preview(value: Any) -> str:
    """Return a short text for a variable, without asking what may be slow or large."""
    shape = getattr(value, "shape", None)
    if isinstance(value, (type, types.FunctionType, types.ModuleType)):
        return f"{type(value).__name__} {getattr(value, '__name__', '')}"[:_PREVIEW_CHARACTERS]
    if isinstance(shape, tuple):
        return f"shape {tuple(shape)}"[:_PREVIEW_CHARACTERS]
    if isinstance(value, (str, bytes)):
        return repr(value[:_PREVIEW_CHARACTERS])[:_PREVIEW_CHARACTERS]
    if isinstance(value, _SHOWN_WHOLE):
        return _short_repr(value)
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        few = len(value) <= 10 and all(isinstance(each, _SHOWN_WHOLE) for each in value)
        if few and (not isinstance(value, dict) or _is_plain(value.values())):
            return _short_repr(value)
        return f"{len(value)} items"
    return ""


def _is_plain(values: Any) -> bool:
    return all(isinstance(each, _SHOWN_WHOLE) for each in values)


def _short_repr(value: Any) -> str:
    text, error = attempt(repr, value)
    return "" if error is not None else text[:_PREVIEW_CHARACTERS]
