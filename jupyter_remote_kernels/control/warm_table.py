"""Warm jobs in the registry's file: started for nobody yet, so they are no runtimes.

A row is written before its job starts and goes away when the job is verified gone, or in the
very transaction that makes the job some runtime's.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from jupyter_remote_kernels.control.database import Run, transaction, translated
from jupyter_remote_kernels.control.documents import decode, encode
from jupyter_remote_kernels.errors import RegistryError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from jupyter_remote_kernels.model.records import RuntimeRecord

_log = logging.getLogger(__name__)


class WarmTable:
    """The table, synchronously; used on the registry's own thread.

    Parameters
    ----------
    connection : sqlite3.Connection
        The registry's.
    path : Path
        Its file, for errors.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def put(self, record: RuntimeRecord) -> None:
        """Write a warm job, new or changed."""
        with translated(self._path), transaction(self._connection):
            self._connection.execute(
                "INSERT INTO warm (id, document) VALUES (?, ?)"
                " ON CONFLICT (id) DO UPDATE SET document = excluded.document",
                (record.id, json.dumps(encode(record))),
            )

    def list(self) -> list[RuntimeRecord]:
        """Return all warm jobs, also those of other processes."""
        with translated(self._path):
            rows = self._connection.execute("SELECT id, document FROM warm").fetchall()
        found = []
        for row in rows:
            try:
                found.append(decode(*row))
            except RegistryError as error:
                # One damaged row must not hide the others from the sweep.
                _log.warning("%s: %s", error.message, error.detail)
        return found

    def delete(self, job_id: str) -> None:
        """Remove a warm job that is gone; a missing one is fine."""
        with translated(self._path), transaction(self._connection):
            self.take(job_id)

    def take(self, job_id: str) -> bool:
        """Remove a warm job inside a transaction of the caller; return whether it was there."""
        cursor = self._connection.execute("DELETE FROM warm WHERE id = ?", (job_id,))
        return cursor.rowcount == 1


class AsyncWarmTable:
    """The same for an event loop.

    Parameters
    ----------
    table : WarmTable
        The table.
    run : callable
        Runs a method on the registry's thread.
    """

    def __init__(self, table: WarmTable, run: Run) -> None:
        self._table = table
        self._run = run

    async def put(self, record: RuntimeRecord) -> None:
        """Write a warm job, new or changed."""
        await self._run(self._table.put, record)

    async def list(self) -> Sequence[RuntimeRecord]:
        """Return all warm jobs, also those of other processes."""
        found: Sequence[RuntimeRecord] = await self._run(self._table.list)
        return found

    async def delete(self, job_id: str) -> None:
        """Remove a warm job that is gone."""
        await self._run(self._table.delete, job_id)
