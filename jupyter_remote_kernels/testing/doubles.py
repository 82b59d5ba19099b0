"""Providers for tests: one with a queue, one that fails or blocks at a named point.

Both implement the interface themselves and let another provider run the jobs. A test in this
process puts one in place with :func:`installed`; a server in a process of its own finds them,
by the names ``queueing`` and ``failing``, when :func:`write_entry_points` made a folder that
is on its ``PYTHONPATH``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import ProviderError, ProviderUnavailable
from jupyter_remote_kernels.model.environments import Resources
from jupyter_remote_kernels.providers.base import (
    Checkpoint,
    Endpoint,
    JobSpec,
    JobState,
    JobStatus,
    Provider,
)
from jupyter_remote_kernels.providers.local import LocalProvider
from jupyter_remote_kernels.providers.registry import GROUP, load_provider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

QUEUE_VARIABLE = "JUPYTER_REMOTE_KERNELS_TEST_QUEUE"
# What ``installed`` has in place; entry points lead here.
_installed: dict[str, Provider] = {}


class QueueingProvider(Provider):
    """An engine with a queue: jobs wait until they are released or their time has come.

    The queue is a folder, so that it outlives this process as an engine's would; it moves on
    whenever it is asked. Options: ``queue_s``, how long a job waits in seconds (for ever by
    default); all others are the inner provider's.

    Parameters
    ----------
    inner : Provider, optional
        Runs the jobs; a local provider by default.
    folder : path-like, optional
        The queue; else the folder that ``JUPYTER_REMOTE_KERNELS_TEST_QUEUE`` names.
    """

    name = "queueing"
    capabilities = frozenset({"queue", "logs"})
    poll_interval_s = 0.1

    def __init__(
        self, inner: Provider | None = None, folder: str | os.PathLike[str] | None = None
    ) -> None:
        self._inner = inner or LocalProvider()
        named = folder or os.environ.get(QUEUE_VARIABLE) or tempfile.mkdtemp(prefix="queue-")
        self._folder = Path(named)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A job that is just leaving the queue must not be missed by a stop.
        self._moving = asyncio.Lock()

    def release(self, label: str) -> None:
        """Let a job leave the queue the next time that somebody asks about it."""
        ticket = self._read(label)
        if ticket is not None:
            self._write(label, {**ticket, "due_s": 0.0})

    async def start(self, spec: JobSpec) -> AsyncGenerator[Checkpoint, None]:
        """Put a job into the queue."""
        checkpoint = {"label": spec.label, "directory": spec.directory}
        yield checkpoint
        options = dict(spec.options)
        queue_s = options.pop("queue_s", None)
        ticket = {
            "spec": {**vars(spec), "options": options, "resources": spec.resources.to_json()},
            "due_s": None if queue_s is None else time.time() + queue_s,
            "job": None,
        }
        self._write(spec.label, ticket)
        yield {**checkpoint, "complete": True}

    async def poll(self, checkpoints: Sequence[Checkpoint]) -> list[JobStatus]:
        """Move the queue on and answer for each job."""
        async with self._moving:
            return [await self._poll_one(item["label"]) for item in checkpoints]

    async def stop(self, checkpoint: Checkpoint, grace_s: float) -> None:
        """Take a job out of the queue, and end it when it runs."""
        label = checkpoint["label"]
        async with self._moving:
            ticket = self._read(label)
            if ticket is not None and ticket["job"] is not None:
                await self._inner.stop(ticket["job"], grace_s)
            for found in await self._inner.recover(label):
                await self._inner.stop(found, grace_s)
            self._path(label).unlink(missing_ok=True)

    async def endpoint(self, checkpoint: Checkpoint) -> Endpoint:
        """Tell the address of a job that has left the queue."""
        ticket = self._read(checkpoint["label"])
        if not checkpoint.get("complete") or ticket is None or ticket["job"] is None:
            raise ProviderError("the job does not run", reason="job_not_running")
        return await self._inner.endpoint(ticket["job"])

    async def recover(
        self, label: str, options: Mapping[str, Any] | None = None
    ) -> list[Checkpoint]:
        """Look into the queue."""
        ticket = self._read(label)
        if ticket is None:
            return []
        return [{"label": label, "directory": ticket["spec"]["directory"], "complete": True}]

    async def _poll_one(self, label: str) -> JobStatus:
        ticket = self._read(label)
        if ticket is None:
            return JobStatus(JobState.MISSING, "the queue does not know this job")
        if ticket["job"] is None:
            if ticket["due_s"] is None or time.time() < ticket["due_s"]:
                return JobStatus(JobState.QUEUED, "Waiting for resources (position 3)")
            spec = dict(ticket["spec"])
            spec["resources"] = Resources.from_json(spec["resources"])
            async for job in self._inner.start(JobSpec(**spec)):
                self._write(label, {**ticket, "job": dict(job)})
            ticket = self._read(label) or ticket
        return (await self._inner.poll([ticket["job"]]))[0]

    def _path(self, label: str) -> Path:
        return self._folder / f"{label}.json"

    def _read(self, label: str) -> dict[str, Any] | None:
        try:
            ticket: dict[str, Any] = json.loads(self._path(label).read_text())
        except FileNotFoundError:
            return None
        return ticket

    def _write(self, label: str, ticket: Mapping[str, Any]) -> None:
        unfinished = self._path(label).with_suffix(".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(ticket, file, default=dict)
        unfinished.replace(self._path(label))


class FailingProvider(Provider):
    """Misbehaves once at a named point, and is like the inner provider everywhere else.

    Points are ``start:0`` (before the first checkpoint), ``start:1`` (after the first one was
    committed) and so on, ``start:end`` (after the last one), ``poll``, ``stop``, ``endpoint``
    and ``recover``. The ways are ``fail`` (the engine refuses), ``unavailable`` (it cannot be
    asked), ``block`` (until :meth:`release`) and ``kill`` (this process dies, as by power cut).
    The options ``fail_at``, ``fail_how`` and ``fail_times`` of a job say so too.

    Parameters
    ----------
    inner : Provider, optional
        Does the work; a local provider by default.
    at, how : str
        The point and the way.
    times : int
        How often; -1 is always.
    """

    name = "failing"
    capabilities = frozenset({"logs"})
    poll_interval_s = 0.1

    def __init__(
        self, inner: Provider | None = None, at: str = "", how: str = "fail", times: int = 1
    ) -> None:
        self._inner = inner or LocalProvider()
        self._at, self._how, self._times = at, how, times
        self._reached = asyncio.Event()
        self._released = asyncio.Event()

    async def wait_reached(self) -> None:
        """Wait until the point is reached."""
        await self._reached.wait()

    def release(self) -> None:
        """Let go what is blocked at the point; call it on the provider's loop."""
        self._released.set()

    async def start(self, spec: JobSpec) -> AsyncGenerator[Checkpoint, None]:
        """Start a job with the inner provider, checkpoint by checkpoint."""
        options = dict(spec.options)
        self._at = options.pop("fail_at", self._at)
        self._how = options.pop("fail_how", self._how)
        self._times = options.pop("fail_times", self._times)
        await self._pass("start:0")
        count = 0
        async for checkpoint in self._inner.start(JobSpec(**{**vars(spec), "options": options})):
            if count:
                # The inner provider has done its next step, and nobody knows of it yet.
                await self._pass(f"start:{count}")
            count += 1
            yield checkpoint
        await self._pass("start:end")

    async def poll(self, checkpoints: Sequence[Checkpoint]) -> list[JobStatus]:
        """Ask the inner provider; an engine that fails makes everything unknown."""
        try:
            await self._pass("poll")
        except ProviderError as error:
            return [JobStatus(JobState.UNKNOWN, error.message)] * len(checkpoints)
        return await self._inner.poll(checkpoints)

    async def stop(self, checkpoint: Checkpoint, grace_s: float) -> None:
        """Stop with the inner provider."""
        await self._pass("stop")
        await self._inner.stop(checkpoint, grace_s)

    async def endpoint(self, checkpoint: Checkpoint) -> Endpoint:
        """Ask the inner provider."""
        await self._pass("endpoint")
        return await self._inner.endpoint(checkpoint)

    async def recover(
        self, label: str, options: Mapping[str, Any] | None = None
    ) -> list[Checkpoint]:
        """Ask the inner provider."""
        await self._pass("recover")
        return await self._inner.recover(label, options)

    async def _pass(self, point: str) -> None:
        if point != self._at or self._times == 0:
            return
        self._times -= 1
        self._reached.set()
        if self._how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._how == "block":
            await self._released.wait()
        elif self._how == "unavailable":
            raise ProviderUnavailable(f"the engine cannot be asked ({point})")
        else:
            raise ProviderError(f"the engine refused ({point})")


def write_entry_points(
    folder: str | os.PathLike[str], points: Mapping[str, str] | None = None
) -> Path:
    """Write what an installed package with providers would have written.

    Parameters
    ----------
    folder : path-like
        Put it on ``PYTHONPATH`` or ``sys.path``.
    points : mapping of str to str, optional
        Entry points by provider name; the doubles of this module by default.

    Returns
    -------
    Path
        The folder.
    """
    module = __name__
    points = points or {
        QueueingProvider.name: f"{module}:{QueueingProvider.__name__}",
        FailingProvider.name: f"{module}:{FailingProvider.__name__}",
    }
    about = Path(folder) / "jupyter_remote_kernels_doubles-0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: jupyter-remote-kernels-doubles\nVersion: 0\n"
    )
    lines = [f"{name} = {target}" for name, target in points.items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    return Path(folder)


@contextlib.contextmanager
def installed(provider: Provider, name: str | None = None) -> Iterator[Provider]:
    """Let this process find one provider instance, as if a package with it was installed.

    Parameters
    ----------
    provider : Provider
        What to find.
    name : str, optional
        Under which name; the provider's own by default. May hide an installed one.
    """
    key = name or provider.name
    attribute = f"provider_{len(_installed)}_{id(provider)}"
    _installed[attribute] = provider
    with tempfile.TemporaryDirectory(prefix="providers-") as folder:
        # First on the path, so that its entry points hide others of the same name.
        sys.path.insert(0, str(write_entry_points(folder, {key: f"{__name__}:{attribute}"})))
        _forget_providers()
        try:
            yield provider
        finally:
            sys.path.remove(folder)
            del _installed[attribute]
            _forget_providers()


def _forget_providers() -> None:
    importlib.invalidate_caches()
    load_provider.cache_clear()


def __getattr__(name: str) -> Callable[[], Provider]:
    """Resolve the entry points of :func:`installed`, which call what they find."""
    if name not in _installed:
        raise AttributeError(name)
    return lambda: _installed[name]
