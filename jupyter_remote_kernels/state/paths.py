"""Where inside a variable the culprit hides: ``model.session``."""

from __future__ import annotations

import types
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_OBJECTS = 50_000
_OPAQUE = (str, bytes, bytearray, int, float, complex, type(None), types.ModuleType)


def find_path(name: str, value: Any, culprit: Any) -> str | None:
    """Return how to reach an object from a variable, by the shortest way.

    Parameters
    ----------
    name : str
        The variable.
    value : object
        Its value.
    culprit : object
        What is looked for.

    Returns
    -------
    str or None
        ``None`` when it is not reached by attributes, items and closures.
    """
    if value is culprit:
        return name
    seen = {id(value)}
    waiting: deque[tuple[str, Any]] = deque([(name, value)])
    while waiting and len(seen) < _MOST_OBJECTS:
        path, holder = waiting.popleft()
        for step, part in _parts(holder):
            if part is culprit:
                return path + step
            if id(part) not in seen and not isinstance(part, _OPAQUE):
                seen.add(id(part))
                waiting.append((path + step, part))
    return None


def _parts(holder: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(holder, dict):
        for key, part in list(holder.items()):
            yield f"[{key!r:.60}]" if isinstance(key, (str, int)) else "[...]", part
    elif isinstance(holder, (list, tuple, deque)):
        for number, part in enumerate(list(holder)[:_MOST_OBJECTS]):
            yield f"[{number}]", part
    elif isinstance(holder, (set, frozenset)):
        for part in list(holder):
            yield "{...}", part
    elif isinstance(holder, types.FunctionType):
        yield from _function_parts(holder)
    elif isinstance(holder, types.MethodType):
        yield ".__self__", holder.__self__
        yield ".__func__", holder.__func__
    attributes = getattr(holder, "__dict__", None)
    if isinstance(attributes, (dict, types.MappingProxyType)):
        for key, part in list(attributes.items()):
            yield f".{key}", part
    for kind in type(holder).__mro__:
        for slot in _slots(kind):
            if isinstance(kind.__dict__.get(slot), types.MemberDescriptorType):
                part = getattr(holder, slot, None)
                if part is not None:
                    yield f".{slot}", part


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _function_parts(function: Any) -> Iterator[tuple[str, Any]]:
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or ()):
        try:
            yield f" (closure: {name})", cell.cell_contents
        except ValueError:
            continue
    for number, part in enumerate(function.__defaults__ or ()):
        yield f".__defaults__[{number}]", part
