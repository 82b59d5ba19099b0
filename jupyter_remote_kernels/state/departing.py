"""Values for a kernel of another language: frames, vectors, scalars and lists, without pickle."""

from __future__ import annotations

import datetime
import json
import sys
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.attempts import Refused
from jupyter_remote_kernels.state.columns import Columns, name_zone
from jupyter_remote_kernels.state.namespace import type_name

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCALARS = (
    bool, int, float, complex, str, datetime.date, datetime.datetime, datetime.timedelta,
)  # fmt: skip
# A list that holds itself has no end in another language.
_MOST_DEEP = 100


def describe_plain(value: Any) -> tuple[bytes, list[Any]]:
    """Return a value's description and its buffers.

    Raises
    ------
    Refused
        When it has no counterpart in other languages.
    """
    departing = _Departing()
    facts = departing.describe(value, 0)
    return json.dumps(facts).encode(), departing.columns.buffers


class _Departing:
    def __init__(self) -> None:
        self.columns = Columns()

    def describe(self, value: Any, depth: int) -> dict[str, Any]:
        if depth > _MOST_DEEP:
            raise Refused("it is nested too deeply")
        if value is None:
            return {"form": "nothing"}
        if type(value) in _SCALARS:
            return {"form": "scalar", "column": self.columns.of_values([value])}
        if isinstance(value, (bytes, bytearray)):
            return {"form": "bytes", "buffer": self.columns.add(value)}
        if isinstance(value, dict):
            if not all(type(key) is str for key in value):
                raise Refused("its keys are not text")
            return self._list(value.values(), list(value), depth)
        if type(value) in (list, tuple):
            return self._sequence(value, depth)
        return self._of_library(value)

    def _sequence(self, values: Any, depth: int) -> dict[str, Any]:
        kinds = {type(each) for each in values} - {type(None)}
        if values and kinds and kinds <= set(_SCALARS):
            column, error = None, None
            try:
                column = self.columns.of_values(values)
            except Refused as refused:
                error = refused
            if column is not None:
                return {"form": "vector", "column": column}
            if len(kinds) == 1:
                raise error or Refused("it has no counterpart")
        return self._list(values, None, depth)

    def _list(self, values: Iterable[Any], names: list[str] | None, depth: int) -> dict[str, Any]:
        items = [self.describe(each, depth + 1) for each in values]
        named = self.columns.of_values(names) if names else None
        return {"form": "list", "names": named, "items": items}

    def _of_library(self, value: Any) -> dict[str, Any]:
        names = {
            f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(value).__mro__
        }
        if "numpy.ndarray" in names:
            return self._array(value)
        if "numpy.generic" in names:
            import numpy

            return {"form": "scalar", "column": self.columns.of_array(numpy.asarray([value]))}
        if "pandas.DataFrame" in names:
            return self._frame(value)
        if "pandas.Series" in names:
            return self._series(value)
        if "pandas.Categorical" in names:
            return {"form": "vector", "column": self._factor(value)}
        if "pandas.Timestamp" in names or "pandas.Timedelta" in names:
            plain = getattr(value, "to_pydatetime", getattr(value, "to_pytimedelta", None))
            return self.describe(plain() if plain else value, 0)
        if names & {"polars.DataFrame", "polars.Series", "pyarrow.Table", "pyarrow.lib.Table"}:
            return self._by_pandas(value)
        raise Refused(f"a {type_name(value)} has no counterpart in the target's language")

    def _by_pandas(self, value: Any) -> dict[str, Any]:
        try:
            return self._of_library(value.to_pandas())
        except ModuleNotFoundError as error:
            raise Refused(f"it needs {error.name} to be made plain") from error

    def _array(self, value: Any) -> dict[str, Any]:
        if value.dtype.names is not None:
            raise Refused("an array of records has no counterpart; make a frame of it")
        is_masked = hasattr(value, "mask") and hasattr(value, "fill_value")
        column = self.columns.of_array(value.data if is_masked else value)
        if is_masked and value.mask.any():
            column["missing"] = self.columns.add(value.mask.reshape(-1, order="F").astype("u1"))
        facts = {"form": "vector", "column": column}
        return facts if value.ndim == 1 else {**facts, "shape": list(value.shape)}

    def _frame(self, frame: Any) -> dict[str, Any]:
        if not all(type(name) is str for name in frame.columns):
            frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
        columns = []
        for number, name in enumerate(frame.columns):
            try:
                column = self._values(frame.iloc[:, number])
            except Refused as error:
                raise Refused(f"column {name}: {error.reason}") from None
            columns.append({"name": name, **column})
        return {
            "form": "frame", "rows": len(frame), "columns": columns,
            "row_names": self._row_names(frame.index),
        }  # fmt: skip

    def _series(self, series: Any) -> dict[str, Any]:
        facts = {"form": "vector", "column": self._values(series)}
        names = self._row_names(series.index)
        return facts if names is None else {**facts, "names": names}

    def _row_names(self, index: Any) -> dict[str, Any] | None:
        import pandas

        if isinstance(index, pandas.RangeIndex):
            return None
        return self.columns.of_values([str(each) for each in index])

    def _values(self, series: Any) -> dict[str, Any]:
        """Return a column of a series, whatever pandas keeps it in."""
        kind = series.dtype
        pandas = sys.modules["pandas"]
        if isinstance(kind, pandas.CategoricalDtype):
            return self._factor(series.array)
        if isinstance(kind, pandas.DatetimeTZDtype):
            naive = series.dt.tz_convert("UTC").dt.tz_localize(None)
            return self.columns.of_moments(naive.to_numpy(), name_zone(kind.tz))
        if kind.kind in "biufcMm" and hasattr(kind, "itemsize") and not hasattr(kind, "na_value"):
            return self.columns.of_array(series.to_numpy())
        if kind.kind in "biuf" and hasattr(series.array, "_mask"):
            missing = series.isna().to_numpy()
            filled = series.array.to_numpy(dtype=kind.numpy_dtype, na_value=0)
            column = self.columns.of_array(filled)
            if missing.any():
                column["missing"] = self.columns.add(missing.astype("u1"))
            return column
        if kind.kind == "O" or "arrow" in str(kind).lower() or "str" in str(kind):
            missing = series.isna().tolist()
            values = series.tolist()
            return self.columns.of_values([None if m else v for v, m in zip(values, missing)])
        raise Refused(f"values of {kind} have no counterpart in the target's language")

    def _factor(self, values: Any) -> dict[str, Any]:
        return self.columns.factor(
            values.codes.tolist(), values.categories.tolist(), is_ordered=bool(values.ordered)
        )
