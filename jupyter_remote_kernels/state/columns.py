"""Columns: the form in which vectors go between languages, as plain memory with a description.

::

    {"type": "f8", "n": 3, "buffers": [0], "missing": 1}

``missing`` is a buffer with a byte for each value, or is absent. Text is UTF-8, each followed by a
zero byte. Times are seconds since 1970 in ``zone``, dates are days, a factor has its ``levels``.
"""

from __future__ import annotations

import array
import datetime
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.attempts import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

# What the other language's integers and doubles can hold; its own mark for missing is left out.
_MOST_INTEGER = 2**31 - 1
_MOST_EXACT = 2**53
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_SECOND = datetime.timedelta(seconds=1)
_CODES = {"i4": "i", "f8": "d", "b1": "B"}


class Columns:
    """Collects the buffers of one value's columns.

    Attributes
    ----------
    buffers : list of bytes-like
        In the order of their numbers.
    """

    def __init__(self) -> None:
        self.buffers: list[Any] = []

    def add(self, data: Any) -> int:
        """Take a buffer and return its number."""
        self.buffers.append(memoryview(data).cast("B"))
        return len(self.buffers) - 1

    def make(self, kind: str, size: int, data: Any, missing: Any = None) -> dict[str, Any]:
        """Return a column of a buffer, and of the marks of what is missing."""
        column = {"type": kind, "n": size, "buffers": [self.add(data)]}
        if missing is not None and any(missing):
            column["missing"] = self.add(bytes(bytearray(missing)))
        return column

    def of_values(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return a column of Python values of one kind; ``None`` is missing.

        Raises
        ------
        Refused
            When they are of several kinds, or of one that has no counterpart.
        """
        kinds = {type(value) for value in values} - {type(None)}
        missing = [value is None for value in values]
        if kinds <= {bool}:
            return self._typed("b1", [int(bool(value)) for value in values], missing)
        if kinds == {int}:
            return self._integers([0 if value is None else value for value in values], missing)
        if kinds <= {int, float}:
            if any(type(value) is int and abs(value) > _MOST_EXACT for value in values):
                raise Refused("it has integers that no double holds exactly")
            return self._typed("f8", [float(value or 0) for value in values], missing)
        if kinds == {str}:
            return self._texts([value or "" for value in values], missing)
        if kinds == {complex}:
            parts = [part for value in values for part in ((value or 0).real, (value or 0).imag)]
            return self.make("c16", len(values), array.array("d", parts), missing)
        if len(kinds) == 1:
            return self._times(kinds.pop(), values, missing)
        raise Refused("its values are of several kinds")

    def _typed(self, kind: str, values: list[Any], missing: list[bool]) -> dict[str, Any]:
        return self.make(kind, len(values), array.array(_CODES[kind], values), missing)

    def _integers(self, values: list[int], missing: list[bool]) -> dict[str, Any]:
        most = max(map(abs, values), default=0)
        if most <= _MOST_INTEGER:
            return self._typed("i4", values, missing)
        if most > _MOST_EXACT:
            raise Refused(f"it has integers beyond {_MOST_EXACT}, which the target cannot hold")
        return self._typed("f8", [float(value) for value in values], missing)

    def _texts(self, values: list[str], missing: list[bool]) -> dict[str, Any]:
        text = "\0".join([*values, ""])
        if text.count("\0") != len(values):
            raise Refused("it has text with a zero character, which the target cannot hold")
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise Refused("it has text with half of a surrogate pair, which is no UTF-8") from None
        return self.make("str", len(values), data, missing)

    def _times(self, kind: type, values: Sequence[Any], missing: list[bool]) -> dict[str, Any]:
        if kind is datetime.date:
            first = _EPOCH.date()
            return self._dates([0 if v is None else (v - first).days for v in values], missing)
        if kind is datetime.datetime:
            zones = {value.tzinfo for value in values if value is not None}
            if len(zones) > 1:
                raise Refused("its times are of several zones")
            zone = zones.pop()
            aware = [v.replace(tzinfo=v.tzinfo or _EPOCH.tzinfo) if v else _EPOCH for v in values]
            seconds = [(value - _EPOCH) / _SECOND for value in aware]
            return {**self._typed("f8", seconds, missing), "type": "time", "zone": name_zone(zone)}
        if kind is datetime.timedelta:
            seconds = [0.0 if value is None else value / _SECOND for value in values]
            return {**self._typed("f8", seconds, missing), "type": "delta"}
        raise Refused(f"values of {kind.__name__} have no counterpart in the target's language")

    def _dates(self, days: list[int], missing: list[bool]) -> dict[str, Any]:
        return {**self._typed("f8", [float(day) for day in days], missing), "type": "date"}

    def factor(self, codes: Any, levels: Sequence[Any], *, is_ordered: bool) -> dict[str, Any]:
        """Return a column of numbers of levels; -1 is missing."""
        texts = [level if type(level) is str else str(level) for level in levels]
        column = self.make("i4", len(codes), array.array("i", codes))
        # A factor has text for levels; what they were is told, for a language that has more.
        return {
            **column,
            "type": "factor",
            "ordered": is_ordered,
            "levels": self.of_values(texts) if texts else self.make("str", 0, b""),
        }

    def of_array(self, values: Any) -> dict[str, Any]:
        """Return a column of a numpy array's values, in Fortran's order."""
        import numpy

        kind = values.dtype.kind
        flat = values.reshape(-1, order="F")
        if kind in "OUS":
            return self.of_values([v.item() if hasattr(v, "item") else v for v in flat.tolist()])
        if kind in "iu":
            most = max(abs(int(flat.min())), abs(int(flat.max()))) if flat.size else 0
            if most > _MOST_EXACT:
                raise Refused(f"it has integers beyond {_MOST_EXACT}, which the target cannot hold")
            form = ("i4", "<i4") if most <= _MOST_INTEGER else ("f8", "<f8")
        elif kind == "b":
            form = ("b1", "u1")
        elif kind == "f" and values.dtype.itemsize <= 8:
            form = ("f8", "<f8")
        elif kind == "c" and values.dtype.itemsize <= 16:
            form = ("c16", "<c16")
        elif kind in "Mm":
            return self.of_moments(flat)
        else:
            raise Refused(f"arrays of {values.dtype} have no counterpart in the target's language")
        return self.make(form[0], flat.size, numpy.ascontiguousarray(flat, dtype=form[1]))

    def of_moments(self, values: Any, zone: str = "UTC") -> dict[str, Any]:
        """Return a column of numpy's times or durations."""
        import numpy

        missing = numpy.isnat(values)
        kind = "time" if values.dtype.kind == "M" else "delta"
        unit = values.astype(f"{values.dtype.kind}8[us]").astype("<i8")
        seconds = numpy.ascontiguousarray(numpy.where(missing, 0, unit) / 1e6)
        column = {**self.make("f8", values.size, seconds, missing), "type": kind}
        return {**column, "zone": zone} if kind == "time" else column


def name_zone(zone: Any) -> str:
    """Return the name of a time zone; times without one count as UTC.

    Raises
    ------
    Refused
        When it has no name that other languages know.
    """
    if zone is None or zone == datetime.timezone.utc:
        return "UTC"
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if not isinstance(name, str):
        raise Refused(f"its time zone {zone} has no name")
    return name
