"""Handles that can be opened again: files, databases, locks, weak references."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import re
import sqlite3
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.attempts import Refused

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler


def reduce_file(_pickler: StatePickler, file: Any) -> Any:
    """Take an open file apart into its path, mode and position. What it holds is not carried."""
    if file.closed:
        return make_closed_file, (type(file).__name__,)
    path = file.name
    if not isinstance(path, (str, bytes)) or not os.path.isfile(path):
        raise Refused("it is an open file that has no path", file)
    mode = file.mode if isinstance(file.mode, str) else "r"
    if file.writable():
        file.flush()
    try:
        position = file.tell()
    except OSError:
        raise Refused("its position is not known in the middle of a loop over it", file) from None
    text = isinstance(file, io.TextIOWrapper)
    buffering = 0 if isinstance(file, io.FileIO) else -1
    # Never "w": that would empty the user's file.
    reading, writing = file.readable(), file.writable()
    mode = "a" if "a" in mode else ("r+" if writing else "r")
    mode += ("+" if "a" in mode and reading else "") + ("" if text else "b")
    details: dict[str, Any] = {"buffering": buffering}
    if text:
        details = {"encoding": file.encoding, "errors": file.errors, "newline": _newline(file)}
    return open_file, (os.path.abspath(path), mode, position, details)


def _newline(file: Any) -> str | None:
    # Files do not tell how they were told to read line ends; only this much can be seen.
    return "" if getattr(file, "newlines", None) == "\r\n" else None


def open_file(path: Any, mode: str, position: int, details: dict[str, Any]) -> Any:
    """Open a file again where it was."""
    file = open(path, mode, **details)  # noqa: SIM115 - the user's, who closes it
    file.seek(position)
    return file


def make_closed_file(kind: str) -> Any:
    """Make a file that is closed already."""
    mode = "r" if kind == "TextIOWrapper" else "rb"
    with open(os.devnull, mode) as file:
        return file


def reduce_output(_pickler: StatePickler, stream: Any) -> Any:
    """Name one of the kernel's own output streams."""
    return find_output, ("stderr" if getattr(stream, "name", "") == "stderr" else "stdout",)


def find_output(name: str) -> Any:
    """Return the kernel's own output stream."""
    return getattr(sys, name)


def reduce_sqlite(_pickler: StatePickler, connection: Any) -> Any:
    """Take a database connection apart: its files, and all of its databases in memory."""
    if connection.in_transaction:
        raise Refused("it is in the middle of a transaction; commit it first", connection)
    rows = connection.execute("PRAGMA database_list").fetchall()
    # The path of a file is whole; a database in memory has none, or "x" when it was restored.
    paths = {name: path if os.path.isabs(path) else "" for _, name, path in rows if name != "temp"}
    contents = {}
    for name in [name for name, path in paths.items() if not path]:
        quoted = name.replace('"', '""')
        # An empty database in memory has no page yet, and then there is nothing to read.
        if not connection.execute(f'PRAGMA "{quoted}".page_count').fetchone()[0]:
            continue
        if not hasattr(connection, "serialize"):
            raise Refused("its database is in memory, and this Python cannot read it", connection)
        contents[name] = pickle.PickleBuffer(bytearray(connection.serialize(name=name)))
    state = (connection.isolation_level, connection.row_factory, connection.text_factory)
    return open_sqlite, (paths, contents), state, None, None, finish_sqlite


def open_sqlite(paths: dict[str, str], contents: dict[str, Any]) -> Any:
    """Connect to a database again; a file that is gone is not made anew."""
    for path in filter(None, paths.values()):
        if not os.path.exists(path):
            raise Refused(f"its database {path} is not there")
    connection: Any = sqlite3.connect(paths["main"] or ":memory:")
    for name, path in paths.items():
        if name != "main":
            connection.execute("ATTACH ? AS ?", (path or ":memory:", name))
    for name, content in contents.items():
        connection.deserialize(bytes(content), name=name)
    return connection


def finish_sqlite(connection: Any, state: tuple[Any, ...]) -> None:
    """Give a connection its settings."""
    connection.isolation_level, connection.row_factory, connection.text_factory = state


def reduce_lock(_pickler: StatePickler, lock: Any) -> Any:
    """Take a lock apart: held or not."""
    return make_lock, (lock.locked(),)


def make_lock(is_held: bool) -> Any:
    """Make a lock."""
    lock = threading.Lock()
    if is_held:
        lock.acquire()
    return lock


def reduce_rlock(_pickler: StatePickler, lock: Any) -> Any:
    """Take a lock that can be taken again apart: how often it is held."""
    count = re.search(r"count=(\d+)", repr(lock))
    return make_rlock, (int(count.group(1)) if count else 0,)


def make_rlock(count: int) -> Any:
    """Make a lock that can be taken again; it is held by this thread."""
    lock = threading.RLock()
    for _ in range(count):
        lock.acquire()
    return lock


class _Gone:
    """What a dead reference referred to."""


def reduce_weakref(_pickler: StatePickler, reference: Any) -> Any:
    """Take a weak reference apart; its target lives on where something else holds it."""
    return make_weakref, (reference(),)


def make_weakref(target: Any) -> Any:
    """Make a weak reference, dead when it has no target."""
    return weakref.ref(_Gone() if target is None else target)


def reduce_weak_values(_pickler: StatePickler, mapping: Any) -> Any:
    """Take a mapping that holds its values weakly apart."""
    return weakref.WeakValueDictionary, (), None, None, iter(list(mapping.items()))


def reduce_weak_keys(_pickler: StatePickler, mapping: Any) -> Any:
    """Take a mapping that holds its keys weakly apart."""
    return weakref.WeakKeyDictionary, (), None, None, iter(list(mapping.items()))


def reduce_match(_pickler: StatePickler, match: Any) -> Any:
    """Take the result of a search apart."""
    return find_match, (match.re, match.string, match.pos, match.endpos, match.span())


def find_match(pattern: Any, text: Any, start: int, end: int, span: tuple[int, int]) -> Any:
    """Search again, in each of the ways in which it may have been found."""
    for method in (pattern.match, pattern.fullmatch, pattern.search):
        found = method(text, start, end)
        if found is not None and found.span() == span:
            return found
    for found in pattern.finditer(text, start, end):
        if found.span() == span:
            return found
    return pattern.match(text, span[0], end)


def reduce_context_variable(_pickler: StatePickler, variable: Any) -> Any:
    """Take a context variable apart: its name, its default, its value here."""
    import contextvars

    missing = object()
    bare: list[Any] = []
    # An empty context answers with the default, which cannot be asked for otherwise.
    with contextlib.suppress(LookupError):
        bare.append(contextvars.Context().run(variable.get))
    value = variable.get(missing)
    state = () if value is missing or (bare and value is bare[0]) else (value,)
    made = (variable.name, tuple(bare))
    return make_context_variable, made, state, None, None, set_context_variable


def make_context_variable(name: str, default: tuple[Any, ...]) -> Any:
    """Make a context variable."""
    import contextvars

    if default:
        return contextvars.ContextVar(name, default=default[0])
    return contextvars.ContextVar(name)


def set_context_variable(variable: Any, value: tuple[Any, ...]) -> None:
    """Give a context variable its value."""
    if value:
        variable.set(value[0])


def reduce_future(_pickler: StatePickler, future: Any) -> Any:
    """Refuse a result that is still to come; one that is there is carried."""
    if not future.done():
        raise Refused("its result is still being computed", future)
    return NotImplemented
