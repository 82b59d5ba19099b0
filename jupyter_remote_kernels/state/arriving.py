"""Values from a kernel of another language, made of what libraries this kernel has."""

from __future__ import annotations

import array
import datetime
import importlib.util
import json
from typing import Any

from jupyter_remote_kernels.errors import InvalidInput

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_FORMS = {"f8": "<f8", "i4": "<i4", "b1": "u1", "c16": "<c16"}


def make_plain_value(stream: Any, buffers: list[Any]) -> Any:
    """Make a value of its description and its buffers.

    Raises
    ------
    InvalidInput
        When the description is none.
    """
    try:
        facts = json.loads(bytes(stream))
        return _Arriving(buffers).make(facts)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InvalidInput(f"A plain value cannot be read: {error!r}") from error


class _Arriving:
    def __init__(self, buffers: list[Any]) -> None:
        self._buffers = buffers
        self._has_numpy = importlib.util.find_spec("numpy") is not None
        self._has_pandas = self._has_numpy and importlib.util.find_spec("pandas") is not None

    def make(self, facts: dict[str, Any]) -> Any:
        form = facts["form"]
        if form == "nothing":
            return None
        if form == "bytes":
            return bytes(self._buffers[facts["buffer"]])
        if form == "scalar":
            return self._list(facts["column"])[0]
        if form == "list":
            items = [self.make(each) for each in facts["items"]]
            names = facts.get("names")
            return items if names is None else dict(zip(self._list(names), items))
        return self._frame(facts) if form == "frame" else self._vector(facts)

    def _vector(self, facts: dict[str, Any]) -> Any:
        column = facts["column"]
        if facts.get("names") is not None:
            names = self._list(facts["names"])
            if self._has_pandas:
                import pandas

                return pandas.Series(self._pandas(column), index=names)
            return dict(zip(names, self._list(column)))
        shape = facts.get("shape")
        if shape is not None and self._has_numpy:
            return self._numpy(column).reshape(shape, order="F")
        if column["type"] == "factor" and self._has_pandas:
            return self._pandas(column)
        if column["type"] in _FORMS and "missing" not in column and self._has_numpy:
            return self._numpy(column)
        values = self._list(column)
        return values if shape is None else {"values": values, "shape": shape}

    def _frame(self, facts: dict[str, Any]) -> Any:
        columns, rows = facts["columns"], facts["rows"]
        if not self._has_pandas:
            return {column["name"]: self._list(column) for column in columns}
        import pandas

        index = facts.get("row_names")
        labels = pandas.RangeIndex(rows) if index is None else self._list(index)
        # One after the other, since several may have one name.
        series = [pandas.Series(self._pandas(column), index=labels) for column in columns]
        if not series:
            return pandas.DataFrame(index=labels)
        frame = pandas.concat(series, axis=1)
        frame.columns = pandas.Index([column["name"] for column in columns])
        return frame

    def _missing(self, column: dict[str, Any]) -> list[bool]:
        number = column.get("missing")
        if number is None:
            return [False] * int(column["n"])
        return [bool(mark) for mark in bytes(self._buffers[number])]

    def _numpy(self, column: dict[str, Any]) -> Any:
        import numpy

        kind = column["type"]
        if kind in _FORMS and "missing" not in column:
            flat = numpy.frombuffer(self._buffers[column["buffers"][0]], dtype=_FORMS[kind])
            return flat.astype(bool) if kind == "b1" else flat
        return numpy.array(self._list(column), dtype=object)

    def _pandas(self, column: dict[str, Any]) -> Any:
        """Return what a series is made of."""
        import numpy
        import pandas

        kind = column["type"]
        if kind == "factor":
            dtype = pandas.CategoricalDtype(self._list(column["levels"]), bool(column["ordered"]))
            codes = numpy.frombuffer(self._buffers[column["buffers"][0]], dtype="<i4")
            return pandas.Categorical.from_codes(codes, dtype=dtype)
        if kind in ("time", "delta"):
            return self._moments(column)
        if kind in ("i4", "b1", "f8") and "missing" in column:
            values = numpy.frombuffer(self._buffers[column["buffers"][0]], dtype=_FORMS[kind])
            mask = numpy.array(self._missing(column))
            if kind == "f8":
                return numpy.where(mask, numpy.nan, values)
            name = "boolean" if kind == "b1" else "Int32"
            made = pandas.array(values.astype(bool) if kind == "b1" else values, dtype=name)
            made[mask] = pandas.NA
            return made
        if kind in _FORMS:
            return self._numpy(column)
        return numpy.array([*self._list(column), None], dtype=object)[:-1]

    def _moments(self, column: dict[str, Any]) -> Any:
        import numpy
        import pandas

        seconds = numpy.frombuffer(self._buffers[column["buffers"][0]], dtype="<f8")
        unit = numpy.where(self._missing(column), 0, seconds) * 1e6
        micros = numpy.round(unit).astype("<i8")
        values = micros.astype("m8[us]" if column["type"] == "delta" else "M8[us]")
        values[numpy.array(self._missing(column), dtype=bool)] = "NaT"
        made = pandas.Series(values)
        if column["type"] == "time":
            made = made.dt.tz_localize("UTC").dt.tz_convert(column["zone"])
        return made.array

    def _list(self, column: dict[str, Any]) -> list[Any]:
        """Return the values of a column as Python's own."""
        kind, missing = column["type"], self._missing(column)
        data = self._buffers[column["buffers"][0]]
        values: list[Any]
        if kind == "str":
            values = bytes(data).decode().split("\0")[:-1]
        elif kind == "factor":
            levels = self._list(column["levels"])
            codes = array.array("i", bytes(data))
            return [None if code < 0 else levels[code] for code in codes]
        elif kind == "i4":
            values = array.array("i", bytes(data)).tolist()
        elif kind == "b1":
            values = [bool(each) for each in bytes(data)]
        elif kind == "c16":
            parts = array.array("d", bytes(data))
            values = [complex(*pair) for pair in zip(parts[::2], parts[1::2])]
        else:
            values = self._from_seconds(column, array.array("d", bytes(data)).tolist(), missing)
        if len(values) != column["n"] or len(missing) != column["n"]:
            raise ValueError("a column of another length")
        return [None if gone else value for value, gone in zip(values, missing)]

    def _from_seconds(
        self, column: dict[str, Any], values: list[float], missing: list[bool]
    ) -> list[Any]:
        kind = column["type"]
        if kind == "f8":
            return list(values)
        known = [0.0 if gone else value for value, gone in zip(values, missing)]
        if kind == "date":
            return [(_EPOCH + datetime.timedelta(days=value // 1)).date() for value in known]
        spans = [datetime.timedelta(microseconds=round(value * 1e6)) for value in known]
        if kind == "delta":
            return list(spans)
        from zoneinfo import ZoneInfo

        zone = _EPOCH.tzinfo if column["zone"] == "UTC" else ZoneInfo(column["zone"])
        return [(_EPOCH + span).astimezone(zone) for span in spans]
