"""Functions as source: where a function is in the text of its cell, and its code made from it.

Code objects belong to one minor version of Python. So with each function of the notebook goes the
text of its cell, and where in it the function is; another version compiles it again.
"""

from __future__ import annotations
import __future__

import ast
import functools
import linecache
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.attempts import attempt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LAMBDA = "<lambda>"
# Text that goes with every function of a cell must not become the largest part of a state.
_MOST_CHARACTERS = 1 << 18
_ANNOTATIONS = __future__.annotations.compiler_flag


@functools.lru_cache(maxsize=64)
def _list_functions(text: str) -> list[tuple[Any, tuple[Any, ...]]]:
    """Return the functions of a text as they stand in it, each with the scopes around it."""
    found: list[tuple[Any, tuple[Any, ...]]] = []

    def visit(node: Any, scopes: tuple[Any, ...]) -> None:
        inner = scopes
        if isinstance(node, _FUNCTIONS):
            found.append((node, scopes))
            inner = (*scopes, node)
        elif isinstance(node, ast.ClassDef):
            inner = (*scopes, node)
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(ast.parse(text), ())
    return sorted(found, key=lambda each: (each[0].lineno, each[0].col_offset))


def _name_of(node: Any) -> str:
    return str(getattr(node, "name", _LAMBDA))


def _is_at(node: Any, code: CodeType) -> bool:
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
    return _name_of(node) == code.co_name and first == code.co_firstlineno


class Sources:
    """The texts of the cells that one capture has met; each is one object in a stream.

    Parameters
    ----------
    cells : sequence of str
        The kernel's history, as it was typed.
    """

    def __init__(self, cells: Sequence[str]) -> None:
        self._cells = cells
        self._texts: dict[str, str] = {}
        self._places: dict[int, tuple[Any, ...] | None] = {}
        self._kept: list[CodeType] = []

    def find(self, code: CodeType) -> tuple[Any, ...] | None:
        """Return how another version can make this code; ``None`` when its text is not known.

        Returns
        -------
        tuple
            Text, number of the function in it, flags of the compiler.
        """
        # Two functions may have equal code: the code's own identity counts.
        key = id(code)
        if key not in self._places:
            place, error = attempt(self._locate, code)
            self._places[key] = None if error is not None else place
            self._kept.append(code)
        return self._places[key]

    def qualify(self, code: CodeType) -> str:
        """Return the full name of a function, which code has from Python 3.11 on."""
        functions, error = attempt(_list_functions, self._read(code.co_filename))
        for node, scopes in () if error is not None else functions:
            if _is_at(node, code):
                parts = [
                    scope.name if isinstance(scope, ast.ClassDef) else f"{_name_of(scope)}.<locals>"
                    for scope in scopes
                ]
                return ".".join([*parts, code.co_name])
        return code.co_name

    def _locate(self, code: CodeType) -> tuple[Any, ...] | None:
        text = self._read(code.co_filename)
        if text:
            return self._locate_in(text, code, is_sure=True)
        # A magic that times a cell compiles what is below its line, and keeps no text.
        for cell in reversed(self._cells):
            if code.co_filename == "<timed exec>" and cell.startswith("%%"):
                text = cell.partition("\n")[2]
                place, _ = attempt(self._locate_in, text, code)
                if place is not None:
                    return place  # type: ignore[no-any-return]
        return None

    def _locate_in(
        self, text: str, code: CodeType, *, is_sure: bool = False
    ) -> tuple[Any, ...] | None:
        if len(text) > _MOST_CHARACTERS:
            return None
        functions = _list_functions(text)
        numbers = [number for number, (node, _) in enumerate(functions) if _is_at(node, code)]
        flags = code.co_flags & _ANNOTATIONS
        if len(numbers) > 1 or not is_sure:
            # Several in one line: the one that compiles to the same.
            numbers = [
                number
                for number in numbers
                if compile_function((text, number, flags), code.co_filename, code.co_freevars)
                == code
            ]
        return (text, numbers[0], flags) if numbers else None

    def _read(self, file: str) -> str:
        if file not in self._texts:
            self._texts[file] = "".join(linecache.getlines(file))
        return self._texts[file]


def compile_function(place: tuple[Any, ...], file: str, free: tuple[str, ...]) -> CodeType:
    """Compile one function of a text.

    Parameters
    ----------
    place : tuple
        What :meth:`Sources.find` returned.
    file : str
        The name under which tracebacks show it.
    free : tuple of str
        The variables of functions around it that it uses.
    """
    text, number, flags = place
    node, scopes = _list_functions(text)[number]
    statement = node
    if isinstance(node, ast.Lambda):
        statement = ast.Assign([ast.Name("_", ast.Store())], node)
    names = []
    # The innermost function around it is made to have all the free variables.
    missing = tuple(free)
    for scope in reversed(scopes):
        names.append(_name_of(scope))
        if isinstance(scope, ast.ClassDef):
            wrapper = _parse(f"class {scope.name}: pass")
        else:
            wrapper = _parse(f"def _({', '.join(missing)}): pass")
            wrapper.name, missing = _name_of(scope), ()
        wrapper.body = [statement]
        statement = wrapper
    if missing and missing != ("__class__",):
        wrapper = _parse(f"def _({', '.join(missing)}): pass")
        wrapper.body = [statement]
        statement = wrapper
        names.append("_")
    module = ast.fix_missing_locations(ast.Module([statement], []))
    made = compile(module, file, "exec", flags=flags, dont_inherit=True)
    return _pick(made, [*reversed(names), _name_of(node)])


def _parse(text: str) -> Any:
    return ast.parse(text).body[0]


def _pick(code: CodeType, names: list[str]) -> CodeType:
    """Follow names into nested code; what stands before a function's body is compiled first."""
    for name in names:
        code = _list_codes(code, name)[-1]
    return code


def _list_codes(code: CodeType, name: str) -> list[CodeType]:
    inner = [each for each in code.co_consts if hasattr(each, "co_consts")]
    found = [each for each in inner if each.co_name == name]
    # Type parameters and, before Python 3.12, comprehensions are scopes of their own.
    return found or [each for scope in inner for each in _list_codes(scope, name)]


def enter_text(file: str, text: str) -> None:
    """Let tracebacks, inspection and the next capture find a cell's text."""
    if linecache.getlines(file):
        return
    entry = (len(text), None, text.splitlines(keepends=True), file)
    linecache.cache[file] = entry
    # IPython keeps its own copy, which it puts back after each check of the cache.
    kept = getattr(linecache, "_ipython_cache", None)
    if kept is not None:
        kept[file] = entry
