"""What is no variable but is saved like one, because it may share objects with variables."""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
import sysconfig
import types
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state import logs, patches, plots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OUTPUT = "Out["
_FIGURE = "pyplot figure "
_LOGGING = "logging settings"
_MAGICS = "magics of the notebook"
_FORMATTERS = "display functions of the notebook"
_CALLBACKS = "callbacks of the notebook"
_PATCHES = "changes to modules"
_MODULE = "in module "
_PACKAGES = re.compile(r"[\\/](site|dist)-packages[\\/]")
EXTRAS = (_OUTPUT, _FIGURE, _LOGGING, _MAGICS, _FORMATTERS, _CALLBACKS, _PATCHES, _MODULE)
# A kernel forked from a source checkout has them loaded; they are no module of the user's.
_OURS = ("jupyter_remote_kernels", "_jrk_")
# What importing a module makes, and nobody changes.
_MADE = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


def list_extras(shell: Any) -> list[tuple[str, Any]]:
    """Return names for a report, and values."""
    found: list[tuple[str, Any]] = [
        (f"{_OUTPUT}{number}]", value) for number, value in list(shell.user_ns["Out"].items())
    ]
    found += [(f"{_FIGURE}{number}", figure) for number, figure in plots.list_figures().items()]
    for name, value in (
        (_LOGGING, logs.read_loggers()),
        (_MAGICS, _list_magics(shell)),
        (_FORMATTERS, _list_formatters(shell)),
        (_CALLBACKS, _list_callbacks(shell)),
        (_PATCHES, patches.list_patches(shell)),
    ):
        if value:
            found.append((name, value))
    return [*found, *_list_module_values()]


def is_extra(name: str) -> bool:
    """Whether a name of a stream stands for something else than a variable."""
    return name.startswith(EXTRAS)


def bind_extra(shell: Any, name: str, value: Any) -> None:
    """Put something back where it was."""
    if name.startswith(_OUTPUT):
        number = int(name[len(_OUTPUT) : -1])
        shell.user_ns["Out"][number] = value
        shell.user_ns[f"_{number}"] = value
    elif name.startswith(_FIGURE):
        plots.restore_figure(int(name[len(_FIGURE) :]), value)
    elif name == _LOGGING:
        logs.restore_loggers(value)
    elif name == _MAGICS:
        for kind, magic, function in value:
            shell.magics_manager.magics[kind][magic] = function
    elif name == _FORMATTERS:
        for mime, kind, function in value:
            shell.display_formatter.formatters[mime].for_type(kind, function)
    elif name == _CALLBACKS:
        for event, function in value:
            shell.events.register(event, function)
    elif name.startswith(_MODULE):
        module, attribute, content = value
        setattr(importlib.import_module(module), attribute, content)
    elif name == _PATCHES:
        for owner, attribute, patch in value:
            setattr(owner, attribute, patch)


def _list_magics(shell: Any) -> list[tuple[str, str, Any]]:
    return [
        (kind, name, function)
        for kind, table in shell.magics_manager.magics.items()
        for name, function in table.items()
        # Asked for an attribute, a magic that is not loaded yet would be.
        if _is_of_notebook(
            shell, function.__func__ if type(function) is types.MethodType else function
        )
    ]


def _list_formatters(shell: Any) -> list[tuple[str, type, Any]]:
    return [
        (mime, kind, function)
        for mime, formatter in shell.display_formatter.formatters.items()
        for kind, function in formatter.type_printers.items()
        if _is_of_notebook(shell, function)
    ]


def _list_callbacks(shell: Any) -> list[tuple[str, Any]]:
    return [
        (event, function)
        for event, functions in shell.events.callbacks.items()
        for function in functions
        if _is_of_notebook(shell, function)
    ]


def _is_of_notebook(shell: Any, value: Any) -> bool:
    return type(value) is types.FunctionType and value.__globals__ is shell.user_ns


def _list_module_values() -> Iterator[tuple[str, Any]]:
    """Find the data in modules that lie beside notebooks, not in what is installed."""
    installed = tuple(
        os.path.join(os.path.realpath(path), "")
        for path in {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix}
    )
    resolve = _make_resolve()

    @functools.cache
    def is_installed(folder: str) -> bool:
        path = os.path.join(resolve(folder), "")
        return path.startswith(installed) or _PACKAGES.search(path) is not None

    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or type(module) is not types.ModuleType or name == "__main__":
            continue
        if name.startswith(_OURS) or is_installed(os.path.dirname(file)):
            continue
        for attribute, value in list(vars(module).items()):
            if not attribute.startswith("__") and not isinstance(value, _MADE):
                yield f"{_MODULE}{name}: {attribute}", (name, attribute, value)


def _make_resolve() -> Callable[[str], str]:
    """Return ``os.path.realpath`` for many folders, most of which lie in each other."""

    @functools.cache
    def resolve(folder: str) -> str:
        above, base = os.path.split(folder)
        if base in ("", ".", "..") or os.path.islink(folder):
            return os.path.realpath(folder)
        return os.path.join(resolve(above), base)

    return resolve
