"""The SQLite file under the registry: opened, checked, migrated, its errors translated."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.owners import ensure_private_directory
from jupyter_remote_kernels.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

# Runs a method of a table on the registry's thread, for an event loop.
Run = Callable[..., "Coroutine[Any, Any, Any]"]
BUSY_TIMEOUT_S = 5.0

_INITIAL = """
CREATE TABLE runtimes (
    id TEXT PRIMARY KEY,
    phase TEXT NOT NULL,
    target TEXT NOT NULL,
    owner_id TEXT,
    client_token TEXT,
    created_s REAL NOT NULL,
    document TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX living_client_token ON runtimes (client_token)
    WHERE client_token IS NOT NULL AND phase NOT IN ('stopped', 'failed');
CREATE TABLE kernel_info (
    environment TEXT PRIMARY KEY,
    content TEXT NOT NULL
) WITHOUT ROWID;
"""
_LEDGER = """
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY,
    runtime_id TEXT NOT NULL,
    name TEXT NOT NULL,
    environment TEXT NOT NULL,
    kind TEXT NOT NULL,
    credits_per_hour REAL NOT NULL,
    started_s REAL NOT NULL,
    boot TEXT NOT NULL,
    started_steady_s REAL NOT NULL,
    seconds REAL NOT NULL,
    is_open INTEGER NOT NULL
);
CREATE INDEX ledger_of_runtime ON ledger (runtime_id);
CREATE UNIQUE INDEX open_ledger_entry ON ledger (runtime_id) WHERE is_open = 1;
"""
_WARM = """
CREATE TABLE warm (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL
) WITHOUT ROWID;
"""
# Also keeps versions away that would end what a stopped server has left running.
_SERVER = """
ALTER TABLE runtimes ADD COLUMN server TEXT;
CREATE INDEX runtimes_of_server ON runtimes (server) WHERE server IS NOT NULL;
"""
# The n-th script leads from schema n to schema n + 1. Only ever append.
MIGRATIONS: tuple[str, ...] = (_INITIAL, _LEDGER, _WARM, _SERVER)
SCHEMA_VERSION = len(MIGRATIONS)


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file, made or migrated where needed.

    Raises
    ------
    RegistryError
        When it is damaged, of a newer version, or somebody else's; it is left as it is.
    """
    ensure_private_directory(path.parent)
    _create_private(path)
    with translated(path), _directory_lock(path.parent):
        return _connect(path)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock from the first read on: a read that is upgraded can fail late."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # whatever it was: a transaction left open locks out everybody
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the database's errors into ours, naming the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path) from error


def _translate(error: sqlite3.Error, path: Path) -> RegistryError:
    words = str(error)
    if "locked" in words or "busy" in words:
        return RegistryError(
            f"the registry {path} is in use by another process",
            reason="registry_busy",
            hint="Try again; if it stays so, end the process that holds the file.",
            detail=words,
        )
    if "closed" in words:
        return RegistryError(
            f"the registry {path} has been closed", reason="registry_closed", detail=words
        )
    if "malformed" in words or "not a database" in words or "damaged" in words:
        return RegistryError(
            f"the registry {path} is damaged: {words}",
            reason="registry_damaged",
            hint="Move the file away to start with an empty registry; it was left as it is.",
            detail=words,
        )
    return RegistryError(f"the registry {path} cannot be used: {words}", detail=words)


def _create_private(path: Path) -> None:
    """Make the file before SQLite does: its journals copy the file's permissions."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise RegistryError(
            f"the registry {path} cannot be opened: {error.strerror}",
            hint="Check who owns the file and its directory.",
        ) from error
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise RegistryError(
                f"the registry {path} belongs to another user",
                reason="registry_not_ours",
                hint="Give a file in a directory of your own.",
            )
        os.fchmod(descriptor, 0o600)  # it holds the tokens of all runtimes
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    """Let one process at a time open the file: the switch to WAL does not wait its turn."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        # Everything is checked before the first write, so that a file we refuse stays untouched.
        _check_sound(connection)
        _check_version(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last commits, never the file; a killed process costs nothing.
        connection.execute("PRAGMA synchronous = NORMAL")
        _migrate(connection)
    except BaseException:  # whatever went wrong, the descriptor must not leak
        connection.close()
        raise
    return connection


def _check_sound(connection: sqlite3.Connection) -> None:
    complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if complaint != "ok":
        raise sqlite3.DatabaseError(f"damaged: {complaint}")


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    found = _version(connection)
    if found is None:
        raise RegistryError(
            f"the file {path} is a database, but not a registry of this program",
            reason="registry_foreign",
            hint="Give another path.",
        )
    if found > SCHEMA_VERSION:
        raise RegistryError(
            f"the registry {path} was written by a newer version of this package"
            f" (schema {found}; this one knows {SCHEMA_VERSION})",
            reason="registry_newer",
            hint="Upgrade jupyter_remote_kernels, or give another state directory.",
        )


def _version(connection: sqlite3.Connection) -> int | None:
    """Return the schema's version: 0 for an empty file, None for somebody else's."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if "schema_version" not in tables:
        return None if tables else 0
    return int(connection.execute("SELECT version FROM schema_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, in one transaction: a killed process leaves the old one."""
    with transaction(connection):
        version = _version(connection) or 0
        if version == 0:
            connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
            connection.execute("INSERT INTO schema_version VALUES (0)")
        for script in MIGRATIONS[version:]:
            # One by one, because executescript would commit behind our back.
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute("UPDATE schema_version SET version = ?", (SCHEMA_VERSION,))
