"""Runs inside a kernel: what every variable is, so that two kernels can be compared.

``look(shell)`` returns a digest for each name. It goes through objects by the parts they are made
of, independently of the code that captures state. A digest says nothing of addresses, processes
and the order in sets.
"""

from __future__ import annotations

import copyreg
import hashlib
import io
import json
import os
import re
import sys
import types
import warnings

ATOMS = (bool, int, float, complex, str, bytes, type(None), range, slice, type(...))
PLAIN = frozenset(ATOMS)
# Cannot change, so nobody can tell two equal ones from one.
EQUAL = (
    "builtins.tuple",
    "builtins.frozenset",
    "numpy.dtype",
    "numpy.generic",
    "datetime.",
    "decimal.",
)
NAMED = (type, types.FunctionType, types.ModuleType)
HISTORY = re.compile(r"In|Out|_{1,3}|_i{1,3}|_i?\d+|_[ido]h|_exit_code|__\w+__")
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
# What differs although nobody has changed it: what is computed when it is first asked for.
CLASS_PARTS = ("__dict__", "__weakref__", "__abstractmethods__", "__slotnames__", "_abc_impl")
STEPS = 3_000_000


class Look:
    """One variable's digest."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.hash = hashlib.sha256()
        self.seen = {}
        self.kept = []
        self.steps = 0

    def say(self, *words):
        for word in words:
            self.hash.update(
                word if isinstance(word, bytes) else str(word).encode("utf-8", "replace")
            )
            self.hash.update(b"\0")

    def take(self, value):
        """Add a value."""
        kind = type(value)
        self.steps += 1
        if self.steps > STEPS:
            return
        if kind in ATOMS:
            self.say(kind.__name__, repr(value))
            return
        names = [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__]
        if id(value) in self.seen:
            is_named = isinstance(value, NAMED)
            self.say("again", value.__name__ if is_named else self.seen[id(value)])
            return
        if not any(name.startswith(EQUAL) for name in names):
            self.seen[id(value)] = len(self.seen)
            self.kept.append(value)
        self.say(names[0])
        if kind in (list, tuple, set, frozenset, dict):
            self.take_container(kind, value)
            return
        for name in names:
            if name in TAKERS:
                TAKERS[name](self, value)
                return
        self.take_parts(value)

    def take_container(self, kind, value):
        """Add a container of no class of its own."""
        self.say(len(value))
        is_plain = set(map(type, value)) <= PLAIN
        if kind is dict:
            if is_plain and set(map(type, value.values())) <= PLAIN:
                self.say(repr(value))
            else:
                for key, item in list(value.items()):
                    self.take(key)
                    self.take(item)
        elif kind in (set, frozenset):
            self.say(*sorted(map(repr, value) if is_plain else map(self.take_alone, value)))
        elif is_plain:
            self.say(repr(value))
        else:
            self.take_all(value)

    def take_all(self, values):
        for value in values:
            self.take(value)

    def take_alone(self, value):
        """Return a digest of a part, for what has no order."""
        look = Look(self.namespace)
        look.seen, look.kept = dict(self.seen), self.kept
        look.take(value)
        return look.hash.digest()

    def take_parts(self, value):
        """Add what an object says it is made of."""
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            parts = reduce(value) if reduce else value.__reduce_ex__(4)
        except Exception:  # noqa: BLE001 - it cannot be taken apart, so its text has to do
            self.say(ADDRESS.sub("", repr(value)))
            return
        if isinstance(parts, str):
            self.say(parts)
            return
        self.kept.append(parts)
        for part in parts[:3]:
            self.take(part)
        for items in parts[3:5]:
            self.take_all(items or ())


def take_class(look, value):
    look.say(value.__module__, value.__qualname__)
    if value.__module__ != "__main__":
        return
    look.take_all(value.__bases__)
    for name, part in sorted(vars(value).items()):
        if name not in CLASS_PARTS and not name.startswith(("__static", "__first", "_abc")):
            look.say(name)
            look.take(part)


def take_function(look, value):
    look.say(value.__module__, value.__qualname__, value.__doc__)
    if value.__globals__ is not look.namespace:
        return
    look.take(value.__code__)
    look.take_all((value.__defaults__, value.__kwdefaults__, vars(value)))
    for cell in value.__closure__ or ():
        try:
            look.take(cell.cell_contents)
        except ValueError:
            look.say("empty")


def take_code(look, value):
    look.say(value.co_name, value.co_code, value.co_names, value.co_varnames, value.co_flags)
    look.take_all(value.co_consts)


def take_method(look, value):
    look.take_all((value.__func__, value.__self__))


def take_builtin(look, value):
    look.say(value.__qualname__)
    if not isinstance(value.__self__, (types.ModuleType, type(None))):
        look.take(value.__self__)


def take_array(look, value):
    look.say(value.dtype, value.shape, value.flags.writeable)
    if value.dtype.hasobject:
        look.take_all(value.ravel().tolist())
    else:
        look.say(value.tobytes())


def take_scalar(look, value):
    look.say(value.dtype, value.tobytes())


def take_frame(look, value):
    pandas = sys.modules["pandas"]
    is_frame = value.ndim == 2
    look.take(value.columns if is_frame else value.name)
    look.take(value.index)
    look.say(*([str(kind) for kind in value.dtypes] if is_frame else [value.dtype]))
    try:
        look.say(pandas.util.hash_pandas_object(value, index=False).to_numpy().tobytes())
    except TypeError:  # values without a hash, such as lists
        columns = [value.iloc[:, n] for n in range(value.shape[1])] if is_frame else [value]
        for column in columns:
            look.take_all(list(column))


def take_index(look, value):
    look.say(value.dtype, len(value))
    look.take_all(list(value.names))
    if type(value).__name__ == "RangeIndex":
        look.say(value.start, value.stop, value.step)
        return
    look.say(str(getattr(value, "freq", None)))
    hashes = sys.modules["pandas"].util.hash_pandas_object(value)
    look.say(hashes.to_numpy().tobytes())


def take_polars(look, value):
    if hasattr(value, "schema"):
        look.say(value.schema)
        look.take(value.to_dict(as_series=False))
    else:
        look.say(value.name, value.dtype)
        look.take(value.to_list())


def take_lazy(look, value):
    look.say(ADDRESS.sub("", value.explain(optimized=False)))
    take_polars(look, value.collect())


def take_arrow(look, value):
    look.say(value.schema)
    look.take(value.to_pydict())


def take_figure(look, value):
    picture = io.BytesIO()
    value.savefig(picture, format="png", metadata={"Software": None})
    look.say(picture.getvalue())


def take_artist(look, value):
    figure = getattr(value, "figure", None)
    look.say(getattr(value, "get_label", str)())
    if figure is not None:
        everything = figure.findobj()
        look.say(*[n for n, each in enumerate(everything) if each is value])
        look.take(figure)


def take_database(look, value):
    look.say(*value.iterdump())


def take_file(look, value):
    """Add where a file is; that one was opened to be written anew is a matter of the past."""
    look.say(os.path.basename(value.name), value.closed, value.readable(), value.writable())
    look.say(*(() if value.closed else [value.tell()]))


def take_random(look, value):
    look.say(repr(value.get_state(legacy=False)))


def take_weak(look, value):
    look.take(value())


def take_cached(look, value):
    look.take(value.__wrapped__)
    look.say(value.cache_parameters())


TAKERS = {
    "builtins.module": lambda look, value: look.say(value.__name__),
    "builtins.type": take_class,
    "builtins.function": take_function,
    "builtins.code": take_code,
    "builtins.method": take_method,
    "builtins.builtin_function_or_method": take_builtin,
    "builtins.method-wrapper": lambda look, value: look.take(value.__self__),
    "builtins.property": lambda look, value: look.take_all((value.fget, value.fset)),
    "builtins.staticmethod": lambda look, value: look.take(value.__func__),
    "builtins.classmethod": lambda look, value: look.take(value.__func__),
    "builtins.mappingproxy": lambda look, value: look.take(dict(value)),
    "builtins.weakref": take_weak,
    "weakref.ReferenceType": take_weak,
    "functools._lru_cache_wrapper": take_cached,
    "_io.TextIOWrapper": take_file,
    "_io._BufferedIOBase": take_file,
    "sqlite3.Connection": take_database,
    "numpy.ndarray": take_array,
    "numpy.generic": take_scalar,
    "numpy.random.mtrand.RandomState": take_random,
    "pandas.core.generic.NDFrame": take_frame,
    "pandas.core.indexes.base.Index": take_index,
    "pandas.Index": take_index,
    "pandas.DataFrame": take_frame,
    "pandas.Series": take_frame,
    "polars.dataframe.frame.DataFrame": take_polars,
    "polars.series.series.Series": take_polars,
    "polars.lazyframe.frame.LazyFrame": take_lazy,
    "pyarrow.lib.Table": take_arrow,
    # What it has besides its items it does not carry itself.
    "sklearn.utils._bunch.Bunch": lambda look, value: look.take(dict(value)),
    "matplotlib.figure.Figure": take_figure,
    "matplotlib.artist.Artist": take_artist,
}


def list_names(shell):
    """Return what the user has made, as he would say it."""
    hidden = shell.user_ns_hidden
    found = {
        name: value
        for name, value in shell.user_ns.items()
        if (name in ("_", "__", "___") or not HISTORY.fullmatch(name))
        and name not in ("get_ipython", "exit", "quit", "open")
        and hidden.get(name, hidden) is not value
    }
    outputs = shell.user_ns.get("Out", {})
    return found, {f"Out[{number}]": value for number, value in outputs.items()}


def digest(namespace, value):
    look = Look(namespace)
    try:
        look.take(value)
    except RecursionError:
        return "too deep"
    return look.hash.hexdigest()[:20] + ("…" if look.steps > STEPS else "")


def find_aliases(variables):
    """Return which names are one object."""
    first, found = {}, {}
    for name, value in variables.items():
        if isinstance(value, (*ATOMS, tuple, frozenset)):
            continue
        if first.setdefault(id(value), name) != name:
            found[name] = first[id(value)]
    return found


def read_surroundings(shell):
    """Return what a cell can see that is no variable."""
    modules = sys.modules
    found = {
        "cwd": os.path.basename(os.getcwd()),
        "count": shell.execution_count,
        "inputs": list(shell.user_ns["In"]),
        "random": modules["random"].getstate() if "random" in modules else None,
        "extensions": sorted(shell.extension_manager.loaded),
    }
    if "numpy.random" in modules:
        found["numpy random"] = repr(modules["numpy.random"].get_state(legacy=False))
    if "matplotlib" in modules:
        settings = modules["matplotlib"].rcParams
        found["matplotlib"] = {
            name: repr(settings[name]) for name in settings if "backend" not in name
        }
    return found


def look(shell):
    """Return name -> [type, digest] of everything that there is."""
    variables, outputs = list_names(shell)
    namespace = shell.user_ns
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            name: [f"{type(value).__module__}.{type(value).__qualname__}", digest(namespace, value)]
            for name, value in {**variables, **outputs}.items()
        }
        around = {
            f"({name})": ["", digest(namespace, value)]
            for name, value in read_surroundings(shell).items()
        }
    aliases = find_aliases(variables)
    return json.dumps({"variables": found, "around": around, "aliases": aliases})
