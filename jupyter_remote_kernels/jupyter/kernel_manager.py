"""Kernel managers: Jupyter's own, with runtimes among their kernels.

Local kernels work exactly as before through the same classes. A runtime's activity is read
from its bridge instead of a second subscription to its output.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import zmq.asyncio
from jupyter_client.multikernelmanager import AsyncMultiKernelManager
from jupyter_server.services.kernels.kernelmanager import (
    AsyncMappingKernelManager,
    ServerKernelManager,
)
from tornado import web
from traitlets import default

from jupyter_remote_kernels.errors import LimitExceeded
from jupyter_remote_kernels.jupyter.provisioner import RemoteProvisioner
from jupyter_remote_kernels.jupyter.reattachment import ReattachmentMixin
from jupyter_remote_kernels.jupyter.tap import WebsocketTap
from jupyter_remote_kernels.model.phases import Phase

if TYPE_CHECKING:
    from jupyter_remote_kernels.control.driver import RuntimeDriver

# Each kernel has 2 sockets of the server's own and 4 more per browser; libzmq stops at 1023.
_MAX_SOCKETS = 65_000
_COMING_UP = frozenset({Phase.SUBMITTED, Phase.STARTING, Phase.RESUMING})
# The kernel that a request has just taken away from its session.
switched_from: ContextVar[str] = ContextVar("switched_from", default="")
_IN_SNAPSHOT = frozenset({Phase.PAUSING, Phase.PAUSED, Phase.RESUMING})


def find_driver(kernel_manager: Any) -> RuntimeDriver | None:
    """Return the driver behind a kernel manager, or None for an ordinary kernel."""
    provisioner = getattr(kernel_manager, "provisioner", None)
    return provisioner.driver if isinstance(provisioner, RemoteProvisioner) else None


def _find_listed(kernel_manager: Any) -> RuntimeDriver | None:
    # The stopped runtime is told before Jupyter's manager has taken its kernel off the list.
    driver = find_driver(kernel_manager)
    return None if driver is not None and driver.record.phase is Phase.STOPPED else driver


class RemoteKernelManager(ServerKernelManager):
    """One kernel of a server; knows its runtime when it has one."""

    _own_execution_state: str | None = None
    _own_last_activity: datetime | None = None
    _kept_tap: WebsocketTap | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.restarting = asyncio.Lock()

    @property
    def driver(self) -> RuntimeDriver | None:
        """The driver of this kernel's runtime; None for an ordinary kernel."""
        return find_driver(self)

    @property
    def execution_state(self) -> str | None:
        """Read by REST, the culler and websockets; set by jupyter_server from outside."""
        driver = self.driver
        if driver is None:
            return self._own_execution_state
        if driver.record.phase in _COMING_UP:
            return "starting"
        return driver.bridge.activity.execution_state

    @execution_state.setter
    def execution_state(self, value: str | None) -> None:
        self._own_execution_state = value

    @property  # type: ignore[override]
    def last_activity(self) -> datetime | None:
        """Read by REST and the culler; set by jupyter_server from outside."""
        driver = self.driver
        if driver is None:
            return self._own_last_activity
        if driver.record.phase in _COMING_UP:
            # Waiting in a queue is no idleness: the culler must not take it for one.
            return datetime.now(timezone.utc)
        seen = datetime.fromtimestamp(driver.bridge.activity.last_s, timezone.utc)
        return max(seen, self._own_last_activity or seen)

    @last_activity.setter
    def last_activity(self, value: datetime | None) -> None:
        self._own_last_activity = value

    async def is_alive(self) -> bool:  # type: ignore[override]
        """Asked by the restarter every few seconds, and by websockets.

        Some ends are not repeated by themselves; the runtime stays listed as failed until
        somebody restarts or terminates it.
        """
        driver = self.driver
        if driver is not None and driver.is_left_alone:
            return True
        alive: bool = await self._async_is_alive()
        return alive

    async def restart_kernel(self, *args: Any, **options: Any) -> None:  # type: ignore[override]
        """Called by REST and by the restarter; a shutdown waits until it is over."""
        async with self.restarting:
            await super().restart_kernel(*args, **options)

    def begin_collecting(self) -> None:
        """Keep what comes from now on for the first browser; called before there is one."""
        driver = self.driver
        if driver is not None and self._kept_tap is None:
            self._kept_tap = WebsocketTap(asyncio.get_running_loop(), driver.bridge, "")
            driver.bridge.add_tap(self._kept_tap)

    def keep_tap(self, tap: WebsocketTap) -> None:
        """Keep the tap of the last browser, which goes on to collect what it misses."""
        self.drop_tap()
        self._kept_tap = tap

    def take_tap(self) -> WebsocketTap | None:
        """Return the kept tap to the first browser that comes; it may be another one."""
        tap, self._kept_tap = self._kept_tap, None
        return tap

    def drop_tap(self) -> None:
        """Let go of the kept tap."""
        tap, driver = self.take_tap(), self.driver
        if tap is not None and driver is not None:
            driver.bridge.remove_tap(tap)


def _is_pausable(driver: RuntimeDriver) -> bool:
    """Tell whether idleness is no reason to end a runtime: it costs nothing, or soon will not."""
    if driver.record.phase in _IN_SNAPSHOT:
        return True
    is_living = driver.exit_code is None
    return driver.record.environment.idle_pause_s is not None and is_living


class RuntimesMixin:
    """What both managers add to Jupyter's own."""

    def list_runtimes(self) -> dict[str, RuntimeDriver]:
        """Return the drivers of this manager's runtimes by kernel id."""
        kernels: dict[str, Any] = self._kernels  # type: ignore[attr-defined]
        found = {kernel_id: _find_listed(kernel) for kernel_id, kernel in kernels.items()}
        return {kernel_id: driver for kernel_id, driver in found.items() if driver is not None}

    def get_runtime(self, kernel_id: str) -> RuntimeDriver | None:
        """Return the driver of one kernel, or None when it is an ordinary one."""
        return _find_listed(self._kernels.get(kernel_id))  # type: ignore[attr-defined]

    @default("context")
    def _context_default(self) -> zmq.asyncio.Context:
        self._created_context = True
        context = zmq.asyncio.Context()
        context.set(zmq.MAX_SOCKETS, min(_MAX_SOCKETS, context.get(zmq.SOCKET_LIMIT)))
        return context


class RemoteMultiKernelManager(RuntimesMixin, AsyncMultiKernelManager):
    """For programs that use jupyter_client without a server."""


class RemoteMappingKernelManager(RuntimesMixin, ReattachmentMixin, AsyncMappingKernelManager):
    """For the Jupyter server; installed when the extension is linked.

    ``kept`` names the kernels that are not to end when their notebook takes another one.
    """

    kept: frozenset[str] = frozenset()

    @default("kernel_manager_class")
    def _default_kernel_manager_class(self) -> str:
        return f"{__name__}.{RemoteKernelManager.__name__}"

    def start_watching_activity(self, kernel_id: str) -> None:
        """Called after each start. The bridge of a runtime watches already."""
        kernel = self._kernels[kernel_id]
        if find_driver(kernel) is None:
            super().start_watching_activity(kernel_id)  # type: ignore[no-untyped-call]
            return
        kernel.reason = ""
        kernel.last_activity = datetime.now(timezone.utc)
        kernel._activity_stream = None  # noqa: SLF001 - declared nowhere upstream, read everywhere

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """Called for each kernel every few minutes, where idle ones are to be culled."""
        driver = self.get_runtime(kernel_id)
        if driver is not None and _is_pausable(driver):
            return
        await super().cull_kernel_if_idle(kernel_id)  # type: ignore[no-untyped-call]

    async def _async_start_kernel(self, **options: Any) -> str:
        """Called for every launch; one that is over a limit is no fault of the server."""
        try:
            return str(await super()._async_start_kernel(**options))
        except LimitExceeded as error:
            raise web.HTTPError(406, error.message, reason="Limit exceeded") from error
        finally:
            self._forget_failed_starts()

    def _forget_failed_starts(self) -> None:
        # Upstream keeps them as pending for ever, and then cannot shut all kernels down.
        for kernel_id, start in list(self._pending_kernels.items()):
            if start.done() and kernel_id not in self._kernels:
                del self._pending_kernels[kernel_id]

    start_kernel = _async_start_kernel  # type: ignore[assignment]

    async def _async_shutdown_kernel(
        self, kernel_id: str, now: bool | None = False, restart: bool | None = False
    ) -> None:
        if kernel_id in self.kept:
            self.kept -= {kernel_id}
            if switched_from.get() == kernel_id:
                return
        kernel = self._kernels.get(kernel_id)
        if isinstance(kernel, RemoteKernelManager):
            # Upstream asks how the last start went, which a restart is about to repeat.
            async with kernel.restarting:
                pass
        await super()._async_shutdown_kernel(kernel_id, now, restart)  # type: ignore[no-untyped-call]

    shutdown_kernel = _async_shutdown_kernel  # type: ignore[assignment]

    def _handle_kernel_died(self, kernel_id: str) -> None:
        """Called when the restarter has given up; upstream only forgets the kernel then."""
        provisioner = getattr(self._kernels.get(kernel_id), "provisioner", None)
        super()._handle_kernel_died(kernel_id)  # type: ignore[no-untyped-call]
        if isinstance(provisioner, RemoteProvisioner):
            provisioner.abandon()

    def kernel_model(self, kernel_id: str) -> dict[str, Any]:
        """Called synchronously for each kernel in REST answers."""
        model: dict[str, Any] = super().kernel_model(kernel_id)  # type: ignore[no-untyped-call]
        driver = self.get_runtime(kernel_id)
        if driver is not None and driver.record.exit is not None:
            model["reason"] = driver.record.exit.message
        return model
