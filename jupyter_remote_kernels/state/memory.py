"""Mapped memory, and what ctypes lays over memory."""

from __future__ import annotations

import mmap
import operator
import os
import pickle
from typing import TYPE_CHECKING, Any

from cloudpickle import cloudpickle

from jupyter_remote_kernels.state.addresses import address_of
from jupyter_remote_kernels.state.attempts import Refused

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler


def reduce_mmap(_pickler: StatePickler, memory: mmap.mmap) -> Any:
    """Take mapped memory apart: the file that it maps, or its content when there is none."""
    if memory.closed:
        raise Refused("it is closed", memory)
    view = memoryview(memory)
    state = memory.tell()
    mapped = _find_mapping(view) if len(view) else None
    if mapped is None:
        content = pickle.PickleBuffer(bytearray(view) if view.readonly else view)
        return make_anonymous, (content, state)
    path, offset, is_shared = mapped
    access = mmap.ACCESS_READ if view.readonly else mmap.ACCESS_WRITE
    if not is_shared and not view.readonly:
        # A private copy of a file may differ from it.
        return make_anonymous, (pickle.PickleBuffer(view), state)
    if not view.readonly:
        memory.flush()
    return open_mapping, (path, len(view), access, offset, state)


def _find_mapping(view: memoryview) -> tuple[str, int, bool] | None:
    """Return path, offset and sharing of the file at an address (Linux only)."""
    address = address_of(view)
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            lines = maps.readlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split(maxsplit=5)
        start, end = (int(part, 16) for part in fields[0].split("-"))
        if start <= address < end:
            path = fields[5].rstrip("\n") if len(fields) > 5 else ""
            if os.path.isfile(path):
                return path, int(fields[2], 16) + address - start, fields[1].endswith("s")
    return None


def make_anonymous(content: Any, position: int) -> mmap.mmap:
    """Make memory that maps no file, with its content."""
    view = memoryview(content).cast("B")
    memory = mmap.mmap(-1, len(view))
    memory[:] = view
    memory.seek(position)
    return memory


def open_mapping(path: str, size: int, access: int, offset: int, position: int) -> mmap.mmap:
    """Map a file again."""
    mode = "rb" if access == mmap.ACCESS_READ else "r+b"
    with open(path, mode) as file:
        memory = mmap.mmap(file.fileno(), size, access=access, offset=offset)
    memory.seek(position)
    return memory


def reduce_array_type(_pickler: StatePickler, kind: Any) -> Any:
    """Take the type of a ctypes array apart: it belongs to no module."""
    return operator.mul, (kind._type_, kind._length_)


def reduce_structure_type(_pickler: StatePickler, kind: Any) -> Any:
    """Take a structure or union of the notebook apart; its fields are made from their list."""
    if cloudpickle._should_pickle_by_reference(kind):  # noqa: SLF001 - the seam it has
        return NotImplemented
    token = cloudpickle._get_or_create_tracker_id(kind)  # noqa: SLF001
    fields = kind.__dict__.get("_fields_", ())
    made_anew = {"_fields_", "__dict__", "__weakref__", *(field[0] for field in fields)}
    # What decides how the fields lie has to be there before they are.
    layout = {name: kind.__dict__[name] for name in ("_pack_", "_anonymous_") if name in vars(kind)}
    rest = {name: each for name, each in vars(kind).items() if name not in {*made_anew, *layout}}
    made = (token, kind.__name__, kind.__bases__, layout)
    return make_structure_type, made, (fields, rest), None, None, finish_structure_type


def make_structure_type(
    token: str, name: str, bases: tuple[Any, ...], layout: dict[str, Any]
) -> Any:
    """Make a structure type, or return the one that an earlier group made."""
    # ctypes shows its metaclasses nowhere else.
    made = type(bases[0])(name, bases, dict(layout))
    return cloudpickle._lookup_class_or_track(token, made)  # noqa: SLF001


def finish_structure_type(kind: Any, state: tuple[Any, dict[str, Any]]) -> None:
    """Give a structure type its attributes and then its fields, once."""
    fields, rest = state
    for name, value in rest.items():
        setattr(kind, name, value)
    if "_fields_" not in vars(kind):
        kind._fields_ = fields
