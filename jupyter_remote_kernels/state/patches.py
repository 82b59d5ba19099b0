"""Functions of the notebook that were put into modules and into their classes."""

from __future__ import annotations

import gc
import sys
import types
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def list_patches(shell: Any) -> list[tuple[Any, str, Any]]:
    """Return where they are: the module or the class, the attribute, and the function.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's.
    """
    return list(_search(shell.user_ns)) if _may_be_patched(shell) else []


def _may_be_patched(shell: Any) -> bool:
    """Whether a function of the notebook is held by something else than the notebook.

    To look at all that is imported takes tens of milliseconds, and touches what a forked kernel
    still shares with others. The collector knows who refers to the notebook's names: functions do.
    """
    if "free-threading" in sys.version:
        return True  # references are not counted as they come there
    namespace = shell.user_ns
    referrers = gc.get_referrers(namespace)
    if not any(each is shell.user_module for each in referrers):
        return True  # what somebody has frozen is not among them
    functions = [
        each
        for each in referrers
        # What runs a cell is a function as well, which only its frame holds.
        if type(each) is types.FunctionType
        and (each.__code__.co_name == "<lambda>" or each.__code__.co_name[0] != "<")
    ]
    del referrers
    own = [lambda: None]
    spare = _count_references(own)[0]
    known = Counter(_list_held(namespace))
    counts = zip(functions, _count_references(functions))
    return any(count - spare > known[id(function)] for function, count in counts)


def _count_references(functions: list[Any]) -> list[int]:
    # What counting adds depends on the version of Python, and is the same for each of them.
    return [sys.getrefcount(function) for function in functions]


def _list_held(namespace: dict[str, Any]) -> Iterator[int]:
    """Yield the ids of functions as often as the notebook's names and classes hold them."""
    kinds = set()
    for value in list(namespace.values()):
        if type(value) is types.FunctionType:
            yield id(value)
        elif isinstance(value, type) and value.__module__ == "__main__":
            kinds.add(value)
    for kind in kinds:
        yield from (id(each) for each in vars(kind).values() if type(each) is types.FunctionType)


def _search(namespace: dict[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    own = {"__main__", "builtins"}
    # Asked of everything that is imported, so nothing is called for it.
    function = types.FunctionType
    for module_name, module in list(sys.modules.items()):
        if type(module) is not types.ModuleType or module_name in own or module_name[0] == "_":
            continue
        for name, value in list(vars(module).items()):
            if type(value) is function:
                if value.__globals__ is namespace:
                    yield module, name, value
            elif issubclass(type(value), type) and value.__module__ == module_name:
                for attribute, method in list(vars(value).items()):
                    if type(method) is function and method.__globals__ is namespace:
                        yield value, attribute, method
