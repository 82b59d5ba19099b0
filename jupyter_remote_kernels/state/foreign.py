"""What belongs to another version of Python: told before it is made, and made anew where it can be.

Code objects of another version crash the interpreter. So a code object travels with the version
that it is for, and elsewhere is nothing but a name.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import TYPE_CHECKING, Any

from cloudpickle import cloudpickle

from jupyter_remote_kernels.state.attempts import Refused, attempt
from jupyter_remote_kernels.state.sources import compile_function

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler

CODE_TAG = f"{sys.implementation.cache_tag}.{importlib.util.MAGIC_NUMBER.hex()}"


def _say(tag: str) -> str:
    """Return a version as a user says it."""
    text = tag.partition(".")[0].replace("cpython-", "")
    return f"Python {text[0]}.{text[1:]}" if text.isdigit() else tag


HERE = _say(CODE_TAG)


class Foreign:
    """Code that another version has compiled.

    Parameters
    ----------
    tag : str
        That version.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def explain(self, name: str) -> str:
        """Return why a function cannot be made of it."""
        return (
            f"{name} was compiled by {_say(self.tag)}, this kernel is {HERE}, "
            "and the text of its cell is not known; run that cell again"
        )


class LeftOut:
    """Stands where something belongs that cannot be here; never reaches the user.

    Parameters
    ----------
    reason : str
        Why.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __call__(self, *_arguments: Any, **_named: Any) -> Any:
        """Fail with the reason: something is made by what cannot be here."""
        raise Refused(self.reason)


# Made while a stream is loaded. Whoever can do without one takes it out; the rest is an error.
_left_out: list[LeftOut] = []


def leave_out(reason: str) -> LeftOut:
    """Return what stands in place of something, and remember it."""
    made = LeftOut(reason)
    _left_out.append(made)
    return made


def do_without(stand_in: LeftOut) -> None:
    """Say that nothing is missing without it."""
    _left_out[:] = [each for each in _left_out if each is not stand_in]


def forget_left_out() -> None:
    """Begin a stream."""
    _left_out.clear()


def check_left_out() -> None:
    """See that nothing is missing at the end of a stream.

    Raises
    ------
    Refused
        With the reason, when something is.
    """
    if _left_out:
        reason = _left_out[0].reason
        _left_out.clear()
        raise Refused(reason)


class Held:
    """A code object in a stream, with its version.

    Parameters
    ----------
    arguments : tuple
        Those of ``types.CodeType``.
    """

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments

    def __reduce__(self) -> Any:
        """Take it apart."""
        return take_code, (CODE_TAG, *self._arguments)


def hold_code(pickler: StatePickler, code: types.CodeType) -> Held:
    """Return what stands for a code object in the streams of a capture."""
    codes = pickler.context.codes
    if id(code) not in codes:
        _, arguments = cloudpickle._code_reduce(code)  # noqa: SLF001 - knows every version's form
        constants = tuple(
            hold_code(pickler, each) if isinstance(each, types.CodeType) else each
            for each in code.co_consts
        )
        held = Held(tuple(constants if each is code.co_consts else each for each in arguments))
        codes[id(code)] = held
        pickler.context.kept.append(code)
    found: Held = codes[id(code)]
    return found


def take_code(tag: str, *arguments: Any) -> Any:
    """Make a code object, or what stands for it when it is of another version."""
    return types.CodeType(*arguments) if tag == CODE_TAG else Foreign(tag)


def reduce_code(pickler: StatePickler, code: types.CodeType) -> Any:
    """Take a code object apart that is not in a function."""
    return make_code, (hold_code(pickler, code), code.co_name)


def make_code(code: Any, name: str) -> Any:
    """Return a code object that was made.

    Raises
    ------
    Refused
        When it was compiled by another version of Python.
    """
    if isinstance(code, Foreign):
        raise Refused(code.explain(name))
    return code


def compile_here(place: Any, file: str, free: tuple[str, ...], code: Foreign) -> types.CodeType:
    """Compile a function from the text of its cell.

    Raises
    ------
    Refused
        When this version does not understand it.
    """
    made, error = attempt(compile_function, place, file, free)
    if error is not None:
        raise Refused(
            f"it was written for {_say(code.tag)}, and {HERE} cannot compile it: {error}"
        ) from error
    found: types.CodeType = made
    return found


def reduce_library_function(pickler: StatePickler, function: Any, reduced: Any) -> Any:
    """Take a function of a library apart that has no name there, such as a decorator's."""
    made, arguments, state = reduced[:3]
    if made is not cloudpickle._make_function:  # noqa: SLF001 - the seam it has
        return reduced
    code = function.__code__
    # A decorator's function calls itself as what it decorates.
    qualified = getattr(code, "co_qualname", None) or pickler.context.sources.qualify(code)
    name = (function.__globals__.get("__name__", ""), qualified)
    held = hold_code(pickler, code)
    free = code.co_freevars
    return make_library_function, (held, name, *arguments[1:]), (state, free), None, None, finish


def make_library_function(code: Any, name: tuple[str, str], *others: Any) -> Any:
    """Make a function that a library made; in another version, of that version's library."""
    if not isinstance(code, Foreign):
        return cloudpickle._make_function(code, *others)  # noqa: SLF001 - the seam it has
    module_name, qualified = name
    found, error = attempt(_find_code, module_name, qualified)
    if error is not None or len(found.co_freevars) != len(others[-1] or ()):
        return leave_out(code.explain(qualified))
    cells = tuple(types.CellType() for _ in found.co_freevars)
    namespace = vars(sys.modules[module_name])
    return types.FunctionType(found, namespace, found.co_name, None, cells or None)


def _find_code(module_name: str, qualified: str) -> types.CodeType:
    """Find the code of a nested function in this version of a library."""
    parts = qualified.split(".")
    at: Any = importlib.import_module(module_name)
    for part in parts:
        if part == "<locals>":
            at = getattr(at, "__wrapped__", at)
            at = at if isinstance(at, types.CodeType) else at.__code__
        elif isinstance(at, types.CodeType):
            (at,) = [each for each in at.co_consts if getattr(each, "co_name", None) == part]
        else:
            at = getattr(at, part)
    if not isinstance(at, types.CodeType):
        raise Refused("it is no nested function")
    return at


def finish(function: Any, state: tuple[Any, tuple[str, ...]]) -> Any:
    """Give a library's function its attributes and its cells their contents."""
    (attributes, slots), free = state
    if isinstance(function, LeftOut):
        # What is missing in it is missing nowhere else.
        inner = [getattr(cell, "cell_contents", None) for cell in slots.get("__closure__") or ()]
        for each in (*attributes.values(), *inner):
            if isinstance(each, LeftOut):
                do_without(each)
        return function
    if function.__globals__ is not vars(sys.modules.get(function.__module__ or "", types)):
        return cloudpickle._function_setstate(function, (attributes, slots))  # noqa: SLF001
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    for name, cell in zip(free, slots.pop("__closure__") or ()):
        if name not in cells:
            raise Refused(f"{function.__qualname__} is another function in {HERE}")
        cells[name].cell_contents = cell.cell_contents
    for name in ("__globals__", "_cloudpickle_submodules"):
        slots.pop(name, None)
    function.__dict__.update(attributes)
    for name, value in slots.items():
        setattr(function, name, value)
    return function


# What a library calls otherwise in another version of it.
_RENAMED = (("numpy._core", "numpy.core"), ("pathlib._local", "pathlib"))
_RENAMED_FUNCTIONS = {"__nat_unpickle": "_nat_unpickle", "_nat_unpickle": "__nat_unpickle"}


def find_elsewhere(module: str, name: str, error: Exception) -> Any:
    """Return something under the name that it has here, or what stands for it."""
    for pair in (*_RENAMED, *((new, old) for old, new in _RENAMED)):
        if module == pair[0] or module.startswith(f"{pair[0]}."):
            found, _ = attempt(importlib.import_module, pair[1] + module[len(pair[0]) :])
            if hasattr(found, name):
                return getattr(found, name)
    found = getattr(sys.modules.get(module), _RENAMED_FUNCTIONS.get(name, name), None)
    if found is not None:
        return found
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or module).partition(".")[0]
        return leave_out(f"the package {package} is not installed in this kernel's environment")
    return leave_out(f"{module}.{name} is not there in this kernel's version of it ({HERE})")
