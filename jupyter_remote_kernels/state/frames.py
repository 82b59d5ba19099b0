"""Data frames: Arrow memory out of band for pandas strings and polars, no links by an index."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.attempts import attempt

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler


def reduce_index(pickler: StatePickler, index: Any) -> Any:
    """Leave an index to pandas, but let nothing be linked by its arrays."""
    import numpy

    from jupyter_remote_kernels.state.arrays import find_root

    # Asking a range for its data would make them.
    parts = [getattr(index, "__dict__", {}).get("_data"), *(getattr(index, "_codes", None) or ())]
    for part in parts:
        array = getattr(part, "_ndarray", part)
        if isinstance(array, numpy.ndarray):
            root = find_root(array)
            pickler.context.unlinked.add(id(root))
            pickler.context.kept.append(root)
    if type(index).__name__ in ("DatetimeIndex", "TimedeltaIndex"):
        make, (kind, facts) = index.__reduce__()[:2]
        if "freq" in facts:
            return make_dated_index, (make, kind, facts)
    return NotImplemented


def make_dated_index(make: Any, kind: Any, facts: dict[str, Any]) -> Any:
    """Make an index of times; older versions of pandas keep its frequency with the times."""
    data = facts["data"]
    if hasattr(data, "_freq"):
        frequency = facts.pop("freq")
        facts["data"] = data = data.view()
        data._freq = frequency  # noqa: SLF001 - as those versions do
    return make(kind, facts)


def reduce_arrow_array(_pickler: StatePickler, array: Any) -> Any:
    """Take a pandas array in Arrow memory apart without joining its chunks first."""
    state = getattr(array, "__dict__", None)
    if not state or "_pa_array" not in state:
        return NotImplemented
    import pandas

    state = {name: value for name, value in state.items() if name != "_cache"}
    kind = f"{type(array).__module__}.{type(array).__qualname__}"
    return make_arrow_array, (kind, pandas.__version__, array.dtype, state)


def make_arrow_array(kind: str, version: str, dtype: Any, state: dict[str, Any]) -> Any:
    """Make a pandas array over Arrow memory; another version of pandas makes its own kind."""
    import pandas

    if version != pandas.__version__:
        return dtype.__from_arrow__(state["_pa_array"])
    module, _, name = kind.rpartition(".")
    found: Any = getattr(importlib.import_module(module), name)
    made = found.__new__(found)
    made.__dict__.update(state)
    made.__dict__["_cache"] = {}
    return made


def reduce_backed_array(_pickler: StatePickler, array: Any) -> Any:
    """Give the state of a pandas array the form that each version of pandas reads."""
    reduced = array.__reduce_ex__(5)
    if len(reduced) > 2 and isinstance(reduced[2], tuple) and len(reduced[2]) == 2:
        return (*reduced[:2], (*reduced[2], {}), *reduced[3:])
    return reduced


def reduce_zone(_pickler: StatePickler, zone: Any) -> Any:
    """Take a time zone of pytz apart, which newer versions of pandas come without."""
    make, arguments = zone.__reduce__()
    return make_zone, (zone.zone, make.__name__, arguments)


def make_zone(name: str, maker: str, arguments: tuple[Any, ...]) -> Any:
    """Make a time zone."""
    if "pytz" in sys.modules or importlib.util.find_spec("pytz"):
        return getattr(importlib.import_module("pytz"), maker)(*arguments)
    import zoneinfo

    return zoneinfo.ZoneInfo(name)


def reduce_polars(_pickler: StatePickler, frame: Any) -> Any:
    """Take a polars frame or series apart into Arrow buffers, where this loses nothing."""
    table, error = attempt(_to_arrow, frame)
    if error is not None:
        return NotImplemented
    if hasattr(frame, "schema"):
        return make_polars, (table, "")
    return make_polars, (table, frame.name)


def _to_arrow(frame: Any) -> Any:
    import polars

    table = frame.to_arrow(compat_level=polars.CompatLevel.newest())
    back = polars.from_arrow(table)
    # Types that Arrow does not have come back as others; polars itself knows what to do then.
    same = back.schema == frame.schema if hasattr(frame, "schema") else back.dtype == frame.dtype
    if not same:
        raise TypeError("it has a type that Arrow does not have")
    return table


def make_polars(table: Any, name: str) -> Any:
    """Make a frame, or a series with its name, over restored Arrow buffers."""
    import polars

    made: Any = polars.from_arrow(table)
    return made.alias(name) if isinstance(made, polars.Series) else made
