"""Asking a host about its jobs: all who ask at the same time are answered by one command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import ProviderError
from jupyter_remote_kernels.providers.base import Checkpoint, JobState, JobStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Ask = Callable[[Sequence[Checkpoint]], Awaitable[Sequence[Mapping[str, Any]]]]

_SAME = ("host", "user", "port", "ssh_config", "proxy_jump", "connect_timeout_s", "directory")


class Polling:
    """Collects questions by host; when fifty links are lost at once, they are one question.

    Parameters
    ----------
    ask : callable
        Asks one host about jobs that are all there; returns what the far side says of each.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._waiting: dict[str, list[tuple[Checkpoint, asyncio.Future[JobStatus]]]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def look(self, checkpoint: Checkpoint) -> JobStatus:
        """Return the status of one job, not older than this call."""
        key = _host_of(checkpoint)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[JobStatus] = loop.create_future()
        self._waiting.setdefault(key, []).append((checkpoint, answer))
        if key not in self._asking:
            self._asking[key] = loop.create_task(self._answer(key))
        return await answer

    async def close(self) -> None:
        """Give up what is being asked; who waits is told that nothing is known."""
        for task in list(self._asking.values()):
            task.cancel()
            await asyncio.wait({task})

    async def _answer(self, key: str) -> None:
        waiting: list[tuple[Checkpoint, asyncio.Future[JobStatus]]] = []
        statuses: Sequence[JobStatus] = []
        try:
            while waiting := self._waiting.pop(key, []):
                statuses = await self._ask_once([checkpoint for checkpoint, _ in waiting])
                _tell(waiting, statuses)
        finally:
            del self._asking[key]
            # Nothing is left here unless this was cancelled or a mistake is on its way up.
            waiting += self._waiting.pop(key, [])
            _tell(waiting, [JobStatus(JobState.UNKNOWN, "it was not asked")] * len(waiting))

    async def _ask_once(self, checkpoints: Sequence[Checkpoint]) -> list[JobStatus]:
        try:
            told = await self._ask(checkpoints)
        except ProviderError as error:
            return [JobStatus(JobState.UNKNOWN, error.message)] * len(checkpoints)
        name = checkpoints[0]["options"]["host"]
        return [_status(item, name) for item in told]


def _tell(
    waiting: Sequence[tuple[Checkpoint, asyncio.Future[JobStatus]]], statuses: Sequence[JobStatus]
) -> None:
    for (_, answer), status in zip(waiting, statuses, strict=True):
        if not answer.done():
            answer.set_result(status)


def _host_of(checkpoint: Checkpoint) -> str:
    """Return what the jobs have in common that can be asked about with one command."""
    return repr([checkpoint["options"].get(key) for key in _SAME])


def _status(told: Mapping[str, Any], name: str) -> JobStatus:
    """Return what the far side has said in our vocabulary."""
    log = str(told.get("log") or "")
    if told["state"] == "running":
        return JobStatus(JobState.RUNNING, log_tail=log)
    ending = told.get("ending")
    if isinstance(ending, dict):
        return JobStatus(JobState.SUCCEEDED, "the agent has ended", log_tail=log, ending=ending)
    if told.get("is_rebooted"):
        return JobStatus(JobState.FAILED, f"the host {name} was started again", log_tail=log)
    if told["state"] == "ended":
        return JobStatus(JobState.FAILED, "the agent's process is gone", log_tail=log)
    return JobStatus(JobState.MISSING, f"the host {name} does not know it", log_tail=log)
