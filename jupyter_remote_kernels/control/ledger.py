"""The ledger: how long every runtime has been charged at which rate, in the registry's file.

An entry is opened when a job runs and closed when it has ended; nothing is written in between
but how far it had come, so that a crash loses no time and invents none. Lengths are taken from
a clock that nobody sets and that goes on while the machine sleeps; only across a reboot the
calendar has to do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.database import Run, transaction, translated
from jupyter_remote_kernels.model.credits import LedgerEntry, total
from jupyter_remote_kernels.providers.processes import boot_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

_COLUMNS = (
    "id, runtime_id, name, environment, kind, credits_per_hour, started_s, boot, started_steady_s,"
    " seconds, is_open"
)


def _steady_s() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _boot() -> str:
    try:
        return boot_id()
    except OSError:
        return ""  # then no two readings of the steady clock are ever compared


@dataclass(frozen=True)
class Clock:
    """The clocks that the ledger reads.

    Attributes
    ----------
    now_s : callable
        The calendar: seconds since the epoch.
    steady_s : callable
        Seconds since the machine's start, also those that it slept.
    boot : callable
        Names that start; empty when it cannot be told.
    """

    now_s: Callable[[], float] = time.time
    steady_s: Callable[[], float] = _steady_s
    boot: Callable[[], str] = _boot


@dataclass(frozen=True)
class _Row:
    id: int
    runtime_id: str
    name: str
    environment: str
    kind: str
    credits_per_hour: float
    started_s: float
    boot: str
    started_steady_s: float
    seconds: float
    is_open: int

    def length_s(self, clock: Clock) -> float:
        """Return how long it has lasted until now, in seconds."""
        if not self.is_open:
            return self.seconds
        boot = clock.boot()
        if boot and boot == self.boot:
            elapsed_s = clock.steady_s() - self.started_steady_s
        else:
            elapsed_s = clock.now_s() - self.started_s
        # A calendar that was set back must not take away what is charged already.
        return round(max(elapsed_s, self.seconds), 3)


class Ledger:
    """The table, synchronously; used on the registry's own thread.

    Parameters
    ----------
    connection : sqlite3.Connection
        The registry's.
    path : Path
        Its file, for errors.
    clock : Clock, optional
        A test puts its own here.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, clock: Clock | None = None
    ) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock or Clock()

    def open(self, runtime_id: str, name: str, environment: str, kind: str, rate: float) -> None:
        """Begin to charge a runtime, unless it is charged at this rate already.

        Parameters
        ----------
        runtime_id, name, environment : str
            Whose it is.
        kind : str
            ``running`` or ``paused``; an open entry of the other kind ends now.
        rate : float
            Credits per hour.
        """
        with translated(self._path), transaction(self._connection):
            for row in self._rows("runtime_id = ? AND is_open = 1", (runtime_id,)):
                if (row.kind, row.credits_per_hour) == (kind, rate):
                    return
                self._close(row, row.length_s(self._clock))
            clock = self._clock
            self._connection.execute(
                f"INSERT INTO ledger ({_COLUMNS})"  # noqa: S608
                " VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, 0, 1)",
                (
                    runtime_id,
                    name,
                    environment,
                    kind,
                    rate,
                    clock.now_s(),
                    clock.boot(),
                    clock.steady_s(),
                ),
            )

    def close(self, runtime_id: str, seconds: float | None = None) -> None:
        """End a runtime's open entry; none is fine.

        Parameters
        ----------
        runtime_id : str
            Whose.
        seconds : float, optional
            How long it had lasted, when somebody knows better than that it lasted until now.
        """
        with translated(self._path), transaction(self._connection):
            for row in self._rows("runtime_id = ? AND is_open = 1", (runtime_id,)):
                self._close(row, row.length_s(self._clock) if seconds is None else seconds)

    def close_as_seen(self, runtime_id: str) -> None:
        """End a runtime's open entry where it was last seen: nobody knows when it really ended."""
        with translated(self._path), transaction(self._connection):
            for row in self._rows("runtime_id = ? AND is_open = 1", (runtime_id,)):
                self._close(row, row.seconds)

    def mark(self, runtime_ids: Sequence[str]) -> None:
        """Write down how far the open entries of some runtimes have come."""
        with translated(self._path), transaction(self._connection):
            for runtime_id in runtime_ids:
                for row in self._rows("runtime_id = ? AND is_open = 1", (runtime_id,)):
                    self._connection.execute(
                        "UPDATE ledger SET seconds = ? WHERE id = ?",
                        (row.length_s(self._clock), row.id),
                    )

    def list(self, since_s: float = 0.0) -> list[LedgerEntry]:
        """Return the entries that reach beyond a moment, newest first, cut off at that moment."""
        with translated(self._path):
            rows = self._rows("is_open = 1 OR started_s + seconds > ?", (since_s,))
        entries = (self._entry(row).since(since_s) for row in rows)
        return sorted(
            (entry for entry in entries if entry is not None),
            key=lambda entry: entry.started_s,
            reverse=True,
        )

    def charged(self, runtime_ids: Sequence[str]) -> dict[str, float]:
        """Return the credits that runtimes have cost until now, by id."""
        costs: dict[str, float] = {}
        with translated(self._path):
            for runtime_id in runtime_ids:
                rows = self._rows("runtime_id = ?", (runtime_id,))
                costs[runtime_id] = total(map(self._entry, rows))
        return costs

    def _rows(self, condition: str, values: tuple[Any, ...]) -> Sequence[_Row]:
        found = self._connection.execute(
            f"SELECT {_COLUMNS} FROM ledger WHERE {condition} ORDER BY id",  # noqa: S608
            values,
        )
        return [_Row(*row) for row in found]

    def _close(self, row: _Row, seconds: float) -> None:
        self._connection.execute(
            "UPDATE ledger SET is_open = 0, seconds = ? WHERE id = ?",
            (round(max(0.0, seconds), 3), row.id),
        )

    def _entry(self, row: _Row) -> LedgerEntry:
        return LedgerEntry(
            runtime_id=row.runtime_id,
            name=row.name,
            environment=row.environment,
            kind=row.kind,
            credits_per_hour=row.credits_per_hour,
            started_s=row.started_s,
            seconds=row.length_s(self._clock),
            is_open=bool(row.is_open),
        )


class AsyncLedger:
    """The same for an event loop.

    Parameters
    ----------
    ledger : Ledger
        The table.
    run : callable
        Runs a method on the registry's thread.
    """

    def __init__(self, ledger: Ledger, run: Run) -> None:
        self._ledger = ledger
        self._run = run

    async def open(
        self, runtime_id: str, name: str, environment: str, kind: str, rate: float
    ) -> None:
        """Begin to charge a runtime; see :meth:`Ledger.open`."""
        await self._run(self._ledger.open, runtime_id, name, environment, kind, rate)

    async def close(self, runtime_id: str, seconds: float | None = None) -> None:
        """End a runtime's open entry; see :meth:`Ledger.close`."""
        await self._run(self._ledger.close, runtime_id, seconds)

    async def close_as_seen(self, runtime_id: str) -> None:
        """End a runtime's open entry where it was last seen."""
        await self._run(self._ledger.close_as_seen, runtime_id)

    async def mark(self, runtime_ids: Sequence[str]) -> None:
        """Write down how far some open entries have come."""
        await self._run(self._ledger.mark, runtime_ids)

    async def charged(self, runtime_ids: Sequence[str]) -> dict[str, float]:
        """Return the credits that runtimes have cost until now, by id."""
        found: dict[str, float] = await self._run(self._ledger.charged, runtime_ids)
        return found

    async def list(self, since_s: float = 0.0) -> Sequence[LedgerEntry]:
        """Return entries; see :meth:`Ledger.list`."""
        found: Sequence[LedgerEntry] = await self._run(self._ledger.list, since_s)
        return found
