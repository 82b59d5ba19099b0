"""Arrays of Python objects that are texts: a few large buffers instead of millions of objects.

::

    array = slices of a quarter of a million items
    slice = (kind, buffers, labels, others)
        split    one text, cut at a separator
        lengths  one text, and how long each item is
        labels   for each item the number of its label
    others = items that are no texts: (object, the places where it is)

A group's record names the buffers that are split at separators. So these become texts while the
others are still read and checked, before anything of the group is unpickled.
"""

from __future__ import annotations

import itertools
import math
import pickle
import re
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.addresses import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_remote_kernels.state.pickling import StatePickler

# Smaller arrays are pickled as fast in the ordinary way.
_FEWEST_ITEMS = 1000
# So many are looked at together, so that little memory is needed beside the array.
_SLICE_ITEMS = 1 << 18
_SAMPLE_ITEMS = 1 << 16
# So many distinct texts of a sample say that hardly any is there twice.
_DISTINCT = 0.9
# So few say that a number for each is shorter.
_LABELLED = 0.25
_SEPARATOR = "\0"
_find_separator = re.compile(_SEPARATOR.encode()).search
_PIECE_BYTES = 1 << 16
# What stands for a missing text; these are pickled as they are, but not too many different ones.
_OTHERS = frozenset({"NoneType", "float", "NAType", "NaTType", "bool"})
_MOST_OTHERS = 100

# Texts that were made ahead, by where what they were made of lies, and how much that is.
_ahead: dict[tuple[int, int], list[list[str]]] = {}

# Kind, buffers, labels, others.
_Slice = tuple[str, list[Any], list[str], list[tuple[Any, Any]]]


def reduce_texts(pickler: StatePickler, array: Any, order: str) -> Any:
    """Take an array of objects apart when nearly all of them are texts.

    Parameters
    ----------
    pickler : StatePickler
        Keeps what is made for the stream.
    array : numpy.ndarray
        Of objects, contiguous.
    order : str
        Which way it is.
    """
    if array.size < _FEWEST_ITEMS:
        return NotImplemented
    flat = array.reshape(-1, order="A")
    sample = flat[:: -(-flat.size // _SAMPLE_ITEMS)].tolist()
    texts = list(filter(_is_text, sample))
    distinct = len(set(texts)) / max(len(texts), 1)
    repeats = distinct < _DISTINCT
    slices = []
    for start in range(0, flat.size if texts else 0, _SLICE_ITEMS):
        items = flat[start : start + _SLICE_ITEMS].tolist()
        made = _encode(items, labels=distinct < _LABELLED)
        if made is None:
            return NotImplemented
        slices.append(made)
        if made[0] == "split":
            pickler.texts.add(address_of(made[1][0].raw()))
    if not slices:
        return NotImplemented
    pickler.context.kept.append(slices)
    return make_texts, (slices, array.shape, order, array.flags.writeable, repeats)


def make_texts(
    slices: list[_Slice], shape: Any, order: str, writeable: bool, repeats: bool
) -> Any:  # fmt: skip
    """Make an array of texts."""
    import numpy

    flat = numpy.empty(math.prod(shape), dtype=object)
    # Texts that are equal were mostly one object, and need not become many.
    known: dict[str, str] = {}
    start = 0
    for kind, buffers, labels, others in slices:
        end = start
        for found in _decode(kind, buffers, labels, known if repeats else None):
            flat[end : end + len(found)] = found
            end += len(found)
        items = flat[start:end]
        for thing, places in others:
            items[numpy.frombuffer(places, numpy.uint32)] = thing
        start = end
    array = flat.reshape(shape, order=order)
    array.flags.writeable = writeable
    return array


def make_ahead(data: memoryview) -> None:
    """Make the texts of a buffer; whoever unpickles what they are for finds them made."""
    _ahead[address_of(data), data.nbytes] = list(_split(data))


def forget_ahead() -> None:
    """Forget the texts that nobody has asked for."""
    _ahead.clear()


def _is_text(item: Any) -> bool:
    return type(item) is str


def _encode(items: list[Any], *, labels: bool) -> _Slice | None:
    import numpy

    others: list[tuple[Any, Any]] = []
    kinds = set(map(type, items)) - {str}
    if kinds:
        if any(kind.__name__ not in _OTHERS for kind in kinds):
            return None
        found = _take_others(items)
        if found is None:
            return None
        others = found
    if labels:
        numbers = dict(zip(dict.fromkeys(items), itertools.count()))
        if len(numbers) <= min(1 << 16, len(items) // 4):
            places = numpy.fromiter(map(numbers.__getitem__, items), numpy.uint16, len(items))
            return "labels", [_as_buffer(places)], list(numbers), others
    text = _SEPARATOR.join(items)
    if text.count(_SEPARATOR) == len(items) - 1:
        return "split", [pickle.PickleBuffer(_to_bytes(text))], [], others
    lengths = numpy.fromiter(map(len, items), numpy.uint32, len(items))
    text = "".join(items)
    return "lengths", [pickle.PickleBuffer(_to_bytes(text)), _as_buffer(lengths)], [], others


def _take_others(items: list[Any]) -> list[tuple[Any, Any]] | None:
    """Take what is no text out of a slice, which has empty texts there then."""
    import numpy

    places: dict[int, tuple[Any, list[int]]] = {}
    for number in [n for n, kind in enumerate(map(type, items)) if kind is not str]:
        item = items[number]
        places.setdefault(id(item), (item, []))[1].append(number)
        items[number] = ""
        if len(places) > _MOST_OTHERS:
            return None
    return [
        (item, _as_buffer(numpy.array(numbers, numpy.uint32))) for item, numbers in places.values()
    ]


def _decode(
    kind: str, buffers: list[Any], labels: list[str], known: dict[str, str] | None
) -> Iterator[Any]:
    """Yield the texts of a slice, in order; equal ones are one object where those are known."""
    import numpy

    if kind == "labels":
        words = numpy.array(_unite(labels, known), dtype=object)
        yield words[numpy.frombuffer(buffers[0], numpy.uint16)]
        return
    data = memoryview(buffers[0]).cast("B")
    if kind == "split":
        ahead = _ahead.pop((address_of(data), data.nbytes), None)
        for found in _split(data) if ahead is None else ahead:
            yield _unite(found, known)
        return
    text = _to_text(data)
    ends = numpy.cumsum(numpy.frombuffer(buffers[1], numpy.uint32), dtype=numpy.int64).tolist()
    yield _unite([text[start:end] for start, end in zip([0, *ends], ends)], known)


def _split(data: memoryview) -> Iterator[list[str]]:
    for piece in _cut(data):
        yield _to_text(piece).split(_SEPARATOR)


def _unite(found: list[str], known: dict[str, str] | None) -> list[str]:
    return found if known is None else list(map(known.setdefault, found, found))


def _cut(data: memoryview) -> Iterator[memoryview]:
    """Cut at separators: small pieces stay near the processor, and other threads get their turn."""
    start = 0
    while (found := _find_separator(data, start + _PIECE_BYTES)) is not None:
        yield data[start : found.start()]
        start = found.end()
    yield data[start:]


def _to_text(data: memoryview) -> str:
    return str(data, "utf-8", "surrogatepass")


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _as_buffer(array: Any) -> pickle.PickleBuffer:
    import numpy

    return pickle.PickleBuffer(array.view(numpy.uint8))
