"""Warm pools: jobs whose kernels run already, handed out at a launch and made anew.

A warm job is a job like any other, under a label of its own, that belongs to no runtime yet. It
is in the registry before it starts, so whatever happens to this process, it is found again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import sys
import time
import uuid
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.job import stop_all
from jupyter_remote_kernels.control.job_files import remove_directory
from jupyter_remote_kernels.control.job_spec import make_spec
from jupyter_remote_kernels.errors import InvalidInput, LaunchFailed, RemoteKernelsError
from jupyter_remote_kernels.link.agent_client import AgentClient
from jupyter_remote_kernels.model.records import KernelCommand, Owner, RuntimeRecord
from jupyter_remote_kernels.protocol.frames import AGENT_CHANNEL, SUBPROTOCOL, Buffer, decode
from jupyter_remote_kernels.protocol.messages import unpack
from jupyter_remote_kernels.protocol.nursery import list_early
from jupyter_remote_kernels.providers.registry import load_provider

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from jupyter_remote_kernels.control.launch import LaunchRequest
    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.link.websocket import Websocket
    from jupyter_remote_kernels.model.environments import Environment
    from jupyter_remote_kernels.providers.base import Provider

_log = logging.getLogger(__name__)
_RETRY_FIRST_S = 1.0
_RETRY_LAST_S = 300.0
# The launch that has just taken one needs the processor more than its successor does.
_REFILL_PAUSE_S = 0.5
# What a kernel reads while it starts, beside what every Python does.
_STARTUP = re.compile(r"IPYTHON\w*|JUPYTER\w*|IPYKERNEL\w*|PYDEVD\w*|DEBUGPY\w*")


class WarmJob:
    """One job with a kernel that runs for nobody yet.

    Parameters
    ----------
    record : RuntimeRecord
        As it is in the registry's table of warm jobs.
    """

    def __init__(self, record: RuntimeRecord) -> None:
        self.record = record
        self.ready = asyncio.Event()
        self.over = asyncio.Event()
        self._client: AgentClient | None = None
        self._channels: Websocket | None = None

    async def connect(self, provider: Provider) -> None:
        """Connect to its agent, which then waits for us and not for its silence clock."""
        if self.record.checkpoint is None:
            raise LaunchFailed("the warm job has no checkpoint")
        endpoint = await provider.endpoint(self.record.checkpoint)
        self._client = AgentClient(endpoint, self.record.id, self.record.token)
        # Nothing of it has to be kept over a lost connection.
        self._channels = await self._client.open_channels(
            uuid.uuid4().hex, self._receive, (SUBPROTOCOL,)
        )

    def disconnect(self) -> None:
        """Let go of its agent."""
        if self._channels is not None:
            self._channels.close()
            self._channels = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def _receive(self, data: Buffer | None) -> None:
        if data is None:
            self.over.set()
            return
        with contextlib.suppress(InvalidInput):
            channel, parts = decode(data)
            event = unpack(parts[0]).get("event") if channel == AGENT_CHANNEL else None
            if event == "kernel_ready":
                self.ready.set()
            elif event in ("kernel_exited", "agent_ending"):
                self.over.set()


class Pool:
    """The warm jobs of one environment. Used on the control plane's loop.

    Parameters
    ----------
    environment : Environment
        What they are for; a changed one has another pool.
    services : Services
        Registry, settings and background loop.
    owner : Owner
        This process.
    """

    def __init__(self, environment: Environment, services: Services, owner: Owner) -> None:
        self.environment = environment
        self._services = services
        self._owner = owner
        self._command = KernelCommand(make_argv(environment))
        self._ready: list[WarmJob] = []
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._watchers: set[asyncio.Task[None]] = set()
        self._keeper = services.background.spawn(self._keep(), f"warm {environment.name}")

    @property
    def size(self) -> int:
        """How many are ready now."""
        return len(self._ready)

    def fits(self, request: LaunchRequest) -> bool:
        """Tell whether a launch asks for what these kernels are, and nothing else."""
        names = request.command.env
        return (
            request.environment.to_json() == self.environment.to_json()
            and tuple(request.command.argv) == self._command.argv
            and not request.volumes
            and not list_early(names)
            and not any(_STARTUP.fullmatch(name) for name in names)
        )

    def take(self) -> RuntimeRecord | None:
        """Hand one out, which is nobody else's from then on; None when there is none."""
        while self._ready:
            job = self._ready.pop(0)
            self._wanted.set()
            is_over = job.over.is_set()
            try:
                job.disconnect()
            finally:
                job.over.set()  # who waits for that would keep the pool from closing
            if not is_over:
                return job.record
        return None

    async def close(self) -> None:
        """End all of them, and make no more."""
        self._keeper.cancel()
        await asyncio.wait({self._keeper})
        for job in self._ready:
            job.over.set()
        if self._watchers:
            await asyncio.wait(self._watchers)

    async def _keep(self) -> None:
        """Make one at a time for as long as one is missing."""
        delay_s, pause_s = _RETRY_FIRST_S, 0.0
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await asyncio.sleep(pause_s)
            while len(self._ready) < self.environment.warm:
                try:
                    await self._add()
                    delay_s = _RETRY_FIRST_S
                except Exception as error:  # noqa: BLE001 - see the next line
                    # Whatever a provider raises: launches go on without, and it may come right.
                    _log.warning("no warm kernel for %s: %s", self.environment.name, error)
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 2, _RETRY_LAST_S)
            pause_s = _REFILL_PAUSE_S

    async def _add(self) -> None:
        record = RuntimeRecord(
            id=str(uuid.uuid4()),
            name=f"warm {self.environment.name}",
            environment=self.environment,
            command=self._command,
            token=secrets.token_urlsafe(32),
            owner=self._owner,
            created_s=time.time(),
        )
        job = WarmJob(record)
        try:
            await self._start(job)
        except BaseException:  # also when it is cancelled: nothing may stay that nobody uses
            job.disconnect()
            self._watch(discard(job.record, self._services))
            raise
        self._ready.append(job)
        self._watch(self._discard_when_over(job))

    async def _start(self, job: WarmJob) -> None:
        registry, provider = self._services.registry, load_provider(self.environment.provider)
        await registry.warm.put(job.record)
        spec = await asyncio.to_thread(make_spec, job.record, self._services, is_warm=True)
        async with aclosing(provider.start(spec)) as checkpoints:
            async for checkpoint in checkpoints:
                job.record = job.record.changed(checkpoint=checkpoint)
                await registry.warm.put(job.record)
        await job.connect(provider)
        limit_s = self._services.settings.start_timeout_s
        waiting = {asyncio.ensure_future(event.wait()) for event in (job.ready, job.over)}
        try:
            await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiting:
                waiter.cancel()
        if job.over.is_set() or not job.ready.is_set():
            raise LaunchFailed("its kernel did not come up; see the log of its environment")

    def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._services.background.spawn(work, f"warm job of {self.environment.name}")
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _discard_when_over(self, job: WarmJob) -> None:
        """Throw a dead one away; one that was handed out is somebody else's."""
        await job.over.wait()
        if job in self._ready:
            self._ready.remove(job)
            self._wanted.set()
            job.disconnect()
            await discard(job.record, self._services)


class WarmPools:
    """The pools of all environments, and what providers keep ready for them.

    Parameters
    ----------
    services : Services
        What they share.
    owner : Owner
        This process.
    """

    def __init__(self, services: Services, owner: Owner) -> None:
        self._services = services
        self._owner = owner
        self._pools: dict[str, Pool] = {}
        self._prepared: set[str] = set()
        self._changing = asyncio.Lock()

    async def set_environments(self, environments: Sequence[Environment]) -> None:
        """Be ready for launches of these environments, and of no others.

        Called by a server at its start, at every change of its environments, and with none at
        its end. Programs that launch once do not call it.
        """
        async with self._changing:
            wanted = {item.name: item for item in environments if _can_be_warm(item)}
            await asyncio.gather(
                *(
                    self._pools.pop(name).close()
                    for name, pool in list(self._pools.items())
                    if name not in wanted or pool.environment.to_json() != wanted[name].to_json()
                )
            )
            await self._prepare(environments)
            for name, environment in wanted.items():
                if name not in self._pools:
                    self._pools[name] = Pool(environment, self._services, self._owner)

    def take(self, request: LaunchRequest) -> RuntimeRecord | None:
        """Hand out a warm job that is as good as a new one for a launch; None if there is none."""
        pool = self._pools.get(request.environment.name)
        return pool.take() if pool is not None and pool.fits(request) else None

    def count(self, name: str) -> int:
        """Return how many warm kernels an environment has now."""
        pool = self._pools.get(name)
        return 0 if pool is None else pool.size

    async def close(self) -> None:
        """End all warm jobs."""
        await self.set_environments([])

    async def _prepare(self, environments: Iterable[Environment]) -> None:
        by_provider: dict[str, list[Environment]] = {name: [] for name in self._prepared}
        for environment in environments:
            by_provider.setdefault(environment.provider, []).append(environment)
        for name, group in by_provider.items():
            try:
                await load_provider(name).prepare(group)
            except Exception as error:  # noqa: BLE001 - a provider's mistake; launches go on without
                _log.warning("the provider %s cannot prepare itself: %r", name, error)
        self._prepared = {name for name, group in by_provider.items() if group}


def make_argv(environment: Environment) -> tuple[str, ...]:
    """Return the command of an environment's kernels; ipykernel's when it names none."""
    here = str(Path(environment.options.get("python") or sys.executable).expanduser())
    is_elsewhere = _finds_python(environment)
    argv = tuple(environment.argv) or (
        *("{python}" if is_elsewhere else here, "-m"),
        *("ipykernel_launcher", "-f", "{connection_file}"),
    )
    if is_elsewhere and argv[0] in ("python", "python3"):
        # jupyter_client would put the server's own Python there.
        return ("{python}", *argv[1:])
    return argv


def _finds_python(environment: Environment) -> bool:
    """Tell whether only the provider knows, on another host, which Python it is."""
    try:
        return "python" in load_provider(environment.provider).capabilities
    except RemoteKernelsError:
        return False  # what is wrong is told when it is launched


async def discard(record: RuntimeRecord, services: Services) -> None:
    """End a warm job; its row goes only when it is verified gone."""
    try:
        await stop_all(record, 0.0)
    except Exception as error:  # noqa: BLE001 - the row stays, and the next start tries again
        _log.warning("the warm job %s could not be ended: %r", record.id, error)
        return
    await asyncio.to_thread(remove_directory, services.job_directory(record.job_name))
    with contextlib.suppress(RemoteKernelsError):  # as above
        await services.registry.warm.delete(record.id)


def _can_be_warm(environment: Environment) -> bool:
    # Directory and variables are set by a few lines of Python in the kernel.
    return environment.warm > 0 and environment.language == "python"
