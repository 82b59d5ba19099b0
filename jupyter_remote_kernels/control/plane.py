"""The control plane of a process: use cases over all runtimes, callable from any thread."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_remote_kernels.control.background import BackgroundLoop
from jupyter_remote_kernels.control.driver import RuntimeDriver
from jupyter_remote_kernels.control.endpoints import LocalEndpoints
from jupyter_remote_kernels.control.launch import (
    ControlSettings,
    LaunchRequest,
    Listener,
    make_record,
)
from jupyter_remote_kernels.control.owners import OwnerLock, ensure_private_directory
from jupyter_remote_kernels.control.registry import AsyncRegistry
from jupyter_remote_kernels.control.services import Services
from jupyter_remote_kernels.control.sweep import end_abandoned, sweep
from jupyter_remote_kernels.control.takeover import claim_all
from jupyter_remote_kernels.control.warm import WarmPools, discard
from jupyter_remote_kernels.errors import Conflict
from jupyter_remote_kernels.link.bridge import Bridge
from jupyter_remote_kernels.link.context import make_context
from jupyter_remote_kernels.link.stand_in import describe_kernel
from jupyter_remote_kernels.model.limits import check_user
from jupyter_remote_kernels.model.phases import FINAL_PHASES
from jupyter_remote_kernels.providers.registry import close_providers, load_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from jupyter_remote_kernels.link.bridge import Address, Keys
    from jupyter_remote_kernels.model.environments import Environment, Resources
    from jupyter_remote_kernels.model.records import RuntimeRecord
    from jupyter_remote_kernels.providers.base import Provider

Result = TypeVar("Result")
_log = logging.getLogger(__name__)
_EXIT_LIMIT_S = 10.0


class ControlPlane:
    """All runtimes that this process drives.

    Use :func:`control_plane` to get the process's one. Methods that are coroutines run on the
    background loop; call them through :meth:`run` from another loop, or :meth:`submit` from a
    thread.

    Parameters
    ----------
    state_directory : Path
        Registry, owner locks and runtimes' directories; owner-only.
    settings : ControlSettings
        Times.
    """

    def __init__(self, state_directory: Path, settings: ControlSettings) -> None:
        self.state_directory = ensure_private_directory(state_directory)
        self.background = BackgroundLoop("remote-kernels")
        self.pid = os.getpid()
        self._settings = settings
        self._lock = OwnerLock.acquire(self.state_directory)
        self._closed = False
        self._server: str | None = None
        try:
            self.services: Services = self.background.submit(self._open()).result()
        except BaseException:
            self.background.stop()
            self._lock.release()
            raise
        _at_end_of_process(self.close)

    # -- for any thread -------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Whether it was shut down."""
        return self._closed

    def submit(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        """Run a use case on the background loop; returns a future for any thread."""
        return self.background.submit(work)

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a use case on the background loop, from any loop."""
        return await self.background.run(work)

    def find(self, runtime_id: str) -> RuntimeDriver | None:
        """Return the driver of a living runtime of this process."""
        return self.services.drivers.get(runtime_id)

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` on the background loop for every change."""
        self.services.subscribe(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Stop calling a listener."""
        self.services.unsubscribe(listener)

    def close(self) -> None:
        """Terminate or let go what is left and end the thread, at the end of the process."""
        if self._closed or self.pid != os.getpid():
            return
        self._closed = True
        try:
            self.submit(self._shut_down()).result(_EXIT_LIMIT_S)
        except concurrent.futures.TimeoutError:
            _log.warning("some runtimes did not stop in time; their agents end by themselves")
        finally:
            self.background.stop()
            self._context.destroy(linger=0)
            self._lock.release()

    # -- use cases, on the background loop ------------------------------------

    async def launch(self, request: LaunchRequest) -> dict[str, Any]:
        """Commit a runtime and bind its sockets; the job is started meanwhile.

        Returns
        -------
        dict
            Connection information of the local sockets.

        Raises
        ------
        Conflict
            When a living runtime has this id or client token.
        LinkError
            When the local addresses cannot be bound.
        NotFound
            When the environment's provider is not installed.
        """
        if request.runtime_id in self.services.drivers:
            raise Conflict(f"there is a runtime {request.runtime_id} already")
        # Asked for first: without it a committed record could never be driven.
        provider = load_provider(request.environment.provider)
        launching = asyncio.get_running_loop().create_task(self._launch(request, provider))
        try:
            return await asyncio.shield(launching)
        except asyncio.CancelledError:
            # Who asked does not know the runtime: it would run on with nobody to end it.
            self.background.spawn(
                self._abandon(launching, request.runtime_id), f"abandon {request.runtime_id}"
            )
            raise

    async def check_launch(
        self, environment: Environment, resources: Resources | None, lease_s: float | None
    ) -> float | None:
        """Ask whether a launch would be admitted now.

        Parameters
        ----------
        environment : Environment
            What would be launched.
        resources : Resources or None
            What it would get; None is what the environment gives.
        lease_s : float or None
            The reservation that would be asked for, in seconds.

        Returns
        -------
        float or None
            The reservation that it would get, in seconds; None is without an end.

        Raises
        ------
        LimitExceeded
            When limits or budget do not allow it.
        """
        records = await self.services.registry.list_living()
        living = [record.environment.resources for record in records]
        wanted = environment.resources if resources is None else resources
        check_user(self._settings.user_limits, living, wanted)
        await self._check_provider(replace(environment, resources=wanted))
        return await self.services.accounts.grant(environment, lease_s)

    async def take_over(self, server: str) -> list[RuntimeRecord]:
        """Claim what the predecessor of a Jupyter server has left; see :func:`claim_all`.

        Every runtime that is launched from now on will be left to that server's successor.

        Parameters
        ----------
        server : str
            The server's identity.

        Returns
        -------
        list of RuntimeRecord
            To be given to :meth:`adopt`, one by one.
        """
        self._server = server
        try:
            return await claim_all(
                self.services.registry, self.state_directory, self._lock.owner, server
            )
        finally:
            self._may_sweep.set()

    async def adopt(self, record: RuntimeRecord, address: Address, keys: Keys) -> RuntimeDriver:
        """Bind a runtime that was claimed; its driver's ``handover.resume`` goes on with it.

        Parameters
        ----------
        record : RuntimeRecord
            Owned by this process.
        address : Address
            Where the local sockets are to be bound.
        keys : Keys
            Secrets of the local sockets.

        Raises
        ------
        LinkError
            When the local addresses cannot be bound.
        NotFound
            When the environment's provider is not installed.
        """
        provider = load_provider(record.environment.provider)
        bridge = await self._make_bridge(record.id, record.environment, keys)
        bridge.bind(address)
        driver = RuntimeDriver(record, bridge, self.services)
        self.services.watch(driver, provider)
        return driver

    async def terminate(self, runtime_id: str) -> RuntimeRecord:
        """Stop a runtime; returns its record when the job is verified gone.

        Also one that nobody drives; see :func:`end_abandoned`.
        """
        driver = self.find(runtime_id)
        if driver is None:
            return await end_abandoned(
                self.services, self.state_directory, self._lock.owner, runtime_id
            )
        await driver.stop()
        return driver.record

    async def wait_swept(self) -> None:
        """Wait until what dead processes have left is cleaned up, as far as it can be."""
        # Shielded, because who waits no longer has not called off the sweep.
        await asyncio.shield(self._sweeping)

    async def list_records(self) -> list[RuntimeRecord]:
        """Return everything in the registry, also of other processes."""
        return await self.services.registry.list()

    # -- inside ---------------------------------------------------------------

    async def _open(self) -> Services:
        registry = await AsyncRegistry.open(self.state_directory / "registry.sqlite3")
        # After what can fail: nobody closes the context of a plane that was never made.
        self._context = make_context()
        self._admitting = asyncio.Lock()
        services = Services(
            registry, self.background, self._settings, self.state_directory / "runtimes"
        )
        self.local_kernels = LocalEndpoints(self._context)
        self.warm = WarmPools(services, self._lock.owner)
        self._may_sweep = asyncio.Event()
        if not self._settings.is_server:
            self._may_sweep.set()
        self._sweeping = self.background.spawn(self._sweep(services), "sweep")
        return services

    async def _sweep(self, services: Services) -> None:
        # A server first takes over what it is going to show.
        await self._may_sweep.wait()
        await sweep(services, self.state_directory, self._lock.owner)

    async def _launch(self, request: LaunchRequest, provider: Provider) -> dict[str, Any]:
        services = self.services
        bridge = await self._make_bridge(request.runtime_id, request.environment, request.keys)
        connection = bridge.bind(request.address)
        try:
            record = await self._admit(request)
        except BaseException:  # whatever it was: the ports must not stay bound
            bridge.close()
            raise
        driver = RuntimeDriver(record, bridge, services)
        services.watch(driver, provider)
        driver.begin()
        return connection

    async def _make_bridge(self, runtime_id: str, environment: Environment, keys: Keys) -> Bridge:
        info = await self.services.registry.recall_kernel_info(environment.name)
        return Bridge(
            self._context, runtime_id, keys, info or describe_kernel(environment.language)
        )

    async def _abandon(self, launching: asyncio.Task[Any], runtime_id: str) -> None:
        await asyncio.wait({launching})
        driver = self.find(runtime_id)
        if not launching.cancelled() and launching.exception() is None and driver is not None:
            await driver.stop()

    async def _admit(self, request: LaunchRequest) -> RuntimeRecord:
        """Commit a launch, if limits and budget allow it."""
        # One after the other: each has to see what the one before has reserved.
        async with self._admitting:
            lease_s = await self.services.accounts.grant(request.environment, request.lease_s)
            record = make_record(request, self._lock.owner, self._server, lease_s)
            warm = self.warm.take(request)
            if warm is None:
                await self._check_provider(request.environment)
            else:
                record = record.changed(
                    job_id=warm.id, token=warm.token, checkpoint=warm.checkpoint
                )
            try:
                await self._insert(record)
            except BaseException:  # whatever it was: the warm job is nobody's any more
                if warm is not None:
                    self.background.spawn(discard(warm, self.services), f"discard {warm.id}")
                raise
        return record

    async def _check_provider(self, environment: Environment) -> None:
        provider = load_provider(environment.provider)
        notes = self.services.notes_directory(provider.name)
        await provider.check(environment.resources, str(notes))

    async def _insert(self, record: RuntimeRecord) -> None:
        registry = self.services.registry
        earlier = await registry.get(record.id)
        if earlier is not None and earlier.phase in FINAL_PHASES:
            # The same kernel id again, after its runtime had ended.
            await registry.delete(record.id)
        await registry.insert(record, self._settings.user_limits)

    async def _shut_down(self) -> None:
        # What it has begun is done again by the next start.
        self._sweeping.cancel()
        leaves, left = self._settings.leaves_running, self.services.drivers.values()
        stopping = [self.warm.close(), *(_end(driver, leaves=leaves) for driver in left)]
        await asyncio.gather(*stopping, return_exceptions=True)
        await close_providers()
        await self.services.registry.close()


async def _end(driver: RuntimeDriver, *, leaves: bool) -> None:
    # A server that was interrupted may not have come to the end that it has planned.
    if not (leaves and await driver.detach()):
        await driver.stop()


def _at_end_of_process(call: Callable[[], None]) -> None:
    """Call something at the end of the process, while threads can still be used.

    Handlers of ``atexit`` come after all executors were shut down, which stopping a job needs.
    concurrent.futures itself uses this hook, which is not public; ``atexit`` is the fallback.
    """
    register = getattr(threading, "_register_atexit", atexit.register)
    try:
        register(call)
    except RuntimeError:
        atexit.register(call)  # the process is ending already


_planes: dict[Path, ControlPlane] = {}
_planes_lock = threading.Lock()


def control_plane(state_directory: Path, settings: ControlSettings | None = None) -> ControlPlane:
    """Return this process's control plane for a state directory; made at the first call.

    Parameters
    ----------
    state_directory : Path
        Where the registry lies.
    settings : ControlSettings, optional
        Used by the first call only.
    """
    with _planes_lock:
        plane = _planes.get(state_directory)
        # A forked child has the object but not its thread.
        if plane is None or plane.is_closed or plane.pid != os.getpid():
            plane = ControlPlane(state_directory, settings or ControlSettings())
            _planes[state_directory] = plane
        return plane
