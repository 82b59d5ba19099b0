"""Where variables came from: the last cell of the session that has made each of them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# What is inside them is bound somewhere else.
_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
# A cell of this size is data that somebody has pasted.
_LONGEST_CHARACTERS = 1 << 20


def find_origins(
    names: Iterable[str], cells: Sequence[str], texts: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the last cell that has bound each name.

    Parameters
    ----------
    names : iterable of str
        The variables.
    cells : sequence of str
        The session's cells as Python, the first with the number 0.
    texts : sequence of str
        The same as they were written, with their magics.

    Returns
    -------
    dict
        ``{"number", "source"}`` by name: the cell's execution count and its text. A name that no
        cell binds in plain sight, as ``globals()[...] = ...`` does not, is not in it.
    """
    wanted = set(names)
    found: dict[str, dict[str, Any]] = {}
    for number in range(len(cells) - 1, -1, -1):
        if not wanted:
            break
        made = wanted & _find_bound(cells[number])
        text = texts[number] if number < len(texts) else cells[number]
        found.update({name: {"number": number, "source": text} for name in made})
        wanted -= made
    return found


def add_origins(shell: Any, entries: Iterable[dict[str, Any]]) -> None:
    """Add to the entries of what is refused the ``cell`` that makes it again.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's; its history may be switched off.
    entries : iterable of dict
        The entries of a report.
    """
    refused = {entry["name"]: entry for entry in entries if entry["status"] == "refused"}
    manager = getattr(shell, "history_manager", None)
    cells = getattr(manager, "input_hist_parsed", ())
    texts = getattr(manager, "input_hist_raw", ())
    for name, cell in find_origins(refused, cells, texts).items():
        refused[name]["cell"] = cell


def _find_bound(cell: str) -> set[str]:
    if len(cell) > _LONGEST_CHARACTERS:
        return set()
    try:
        return set(_walk(ast.parse(cell).body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # A cell that could not run has bound nothing.
        return set()


def _walk(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler):
            # Its name is gone with its block.
            yield from _walk(node.body)
            continue
        if not isinstance(node, _SCOPES):
            yield from _walk(ast.iter_child_nodes(node))
