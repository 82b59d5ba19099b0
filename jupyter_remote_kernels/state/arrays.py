"""numpy arrays: memory out of band whatever the type, views that stay views, global generators."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.texts import reduce_texts

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler

# A view this small is not worth the array that it lies in.
_SMALL_BYTES = 4096


def find_root(array: Any) -> Any:
    """Return the array that owns the memory in which this one lies."""
    import numpy

    while isinstance(array.base, numpy.ndarray):
        array = array.base
    return array


def reduce_array(pickler: StatePickler, array: Any) -> Any:
    """Take an array apart; its memory goes out of band, and is not copied."""
    import numpy

    if type(array) is not numpy.ndarray or array.dtype.itemsize == 0:
        return NotImplemented
    root = find_root(array)
    context = pickler.context
    if pickler.variable and id(root) not in context.unlinked:
        context.note(id(root), root, pickler.variable)
        context.note_view(root, array)
    is_contiguous = array.flags.c_contiguous or array.flags.f_contiguous
    if array is not root and pickler.keeps_views and _is_view(context, root):
        return make_view, _describe_view(array, root)
    order = "C" if array.flags.c_contiguous else "F"
    if array.dtype.hasobject:
        is_simple = array.dtype == object and is_contiguous
        return reduce_texts(pickler, array, order) if is_simple else NotImplemented
    if not is_contiguous:
        # Its own bytes, without what lies between them.
        array = numpy.ascontiguousarray(array)
        order = "C"
    flat = array.reshape(-1, order="A").view(numpy.uint8)
    context.kept.append(flat)
    buffer = pickle.PickleBuffer(flat)
    return make_array, (buffer, array.dtype, array.shape, order, array.flags.writeable)


def _is_view(context: Any, root: Any) -> bool:
    import numpy

    return (
        context.is_shared(root)
        and type(root) is numpy.ndarray
        and (root.flags.c_contiguous or root.flags.f_contiguous)
    )


def _describe_view(array: Any, root: Any) -> tuple[Any, ...]:
    offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return root, array.dtype, array.shape, array.strides, offset, array.flags.writeable


def make_array(buffer: Any, dtype: Any, shape: Any, order: str, writeable: bool) -> Any:
    """Make an array over a buffer that was restored."""
    import numpy

    # Not a type that is only equal: numpy would make another array whenever one is asked for.
    if dtype.kind in "biufc" and dtype.isnative:
        dtype = numpy.dtype(dtype.char)
    array = numpy.frombuffer(buffer, dtype=numpy.uint8).view(dtype).reshape(shape, order=order)
    if not writeable and array.flags.writeable:
        array.flags.writeable = False
    return array


def make_view(root: Any, dtype: Any, shape: Any, strides: Any, offset: int, writeable: bool) -> Any:
    """Make an array that lies in the memory of another one."""
    import numpy

    if dtype.hasobject:
        flat = root.reshape(-1, order="A")[offset // root.dtype.itemsize :]
        view = numpy.lib.stride_tricks.as_strided(flat, shape, strides)
    else:
        view = numpy.ndarray(shape, dtype, root, offset, strides)
    if not writeable and view.flags.writeable:
        view.flags.writeable = False
    return view


def reduce_random_state(_pickler: StatePickler, state: Any) -> Any:
    """Name numpy's global generator, which many objects hold and which links none of them."""
    if state is sys.modules["numpy.random.mtrand"]._rand:  # noqa: SLF001 - it has no other name
        return find_random_state, ()
    return NotImplemented


def find_random_state() -> Any:
    """Return numpy's global generator."""
    import numpy.random.mtrand

    return numpy.random.mtrand._rand  # noqa: SLF001
