"""Operations: what a user waits for, with its progress, its outcome and a way to cancel it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jupyter_remote_kernels.errors import Conflict, NotFound, RemoteKernelsError

_log = logging.getLogger(__name__)
_KEPT = 200
_CLOSE_LIMIT_S = 10.0


class Tracker(Protocol):
    """Knows how far an operation is.

    Attributes
    ----------
    progress : tuple of int
        Bytes that have been moved, and how many it will be.
    step : str
        What is going on.
    """

    progress: tuple[int, int]
    step: str


@dataclass
class Operation:
    """One operation.

    Attributes
    ----------
    id : str
        Random.
    kind : str
        ``launch``, ``restart``, ``pause``, ``resume``, ``snapshot``, ``restore``,
        ``transfer`` or ``move``.
    runtime_id : str
        What it is about.
    state : str
        ``running``, ``succeeded``, ``failed`` or ``cancelled``.
    created_s, finished_s : float
        Seconds since the epoch.
    error : RemoteKernelsError or None
        Why it failed.
    result : mapping or None
        What it has told at its end, if it tells anything.
    source_id : str or None
        From which other kernel something comes.
    tracker : Tracker or None
        Who knows how far it is; otherwise the runtime does.
    """

    kind: str
    runtime_id: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: str = "running"
    created_s: float = field(default_factory=time.time)
    finished_s: float | None = None
    error: RemoteKernelsError | None = None
    result: Mapping[str, Any] | None = None
    source_id: str | None = None
    tracker: Tracker | None = None


Cancel = Callable[[], Coroutine[Any, Any, None]]


class Operations:
    """The operations of a server; made and used on one loop.

    Parameters
    ----------
    tell : callable
        Called with an operation whenever its state changes.
    """

    def __init__(self, tell: Callable[[Operation], None]) -> None:
        self._tell = tell
        self._all: OrderedDict[str, Operation] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._cancels: dict[str, Cancel] = {}

    def start(
        self,
        kind: str,
        runtime_id: str,
        work: Coroutine[Any, Any, Any],
        cancel: Cancel | None = None,
        **facts: Any,
    ) -> Operation:
        """Start an operation.

        Parameters
        ----------
        kind : str
            What it is.
        runtime_id : str
            What it is about.
        work : coroutine
            Ends when the operation has succeeded, and raises when it failed.
        cancel : callable, optional
            Undoes what was begun; without it the operation cannot be cancelled.
        **facts
            More fields of the operation.
        """
        operation = Operation(kind, runtime_id, **facts)
        self._all[operation.id] = operation
        if cancel is not None:
            self._cancels[operation.id] = cancel
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[operation.id] = task
        # Not a coroutine around the work: one that is cancelled before it starts never runs.
        task.add_done_callback(lambda ended: self._finish(operation, ended))
        self._tell(operation)
        self._drop_old()
        return operation

    def get(self, operation_id: str) -> Operation:
        """Return an operation.

        Raises
        ------
        NotFound
            When it is unknown, or so old that it was dropped.
        """
        try:
            return self._all[operation_id]
        except KeyError:
            raise NotFound(
                f"there is no operation {operation_id!r}", reason="unknown_operation"
            ) from None

    def find_running(self, kind: str, runtime_id: str) -> Operation | None:
        """Return the running operation of a kind on a runtime, if there is one."""
        wanted = (kind, runtime_id, "running")
        for item in self._all.values():
            if (item.kind, item.runtime_id, item.state) == wanted:
                return item
        return None

    def list(self) -> list[Operation]:
        """Return all operations, oldest first."""
        return [*self._all.values()]

    async def cancel(self, operation_id: str) -> Operation:
        """Cancel an operation and undo what it had begun.

        Raises
        ------
        Conflict
            When it is over, or cannot be cancelled.
        """
        operation = self.get(operation_id)
        if operation.state != "running":
            raise Conflict(f"the operation has {operation.state}", reason="operation_over")
        cancel = self._cancels.get(operation_id)
        if cancel is None:
            raise Conflict(
                f"a {operation.kind} cannot be cancelled",
                reason="not_cancellable",
                hint="Wait until it is over.",
            )
        task = self._tasks[operation_id]
        task.cancel()
        await cancel()
        # So that the answer to who cancelled says how it is now.
        await asyncio.wait({task})
        return operation

    async def close(self) -> None:
        """Cancel what is running; called at the end of the server."""
        for operation_id in self._cancels:
            self._tasks[operation_id].cancel()
        tasks = list(self._tasks.values())
        if tasks:
            # What cannot be cancelled is left half-done only when it takes too long.
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_LIMIT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _finish(self, operation: Operation, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            operation.state = "cancelled"
        elif error is None:
            operation.state = "succeeded"
            told = task.result()
            operation.result = told if isinstance(told, Mapping) and told else None
        else:
            operation.state, operation.error = "failed", _translate(operation, error)
        operation.finished_s = time.time()
        self._tasks.pop(operation.id, None)
        self._cancels.pop(operation.id, None)
        self._tell(operation)

    def _drop_old(self) -> None:
        for operation_id in list(self._all)[: max(0, len(self._all) - _KEPT)]:
            with contextlib.suppress(KeyError):
                if self._all[operation_id].state != "running":
                    del self._all[operation_id]


def _translate(operation: Operation, error: BaseException) -> RemoteKernelsError:
    """Return what to tell the user, who has to hear of every failure.

    Jupyter's managers raise whatever they like; what is not ours goes into the log as well.
    """
    if isinstance(error, RemoteKernelsError):
        return error
    _log.error("%s of %s failed", operation.kind, operation.runtime_id, exc_info=error)
    return RemoteKernelsError(str(error) or type(error).__name__)
