"""The registry: what is known about every runtime, in one SQLite file.

It is shared by all processes of a user. Every method is one transaction. A column exists only
for what is searched or must be unique; the rest is one JSON document per record, so that a new
field needs no migration and a field of a newer version survives being updated by an older one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_remote_kernels.control.database import open_database, transaction, translated
from jupyter_remote_kernels.control.documents import decode, encode
from jupyter_remote_kernels.control.ledger import AsyncLedger, Ledger
from jupyter_remote_kernels.control.warm_table import AsyncWarmTable, WarmTable
from jupyter_remote_kernels.errors import Conflict, NotFound, RegistryError
from jupyter_remote_kernels.model.limits import UserLimits, check_user
from jupyter_remote_kernels.model.phases import FINAL_PHASES, Phase
from jupyter_remote_kernels.model.records import Owner, RuntimeRecord

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

_log = logging.getLogger(__name__)

# Inside the classes below, ``list`` is a method.
Records = list[RuntimeRecord]
Result = TypeVar("Result")


class Registry:
    """The database, synchronously. Use it from one thread at a time.

    Parameters
    ----------
    path : path-like
        The file; made with mode 0600, in a directory made with mode 0700.

    Raises
    ------
    RegistryError
        When the file is damaged, of a newer version, or somebody else's; it is left as it is.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._connection = open_database(self._path)
        self.ledger = Ledger(self._connection, self._path)
        self.warm = WarmTable(self._connection, self._path)

    @property
    def path(self) -> Path:
        """Where the database lies."""
        return self._path

    def insert(self, record: RuntimeRecord, limits: UserLimits | None = None) -> None:
        """Add a record.

        Parameters
        ----------
        record : RuntimeRecord
            The record.
        limits : UserLimits, optional
            Looked at in the same transaction, so that two processes cannot pass them together.

        Raises
        ------
        Conflict
            When its id is known, or its client token is that of a living runtime, or its job
            was a warm one that is not there any more.
        LimitExceeded
            When the living runtimes have too much already.
        """
        with self._transaction() as connection:
            if limits is not None:
                living = [item.environment.resources for item in _living(connection)]
                check_user(limits, living, record.environment.resources)
            if record.job_id is not None and not self.warm.take(record.job_id):
                raise Conflict("the warm job is gone", reason="warm_job_gone")
            try:
                connection.execute(
                    "INSERT INTO runtimes (id, phase, target, owner_id, client_token, created_s,"
                    " server, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (record.id, *_columns(record), json.dumps(encode(record))),
                )
            except sqlite3.IntegrityError as error:
                raise _duplicate(record, error) from error

    def get(self, runtime_id: str) -> RuntimeRecord | None:
        """Return a record, or None when there is none of this id."""
        with translated(self._path):
            document = _select(self._connection, runtime_id)
        return None if document is None else decode(runtime_id, document)

    def list(self) -> Records:
        """Return all records, oldest first. An unreadable one is logged and left out."""
        with translated(self._path):
            rows = self._connection.execute(
                "SELECT id, document FROM runtimes ORDER BY created_s, id"
            ).fetchall()
        return list(_readable(rows))

    def list_living(self) -> Records:
        """Return the records of runtimes that have not ended; see :meth:`list`."""
        with translated(self._path):
            return _living(self._connection)

    def list_of_server(self, server: str) -> Records:
        """Return the records of a Jupyter server's runtimes; see :meth:`list`."""
        with translated(self._path):
            rows = self._connection.execute(
                "SELECT id, document FROM runtimes WHERE server = ? ORDER BY created_s, id",
                (server,),
            ).fetchall()
        return list(_readable(rows))

    def update(self, runtime_id: str, **fields: Any) -> RuntimeRecord:
        """Change some fields of a record and return it as it is now.

        Raises
        ------
        NotFound
            When there is no such record.
        Conflict
            When it would come to life beside another runtime of the same client token.
        """
        with self._transaction() as connection:
            document = _select(connection, runtime_id)
            if document is None:
                raise NotFound(f"there is no runtime {runtime_id!r}", reason="unknown_runtime")
            record = decode(runtime_id, document).changed(**fields)
            _write(connection, record, document)
            return record

    def claim(self, runtime_id: str, from_owner_id: str | None, to: Owner) -> bool:
        """Take a record over, if nobody else was faster.

        Parameters
        ----------
        runtime_id : str
            The record.
        from_owner_id : str or None
            The owner it is taken from; the caller has found that owner dead.
        to : Owner
            The new owner.

        Returns
        -------
        bool
            Whether the record is now the new owner's.
        """
        with self._transaction() as connection:
            document = _select(connection, runtime_id)
            if document is None:
                return False
            record = decode(runtime_id, document)
            if (record.owner.id if record.owner else None) != from_owner_id:
                return False
            _write(connection, record.changed(owner=to), document)
            return True

    def delete(self, runtime_id: str) -> None:
        """Remove a record; a missing one is fine."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM runtimes WHERE id = ?", (runtime_id,))

    def prune(self, older_than_s: float) -> int:
        """Drop records of runtimes that ended long ago.

        A failed record that still has a checkpoint stays: its job has not been seen to be gone.

        Parameters
        ----------
        older_than_s : float
            How long ago, in seconds.

        Returns
        -------
        int
            How many were dropped.
        """
        limit_s = time.time() - older_than_s
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT id, document FROM runtimes WHERE phase IN (?, ?)",
                tuple(sorted(phase.value for phase in FINAL_PHASES)),
            ).fetchall()
            old = [(record.id,) for record in _readable(rows) if _is_over(record, limit_s)]
            connection.executemany("DELETE FROM runtimes WHERE id = ?", old)
            return len(old)

    def remember_kernel_info(self, environment: str, content: Mapping[str, Any]) -> None:
        """Keep what a kernel of this environment answered, for stand-ins of later ones."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO kernel_info (environment, content) VALUES (?, ?)"
                " ON CONFLICT (environment) DO UPDATE SET content = excluded.content",
                (environment, json.dumps(dict(content))),
            )

    def recall_kernel_info(self, environment: str) -> dict[str, Any] | None:
        """Return what a kernel of this environment answered last, if any did."""
        with translated(self._path):
            row = self._connection.execute(
                "SELECT content FROM kernel_info WHERE environment = ?", (environment,)
            ).fetchone()
        if row is None:
            return None
        content: dict[str, Any] = json.loads(row[0])
        return content

    def close(self) -> None:
        """Close the file. May be called again."""
        with translated(self._path):
            self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path), transaction(self._connection):
            yield self._connection


class AsyncRegistry:
    """The same methods for an event loop, run one after the other on one thread of their own.

    Made by :meth:`open`. A call that is cancelled while it waits may still be carried out.
    """

    def __init__(self, registry: Registry, executor: ThreadPoolExecutor) -> None:
        self._registry = registry
        self._executor = executor
        self.ledger = AsyncLedger(registry.ledger, self._run)
        self.warm = AsyncWarmTable(registry.warm, self._run)

    @classmethod
    async def open(cls, path: str | os.PathLike[str]) -> AsyncRegistry:
        """Open the registry; see :class:`Registry` for what can go wrong."""
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")
        loop = asyncio.get_running_loop()
        try:
            registry = await loop.run_in_executor(executor, Registry, path)
        except BaseException:  # cancelled or refused: either way the thread must not stay
            executor.shutdown(wait=False)
            raise
        return cls(registry, executor)

    @property
    def path(self) -> Path:
        """Where the database lies."""
        return self._registry.path

    async def insert(self, record: RuntimeRecord, limits: UserLimits | None = None) -> None:
        """Add a record; see :meth:`Registry.insert`."""
        await self._run(self._registry.insert, record, limits)

    async def get(self, runtime_id: str) -> RuntimeRecord | None:
        """Return a record, or None when there is none of this id."""
        return await self._run(self._registry.get, runtime_id)

    async def list(self) -> Records:
        """Return all records, oldest first."""
        return await self._run(self._registry.list)

    async def list_living(self) -> Records:
        """Return the records of runtimes that have not ended."""
        return await self._run(self._registry.list_living)

    async def list_of_server(self, server: str) -> Records:
        """Return the records of a Jupyter server's runtimes."""
        return await self._run(self._registry.list_of_server, server)

    async def update(self, runtime_id: str, **fields: Any) -> RuntimeRecord:
        """Change some fields of a record; see :meth:`Registry.update`."""
        return await self._run(functools.partial(self._registry.update, runtime_id, **fields))

    async def claim(self, runtime_id: str, from_owner_id: str | None, to: Owner) -> bool:
        """Take a record over, if nobody else was faster; see :meth:`Registry.claim`."""
        return await self._run(self._registry.claim, runtime_id, from_owner_id, to)

    async def delete(self, runtime_id: str) -> None:
        """Remove a record; a missing one is fine."""
        await self._run(self._registry.delete, runtime_id)

    async def prune(self, older_than_s: float) -> int:
        """Drop records of runtimes that ended long ago; see :meth:`Registry.prune`."""
        return await self._run(self._registry.prune, older_than_s)

    async def remember_kernel_info(self, environment: str, content: Mapping[str, Any]) -> None:
        """Keep what a kernel of this environment answered."""
        await self._run(self._registry.remember_kernel_info, environment, content)

    async def recall_kernel_info(self, environment: str) -> dict[str, Any] | None:
        """Return what a kernel of this environment answered last, if any did."""
        return await self._run(self._registry.recall_kernel_info, environment)

    async def close(self) -> None:
        """Finish what is under way, close the file and end the thread. May be called again."""
        with contextlib.suppress(RegistryError):
            await self._run(self._registry.close)
        # Nothing is left in its queue, so this does not block; only the thread has to end.
        self._executor.shutdown(wait=True)

    async def _run(self, call: Callable[..., Result], *arguments: Any) -> Result:
        try:
            future = self._executor.submit(call, *arguments)
        except RuntimeError as error:  # the executor's way to say that it has been shut down
            raise RegistryError(
                f"the registry {self.path} has been closed", reason="registry_closed"
            ) from error
        return await asyncio.wrap_future(future)


def _duplicate(record: RuntimeRecord, error: sqlite3.IntegrityError) -> Conflict:
    if "client_token" in str(error):
        return Conflict(
            "another living runtime has this client token",
            reason="client_token_in_use",
            hint="Use another token, or stop the other runtime.",
        )
    return Conflict(f"there is a runtime {record.id!r} already", reason="runtime_exists")


def _living(connection: sqlite3.Connection) -> Records:
    rows = connection.execute(
        "SELECT id, document FROM runtimes WHERE phase NOT IN (?, ?) ORDER BY created_s, id",
        tuple(sorted(phase.value for phase in FINAL_PHASES)),
    )
    return list(_readable(rows.fetchall()))


def _select(connection: sqlite3.Connection, runtime_id: str) -> str | None:
    row = connection.execute("SELECT document FROM runtimes WHERE id = ?", (runtime_id,)).fetchone()
    return None if row is None else str(row[0])


def _write(connection: sqlite3.Connection, record: RuntimeRecord, before: str) -> None:
    document = {**json.loads(before), **encode(record)}  # keeps keys of a newer version
    try:
        connection.execute(
            "UPDATE runtimes SET phase = ?, target = ?, owner_id = ?, client_token = ?,"
            " created_s = ?, server = ?, document = ? WHERE id = ?",
            (*_columns(record), json.dumps(document), record.id),
        )
    except sqlite3.IntegrityError as error:
        raise _duplicate(record, error) from error


def _columns(record: RuntimeRecord) -> tuple[str | float | None, ...]:
    owner_id = record.owner.id if record.owner else None
    return (
        record.phase.value,
        record.target.value,
        owner_id,
        record.client_token,
        record.created_s,
        record.server,
    )


def _readable(rows: Iterable[tuple[str, str]]) -> Iterator[RuntimeRecord]:
    return filter(None, (_decode_or_log(*row) for row in rows))


def _decode_or_log(runtime_id: str, document: str) -> RuntimeRecord | None:
    try:
        return decode(runtime_id, document)
    except RegistryError as error:
        # One damaged record must not hide the others from their owners.
        _log.warning("%s: %s", error.message, error.detail)
        return None


def _is_over(record: RuntimeRecord, limit_s: float) -> bool:
    if record.phase is Phase.FAILED and record.checkpoint is not None:
        return False
    ended_s = record.created_s if record.ended_s is None else record.ended_s
    return ended_s < limit_s
