"""Functions of the notebook: live globals, cells as objects, the same function in every group.

A function is pickled by value wherever it is met. Its token makes it one and the same object
again when several groups bring it, so that groups need not be linked by the functions they use.
"""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

from cloudpickle import cloudpickle

from jupyter_remote_kernels.state.foreign import (
    Foreign,
    LeftOut,
    compile_here,
    hold_code,
    leave_out,
)
from jupyter_remote_kernels.state.sources import enter_text

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler


class Definitions:
    """The functions and cells that one restore has made so far.

    Attributes
    ----------
    made : dict
        Token -> function or cell.
    finished : set
        Tokens of those whose state is complete.
    """

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.finished: set[str] = set()

    def clear(self) -> None:
        """Forget everything: a new restore begins."""
        self.made.clear()
        self.finished.clear()

    def forget_unfinished(self) -> None:
        """Forget what a group left unfinished when it failed to load."""
        for token in [token for token in self.made if token not in self.finished]:
            del self.made[token]


definitions = Definitions()


def reduce_function(pickler: StatePickler, function: Any) -> Any:
    """Take a function of the notebook apart; others are left to the pickler."""
    if function.__globals__ is not pickler.context.namespace:
        return NotImplemented
    if cloudpickle._should_pickle_by_reference(function):  # noqa: SLF001 - the seam it has
        return NotImplemented
    token = pickler.context.function_token(function)
    cells = function.__closure__ or ()
    contents = []
    for number, cell in enumerate(cells):
        pickler.cells_in_functions.add(id(cell))
        pickler.context.cell_token(cell, f"{token}.{number}")
        contents.append(_contents(cell))
    state = {
        "__dict__": dict(function.__dict__),
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__annotations__": _annotations(function),
        "__qualname__": function.__qualname__,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "contents": contents,
        "token": token,
    }
    code = function.__code__
    state["free"] = code.co_freevars
    place = pickler.context.sources.find(code)
    if place is None and not (code.co_filename == "<string>" and code.co_name[:2] == "__"):
        # But for what dataclasses make, which each version makes again.
        pickler.needs.unsourced.append(function.__qualname__)
    made = (
        token, hold_code(pickler, code), pickler.context.namespace, function.__name__,
        cells or None, (place, code.co_filename, code.co_freevars),
    )  # fmt: skip
    return make_function, made, state, None, None, finish_function


def _annotations(function: Any) -> Any:
    try:
        # A copy: the function's own dictionary would link everything that uses it.
        return dict(function.__annotations__)
    except NameError:
        # From Python 3.14 on they are computed when they are asked for.
        return {}


def _contents(cell: Any) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def make_function(
    token: str, code: Any, namespace: dict[str, Any], name: str, cells: Any, source: Any
) -> Any:
    """Make a function, or return the one that an earlier group made."""
    if token not in definitions.made:
        place, file, free = source
        if isinstance(code, Foreign):
            if place is None:
                return leave_out(code.explain(name))
            # Cells under a magic share a name, which cannot stand for all of their texts.
            file = f"<{token} of {file[1:]}" if file.startswith("<") else file
            code = compile_here(place, file, free, code)
            found = dict(zip(free, cells or ()))
            cells = tuple(found.get(each) or types.CellType() for each in code.co_freevars)
        if place is not None and file != "<timed exec>":
            enter_text(file, place[0])
        definitions.made[token] = types.FunctionType(code, namespace, name, None, cells or None)
    return definitions.made[token]


def finish_function(function: Any, state: dict[str, Any]) -> None:
    """Give a new function its attributes and its cells their contents."""
    token = state.pop("token")
    if isinstance(function, LeftOut) or token in definitions.finished:
        return
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    for name, contents in zip(state.pop("free"), state.pop("contents")):
        if name in cells:
            fill_cell(cells[name], contents)
    function.__dict__.update(state.pop("__dict__"))
    for name, value in state.items():
        setattr(function, name, value)
    definitions.finished.add(token)


def reduce_cell(pickler: StatePickler, cell: Any) -> Any:
    """Take a closure's cell apart; one that a function has gets its contents from there."""
    token = pickler.context.cell_token(cell, f"c{len(pickler.context.kept)}")
    if id(cell) in pickler.cells_in_functions:
        return make_cell, (token,)
    return make_cell, (token,), _contents(cell), None, None, fill_cell


def make_cell(token: str) -> Any:
    """Make an empty cell, or return the one that an earlier function brought."""
    if token not in definitions.made:
        definitions.made[token] = types.CellType()
    return definitions.made[token]


def fill_cell(cell: Any, contents: tuple[Any, ...]) -> None:
    """Give a cell its contents, unless another function has done so."""
    if contents and not _contents(cell):
        cell.cell_contents = contents[0]


def reduce_lru_cache(_pickler: StatePickler, cached: Any) -> Any:
    """Take a cached function apart; what it has cached is computed again when it is needed."""
    if cloudpickle._lookup_module_and_qualname(cached) is not None:  # noqa: SLF001
        return NotImplemented
    parameters = cached.cache_parameters()
    state = {key: value for key, value in cached.__dict__.items() if key != "cache_parameters"}
    made = (cached.__wrapped__, parameters["maxsize"], parameters["typed"])
    return make_lru_cache, made, state


def make_lru_cache(function: Any, maxsize: int | None, typed: bool) -> Any:
    """Make a cached function with an empty cache."""
    return functools.lru_cache(maxsize=maxsize, typed=typed)(function)


def reduce_new_type(_pickler: StatePickler, new_type: Any) -> Any:
    """Take a NewType of the notebook apart."""
    if cloudpickle._lookup_module_and_qualname(new_type) is not None:  # noqa: SLF001
        return NotImplemented
    return make_new_type, (new_type.__name__, new_type.__supertype__, new_type.__module__)


def make_new_type(name: str, supertype: Any, module: str) -> Any:
    """Make a NewType."""
    import typing

    make: Any = typing.NewType
    made = make(name, supertype)
    made.__module__ = module
    return made


def reduce_sentinel(_pickler: StatePickler, sentinel: Any) -> Any:
    """Name one of the objects by which dataclasses recognises its own marks."""
    import dataclasses

    found = [name for name, value in vars(dataclasses).items() if value is sentinel]
    return found[0] if found else NotImplemented


def reduce_cached_property(_pickler: StatePickler, cached: Any) -> Any:
    """Take a cached property apart into what every version can make it of."""
    return make_cached_property, (cached.func, cached.attrname, cached.__doc__)


def make_cached_property(function: Any, name: str | None, text: str | None) -> Any:
    """Make a cached property; its values lie in its owners."""
    made: Any = functools.cached_property(function)
    made.__doc__ = text
    if name is not None:
        made.__set_name__(None, name)
    return made
