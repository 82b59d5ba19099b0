"""Large containers of plain values: asked about in bulk, and saved in batches.

A pickler remembers every list and every text that it has written, and a table of millions of them
is most of what pickling costs. What is a tree needs that only for constants, so that it is written
as many small pickles, one after the other, each with a table of its own.

::

    stream = BATCHED, then pickles of: (empty container, key) which opens a container,
             None which closes it, or a container whose items go into the open one
"""

from __future__ import annotations

import gc
import itertools
import pickle
import sys
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.attempts import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_remote_kernels.state.pickling import Sink

# No pickle begins so.
BATCHED = b"JRKB"
_CONTAINERS = (list, dict, set)
# Smaller ones are pickled as fast in the ordinary way.
_FEWEST_ITEMS = 1000
_DEEPEST = 3
# So many are asked at once, so that little memory is needed beside them.
_SLICE_ITEMS = 1 << 17
# The table for so many objects stays in the processor's cache.
_BATCH_OBJECTS = 8000
# What is shared by many batches is written in each; that may be a key, but not a book.
_BATCH_BYTES = 1 << 20
_ATOMS = frozenset({int, float, str, bytes, bool, type(None), complex, list, set})
_WITH_DICTIONARIES = _ATOMS | {dict, tuple}
_HOLDERS = frozenset({list, dict, set, tuple})


class PlainPickler(pickle.Pickler):
    """Pickles plain values at full speed, and stops at anything else."""

    def reducer_override(self, obj: Any) -> Any:
        """Stop: only what is no plain value comes here."""
        raise Refused("it is not plain", obj)


class PlainUnpickler(pickle.Unpickler):
    """Loads plain values, for which nothing has to be found by its name."""

    def find_class(self, module: str, name: str) -> Any:
        """Stop: a plain value names nothing."""
        raise Refused(f"{module}.{name} is not plain")


def is_plain_tree(value: Any) -> bool:
    """Whether a value is large, holds nothing but plain values, and shares no container.

    Everything is asked in bulk: a question for each of a million lists would cost more than to
    pickle them. Containers that only their parent holds cannot be shared with a variable.
    """
    if not _is_large(value):
        return False
    level: list[Any] = [value]
    most = _references_of_one_parent()
    while level:
        holders: list[Any] = []
        for start in range(0, len(level), _SLICE_ITEMS):
            found = _find_holders(level[start : start + _SLICE_ITEMS])
            if found is None:
                return False
            holders += found
            del found
        level = holders
        if level and max(map(sys.getrefcount, level)) > most and _is_shared(level, most):
            return False
    return True


def _find_holders(things: list[Any]) -> list[Any] | None:
    """Return what these hold that can hold others; None when something is not plain."""
    parts = gc.get_referents(*things)
    kinds = set(map(type, parts))
    if kinds.isdisjoint(_HOLDERS):
        return [] if kinds <= _ATOMS else None
    if kinds <= _ATOMS:
        return list(filter(gc.is_tracked, parts))
    if kinds <= _WITH_DICTIONARIES:
        # The collector does not track all of these, so that each has to be looked at.
        return [part for part in parts if type(part) in _HOLDERS]
    return None


def dump_plain(value: Any, sink: Sink) -> None:
    """Write a plain tree.

    Raises
    ------
    Refused
        When it is none after all.
    """
    pickler = PlainPickler(sink, protocol=5)
    sink.write(BATCHED)
    for part in _cut(value, None):
        before = sink.size
        pickler.dump(part)
        pickler.clear_memo()
        if sink.size - before > _BATCH_BYTES:
            # Where few parts are that large, one table for all of them costs nothing.
            sink.clear()
            pickler.dump(value)
            return


def is_batched(stream: Any) -> bool:
    """Whether a stream was written by :func:`dump_plain`."""
    return bytes(memoryview(stream)[: len(BATCHED)]) == BATCHED


def load_plain(file: Any) -> Any:
    """Load what :func:`dump_plain` has written.

    Parameters
    ----------
    file : object
        Read as :func:`pickle.load` does, from behind the first bytes.
    """
    opened: list[Any] = []
    while True:
        part = PlainUnpickler(file).load()
        if part is None:
            made = opened.pop()
            if not opened:
                return made
        elif type(part) is tuple:
            made, key = part
            if opened and type(opened[-1]) is dict:
                opened[-1][key] = made
            elif opened:
                opened[-1].append(made)
            opened.append(made)
        elif type(part) is list:
            opened[-1].extend(part)
        else:
            opened[-1].update(part)


def _is_large(value: Any, depth: int = _DEEPEST) -> bool:
    """Whether a value is a large container, or has one within a few levels."""
    if type(value) not in _CONTAINERS:
        return False
    if len(value) >= _FEWEST_ITEMS:
        return True
    items = value.values() if type(value) is dict else value
    return depth > 0 and any(_is_large(item, depth - 1) for item in items)


def _cut(value: Any, key: Any) -> Iterator[Any]:
    """Cut a container into what is written for it."""
    kind = type(value)
    yield kind(), key
    if len(value) < _FEWEST_ITEMS:
        # Each of its large items is cut itself.
        for name, item in value.items() if kind is dict else ((None, item) for item in value):
            if _is_large(item):
                yield from _cut(item, name)
            else:
                yield {name: item} if kind is dict else [item]
    else:
        items = iter(value.items() if kind is dict else value)
        size = _suit(value)
        while batch := kind(itertools.islice(items, size)):
            size = _suit(batch)
            yield batch
    yield None


def _suit(items: Any) -> int:
    """Return of how many items the next batch should be, to judge by the first one of these."""
    first = next(iter(items.values() if type(items) is dict else items))
    objects = len(first) if type(first) in _HOLDERS else 1
    return max(1, min(2 * _FEWEST_ITEMS, _BATCH_OBJECTS // (objects + 1)))


def _is_shared(level: list[Any], most: int) -> bool:
    """Whether a container has several parents; constants may have, when they hold none."""
    counts = list(map(sys.getrefcount, level))
    return any(
        count > most and (type(part) is not tuple or not _HOLDERS.isdisjoint(map(type, part)))
        for count, part in zip(counts, level)
    )


def _references_of_one_parent() -> int:
    """Return what the interpreter counts for an object with one parent, asked in the same way."""
    parent: list[Any] = [[[]]]
    parts = gc.get_referents(*parent)
    level = list(filter(gc.is_tracked, parts))
    del parts
    return max(map(sys.getrefcount, level))
