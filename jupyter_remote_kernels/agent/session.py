"""What the agent does: keeps one kernel, tells its clients, and ends when it is not needed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Protocol

import zmq

from jupyter_remote_kernels.agent.ending import (
    Ending,
    lease_over,
    nobody_asked,
    record_ending,
    told_to_end,
    without_kernel,
)
from jupyter_remote_kernels.agent.lease import Lease
from jupyter_remote_kernels.agent.metrics import MetricsSampler
from jupyter_remote_kernels.errors import Conflict, KernelStartFailed

if TYPE_CHECKING:
    from jupyter_remote_kernels.agent.kernel_process import KernelProcess
    from jupyter_remote_kernels.protocol.settings import AgentSettings

_METRICS_INTERVAL_S = 5.0
# A reservation ends when it ends: its kernel does not get longer than this.
_LEASE_GRACE_S = 0.3


class Client(Protocol):
    """A connected websocket, as the session sees it."""

    def reconnect(self) -> None:
        """Connect to the kernel's new generation."""

    def disconnect(self) -> None:
        """Let go of the kernel that is gone."""

    def report(self, event: dict[str, Any]) -> None:
        """Send an event on the agent's own channel, to a client that asked for them."""

    def close(self) -> None:
        """Close the connection."""


class AgentSession:
    """One kernel, its clients and its end.

    Parameters
    ----------
    settings : AgentSettings
        What the launcher said.
    kernel : KernelProcess
        Started already, so that it comes up while the agent imports its server.
    """

    def __init__(self, settings: AgentSettings, kernel: KernelProcess) -> None:
        self.settings = settings
        self.kernel = kernel
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.ended = asyncio.Event()
        self.ending: Ending | None = None
        self.info: dict[str, Any] | None = None
        self._clients: set[Client] = set()
        self.loop = asyncio.get_running_loop()
        self._exited = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._restarting = asyncio.Lock()
        self._metrics = MetricsSampler(settings)
        self.lease = Lease(settings.warnings_s, self._warn, self._end_lease)
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Watch the kernel that was started, and start the clocks."""
        self.lease.begin(self.settings.lease_s)
        self._set_timer("silence", self.settings.silence_s)
        if self.kernel.exit is not None:
            self._exited.set()
            self._set_timer("vacant", self.settings.vacant_s)
        else:
            self.kernel.watch(self._exit_from_thread)
        self._tasks.append(self.loop.create_task(self._sample_metrics()))
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.loop.add_signal_handler(signum, self.end, told_to_end(signum))

    def add_client(self, client: Client) -> None:
        """Take in a client and tell it how things stand."""
        self._clients.add(client)
        self._clear_timer("silence")
        client.report({"event": "kernel_starting", "generation": self.kernel.generation})
        if self.kernel.exit is not None:
            client.report({"event": "kernel_exited", "exit": self.kernel.exit})
        else:
            client.reconnect()
        client.report(self._describe_lease())
        if self._metrics.last:
            client.report({"event": "metrics", **self._metrics.last})

    def remove_client(self, client: Client) -> None:
        """Forget a client; the silence clock starts with the last one."""
        self._clients.discard(client)
        if not self._clients:
            self._set_timer("silence", self.settings.silence_s)

    def ready(self, client: Client, info: dict[str, Any]) -> None:
        """Tell a client that its channels to the kernel work."""
        self.info = info
        client.report(
            {"event": "kernel_ready", "generation": self.kernel.generation, "kernel_info": info}
        )

    def signal_kernel(self, signum: int) -> None:
        """Send a signal to the kernel's process group.

        Raises
        ------
        Conflict
            When no kernel is running.
        """
        if not self.kernel.send_signal(signum):
            raise Conflict("no kernel is running", reason="no_kernel", hint="Restart it.")

    async def restart_kernel(
        self, argv: list[str] | None = None, env: dict[str, str] | None = None
    ) -> None:
        """End the kernel if it is there and start it anew, in the same place.

        Parameters
        ----------
        argv : list of str, optional
            Another command; the last one otherwise.
        env : dict, optional
            Other variables; the last ones otherwise.

        Raises
        ------
        KernelStartFailed
            When the command cannot be executed.
        """
        async with self._restarting:
            await self.stop_kernel(0.0)
            for client in list(self._clients):
                client.disconnect()
            if argv is not None:
                self.kernel.argv = list(argv)
            if env is not None:
                self.kernel.env = dict(env)
            self.info = None
            try:
                self.kernel.start()
            except KernelStartFailed:
                self._kernel_gone()
                raise
            self._exited = asyncio.Event()
            self._clear_timer("vacant")
            self.kernel.watch(self._exit_from_thread)
            self.broadcast({"event": "kernel_starting", "generation": self.kernel.generation})
            for client in list(self._clients):
                client.reconnect()

    async def stop_kernel(self, grace_s: float) -> None:
        """End the kernel and its process group; returns when it is gone.

        Parameters
        ----------
        grace_s : float
            Time between SIGTERM and SIGKILL, in seconds; 0 kills at once.
        """
        if self.kernel.is_running:
            if grace_s > 0:
                self.kernel.send_signal(signal.SIGTERM)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._exited.wait(), grace_s)
            if self.kernel.is_running:
                self.kernel.send_signal(signal.SIGKILL)
                await self._exited.wait()
        self.kernel.kill_group()

    def change_lease(self, lease_s: float | None) -> dict[str, Any]:
        """Extend or shorten the reservation; see :meth:`Lease.change`. Returns how it is now."""
        self.lease.change(lease_s)
        event = self._describe_lease()
        self.broadcast(event)
        return event

    def end(self, ending: Ending) -> None:
        """Ask the agent to end; it stops its kernel first."""
        self.ending = self.ending or ending
        self.ended.set()

    async def close(self) -> None:
        """Stop the kernel, tell the clients, and give everything back."""
        self.lease.stop()
        ending = self.ending or told_to_end(signal.SIGTERM)
        # Before the kernel goes: its end is no accident, and nobody has to start it again.
        self.broadcast({"event": "agent_ending", "exit": ending.cause})
        await self.stop_kernel(ending.grace_s)
        record_ending(self.settings.directory, ending, self.lease.age_s, self._metrics.last)
        for task in self._tasks:
            task.cancel()
        for timer in self._timers.values():
            timer.cancel()
        for client in list(self._clients):
            client.disconnect()
            client.close()
        self.context.destroy(linger=0)
        self.kernel.remove_files()

    def broadcast(self, event: dict[str, Any]) -> None:
        """Send an event to every client that asked for them."""
        for client in list(self._clients):
            client.report(event)

    def describe(self) -> dict[str, Any]:
        """Return what is known about the kernel, for the status route."""
        return {
            "runtime_id": self.settings.runtime_id,
            "version": self.settings.version,
            "pid": os.getpid(),
            "kernel_pid": self.kernel.pid,
            "generation": self.kernel.generation,
            "ready": self.info is not None,
            "exit": self.kernel.exit,
            "started_s": self.kernel.started_s,
            "now_s": time.time(),
            "metrics": self._metrics.last,
            "lease": self._describe_lease(),
        }

    def sample(self) -> dict[str, Any]:
        """Measure the kernel's use of CPU and memory now."""
        return self._metrics.sample(self.kernel.pid)

    def _exit_from_thread(self, generation: int, cause: dict[str, Any]) -> None:
        # The loop is closed once the agent itself has ended; then nobody needs to know.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._kernel_exited, generation, cause)

    def _kernel_exited(self, generation: int, cause: dict[str, Any]) -> None:
        if generation != self.kernel.generation:
            return
        self.kernel.record_exit(cause)
        self._kernel_gone()

    def _kernel_gone(self) -> None:
        self.info = None
        self._exited.set()
        self.broadcast({"event": "kernel_exited", "exit": self.kernel.exit})
        # No machine is kept for a kernel that nobody restarts.
        self._set_timer("vacant", self.settings.vacant_s)

    def _warn(self, warning_s: float) -> None:
        self.broadcast({**self._describe_lease(), "warning_s": warning_s})

    def _end_lease(self) -> None:
        self.end(lease_over(self.lease.lease_s or 0.0, _LEASE_GRACE_S))

    def _describe_lease(self) -> dict[str, Any]:
        return {
            "event": "lease",
            "lease_s": self.lease.lease_s,
            "remaining_s": self.lease.remaining_s,
            "age_s": self.lease.age_s,
            "warning_s": None,
        }

    def _set_timer(self, name: str, delay_s: float) -> None:
        self._clear_timer(name)
        if delay_s > 0:
            ending = nobody_asked(delay_s) if name == "silence" else without_kernel(delay_s)
            self._timers[name] = self.loop.call_later(delay_s, self.end, ending)

    def _clear_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    async def _sample_metrics(self) -> None:
        while True:
            await asyncio.sleep(_METRICS_INTERVAL_S)
            if self._clients and self.kernel.pid is not None:
                before = self._metrics.last
                after = self.sample()
                if MetricsSampler.differ(before, after):
                    self.broadcast({"event": "metrics", **after})
