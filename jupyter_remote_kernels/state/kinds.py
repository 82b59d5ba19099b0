"""What is known of each type: refused, taken apart by a reducer of ours, linked or not.

Types are known by name, so that no library is imported that the kernel has not imported itself.
"""

from __future__ import annotations

import importlib
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.attributes import REDUCER as OWN_DICTIONARY
from jupyter_remote_kernels.state.attributes import may_be_own
from jupyter_remote_kernels.state.formulas import REDUCER as FORMULA
from jupyter_remote_kernels.state.formulas import is_part
from jupyter_remote_kernels.state.refusals import REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = __name__.rpartition(".")[0]


@dataclass(frozen=True)
class Kind:
    """How objects of one type are treated.

    Attributes
    ----------
    refusal : str
        Why they are never carried; empty when they are.
    reducer : callable or None
        Called with the pickler and the object; may answer ``NotImplemented``.
    links : bool
        Whether they can change, so that variables that share one belong together.
    is_class : bool
        Whether they are classes.
    is_function : bool
        Whether they are functions.
    is_simple : bool
        Whether they take themselves apart, and nothing else is to be done.
    """

    refusal: str = ""
    reducer: Callable[[Any, Any], Any] | None = None
    links: bool = True
    is_class: bool = False
    is_function: bool = False
    is_simple: bool = False


# "module.Class" -> "our module.function"; also for what is derived from it.
REDUCERS: dict[str, str] = {
    "builtins.function": "functions.reduce_function",
    "builtins.cell": "functions.reduce_cell",
    "builtins.code": "foreign.reduce_code",
    "functools._lru_cache_wrapper": "functions.reduce_lru_cache",
    "functools.cached_property": "functions.reduce_cached_property",
    "typing.NewType": "functions.reduce_new_type",
    "dataclasses.Field": "classes.reduce_mark",
    "dataclasses._DataclassParams": "classes.reduce_mark",
    "dataclasses._MISSING_TYPE": "functions.reduce_sentinel",
    "dataclasses._HAS_DEFAULT_FACTORY_CLASS": "functions.reduce_sentinel",
    "dataclasses._KW_ONLY_TYPE": "functions.reduce_sentinel",
    "numpy.ndarray": "arrays.reduce_array",
    "numpy.random.mtrand.RandomState": "arrays.reduce_random_state",
    "pandas.core.indexes.base.Index": "frames.reduce_index",
    "pandas.Index": "frames.reduce_index",
    # From pandas 3 on, classes are called by their public names.
    "pandas.core.arrays.arrow.array.ArrowExtensionArray": "frames.reduce_arrow_array",
    "pandas.arrays.ArrowExtensionArray": "frames.reduce_arrow_array",
    "pandas._libs.arrays.NDArrayBacked": "frames.reduce_backed_array",
    "pytz.tzinfo.BaseTzInfo": "frames.reduce_zone",
    "polars.dataframe.frame.DataFrame": "frames.reduce_polars",
    "polars.series.series.Series": "frames.reduce_polars",
    "torch.Tensor": "tensors.reduce_tensor",
    "torch.storage.UntypedStorage": "tensors.reduce_storage",
    "torch.storage.TypedStorage": "tensors.reduce_storage",
    "_io.TextIOWrapper": "handles.reduce_file",
    "_io.BufferedReader": "handles.reduce_file",
    "_io.BufferedWriter": "handles.reduce_file",
    "_io.BufferedRandom": "handles.reduce_file",
    "_io.FileIO": "handles.reduce_file",
    "ipykernel.iostream.OutStream": "handles.reduce_output",
    "sqlite3.Connection": "handles.reduce_sqlite",
    "_thread.lock": "handles.reduce_lock",
    "_thread.RLock": "handles.reduce_rlock",
    "weakref.ReferenceType": "handles.reduce_weakref",
    "builtins.weakref": "handles.reduce_weakref",
    "weakref.WeakValueDictionary": "handles.reduce_weak_values",
    "weakref.WeakKeyDictionary": "handles.reduce_weak_keys",
    "re.Match": "handles.reduce_match",
    "_contextvars.ContextVar": "handles.reduce_context_variable",
    "builtins.ContextVar": "handles.reduce_context_variable",
    "mmap.mmap": "memory.reduce_mmap",
    "_ctypes.PyCArrayType": "memory.reduce_array_type",
    "_ctypes.PyCStructType": "memory.reduce_structure_type",
    "_ctypes.UnionType": "memory.reduce_structure_type",
    "logging.Handler": "logs.reduce_handler",
    "matplotlib.figure.Figure": "plots.reduce_figure",
    "patsy.design_info.DesignMatrix": "formulas.reduce_matrix",
    "patsy.origin.Origin": "formulas.reduce_part",
    "concurrent.futures._base.Future": "handles.reduce_future",
}

# Nothing of these changes in place (or in a way that anybody could see), so they link nothing.
UNLINKED = frozenset(
    {
        "builtins.type",
        "builtins.module",
        "builtins.builtin_function_or_method",
        "builtins.method_descriptor",
        "builtins.wrapper_descriptor",
        "builtins.method",
        "builtins.range",
        "builtins.slice",
        "builtins.ellipsis",
        "builtins.NotImplementedType",
        "builtins.mappingproxy",
        "builtins.property",
        "builtins.staticmethod",
        "builtins.classmethod",
        "builtins.function",
        "builtins.code",
        "builtins.cell",
        "datetime.date",
        "datetime.time",
        "datetime.timedelta",
        "datetime.tzinfo",
        "datetime.timezone",
        "decimal.Decimal",
        "fractions.Fraction",
        "enum.Enum",
        "uuid.UUID",
        "pathlib.PurePath",
        "re.Pattern",
        "re.Match",
        "logging.Logger",
        "logging.Manager",
        "numpy.ndarray",
        "numpy.dtype",
        "numpy.ufunc",
        "numpy.generic",
        "pandas.core.indexes.base.Index",
        "pandas.Index",
        "pandas.core.indexes.frozen.FrozenList",
        "pandas.core.dtypes.base.ExtensionDtype",
        "pandas._libs.tslibs.offsets.BaseOffset",
        "pandas._libs.interval.Interval",
        "pandas._libs.missing.NAType",
        "pandas.api.typing.NAType",
        "pandas._libs.tslibs.nattype._NaT",
        "torch.Tensor",
        "torch.dtype",
        "torch.device",
        "torch.Size",
        "polars.datatypes.classes.DataType",
        "pyarrow.lib.DataType",
        "pyarrow.lib.Schema",
        "pyarrow.lib.Field",
        "pyarrow.lib._Weakrefable",
        "ipykernel.iostream.OutStream",
        "weakref.ReferenceType",
        "builtins.weakref",
        f"{_HERE}.foreign.Held",
    }
)

# Functions that Cython has compiled; the module of their type names its version.
_COMPILED = frozenset({"cython_function_or_method", "fused_cython_function"})
_known: dict[type, Kind] = {}


def _names(kind: type) -> list[str]:
    return [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__]


def _load(target: str) -> Callable[[Any, Any], Any]:
    module, _, function = target.partition(".")
    found: Callable[[Any, Any], Any] = getattr(
        importlib.import_module(f"{_HERE}.{module}"), function
    )
    return found


def _resolve(kind: type) -> Kind:
    names = _names(kind)
    refusal = next((REFUSED[name] for name in names if name in REFUSED), "")
    target = next((REDUCERS[name] for name in names if name in REDUCERS), "")
    if not target:
        target = OWN_DICTIONARY if may_be_own(kind) else FORMULA if is_part(kind) else ""
    is_class = issubclass(kind, type)
    links = not is_class and kind is not types.FunctionType
    return Kind(
        refusal=refusal,
        reducer=_load(target) if target and not refusal else None,
        links=links and UNLINKED.isdisjoint(names) and kind.__name__ not in _COMPILED,
        is_class=is_class,
        is_function=kind is types.FunctionType,
        is_simple=not (refusal or target or is_class or kind is types.FunctionType),
    )


def find_kind(kind: type) -> Kind:
    """Return how objects of a type are treated."""
    found = _known.get(kind)
    if found is None:
        # A class of the notebook dies with its cell, but a table of a few hundred is no matter.
        found = _known[kind] = _resolve(kind)
    return found
