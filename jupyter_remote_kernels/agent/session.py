"""What the agent does: keeps one kernel, tells its clients, and ends when it is not needed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import zmq

from jupyter_remote_kernels.agent.audience import Audience, Client
from jupyter_remote_kernels.agent.ending import (
    Ending,
    record_ending,
    told_to_end,
    without_kernel,
)
from jupyter_remote_kernels.agent.lease import Lease
from jupyter_remote_kernels.agent.metrics import MetricsSampler
from jupyter_remote_kernels.agent.saving import StateSaver
from jupyter_remote_kernels.agent.state import StateCalls
from jupyter_remote_kernels.errors import Conflict, KernelStartFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.agent.kernel_process import KernelProcess
    from jupyter_remote_kernels.protocol.settings import AgentSettings

_METRICS_INTERVAL_S = 5.0


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
        self.audience = Audience(self._watch_silence)
        self.execution_state = "starting"
        self.loop = asyncio.get_running_loop()
        self._exited = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._restarting = asyncio.Lock()
        self._metrics = MetricsSampler(settings)
        self._output_held: str | None = None
        self.lease = Lease(settings.warnings_s, self._warn, self._lease_over)
        self.state = StateCalls(self)
        self.saver = StateSaver(self)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def kernel_exited(self) -> asyncio.Event:
        """Set when the present generation of the kernel has ended."""
        return self._exited

    def begin(self) -> None:
        """Watch the kernel that was started, and start the clocks."""
        self.begin_lease(self.settings.lease_s)
        self._set_timer("silence", self.settings.silence_s)
        if self.kernel.exit is not None:
            self._exited.set()
            self._set_timer("vacant", self.settings.vacant_s)
        else:
            self.kernel.watch(self._exit_from_thread)
        self._tasks.append(self.loop.create_task(self._sample_metrics()))
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.loop.add_signal_handler(signum, self.end, told_to_end(signum))

    def begin_lease(self, lease_s: float | None) -> None:
        """Begin the reservation now; see :meth:`Lease.begin`."""
        self.lease.begin(lease_s)
        self.saver.plan()

    def add_client(self, client: Client) -> None:
        """Take in a client and tell it how things stand."""
        self.audience.add(client)
        client.report({"event": "kernel_starting", "generation": self.kernel.generation})
        if self.kernel.exit is not None:
            client.report({"event": "kernel_exited", "exit": self.kernel.exit})
        else:
            client.reconnect()
        self.welcome_back(client)

    def welcome_back(self, client: Client) -> None:
        """Tell a client what may have changed without it."""
        self.audience.update()
        client.report(self._describe_lease())
        if self._metrics.last:
            client.report({"event": "metrics", **self._metrics.last})

    def ready(self, client: Client, info: dict[str, Any]) -> None:
        """Tell a client that its channels to the kernel work."""
        self.info = info
        if self.execution_state == "starting":
            self.execution_state = "idle"
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
            for client in self.audience:
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
            self.audience.broadcast(
                {"event": "kernel_starting", "generation": self.kernel.generation}
            )
            for client in self.audience:
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

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The last measurement."""
        return self._metrics.last

    def set_lease_policy(self, policy: str) -> None:
        """Change what happens at the end of the reservation."""
        self.settings = replace(self.settings, lease_policy=policy)
        self.saver.plan()

    def change_lease(self, lease_s: float | None) -> dict[str, Any]:
        """Extend or shorten the reservation; see :meth:`Lease.change`. Returns how it is now."""
        self.lease.change(lease_s)
        self.saver.plan()
        event = self._describe_lease()
        self.audience.broadcast(event)
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
        self.audience.broadcast({"event": "agent_ending", "exit": ending.cause})
        await self.stop_kernel(ending.grace_s)
        await self.state.close()
        record_ending(self.settings.directory, ending, self.lease.age_s, self._metrics.last)
        for task in self._tasks:
            task.cancel()
        for timer in self._timers.values():
            timer.cancel()
        for client in self.audience:
            client.close()
        self.context.destroy(linger=0)
        self.kernel.remove_files()

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

    def describe_kernel(self) -> dict[str, Any]:
        """Return what a link has to know that remembers nothing."""
        return {
            "generation": self.kernel.generation,
            "kernel_info": self.info,
            "execution_state": self.execution_state,
            "output_held": self._output_held,
        }

    def hold_output(self, message: str | None) -> None:
        """Note that output waits in the kernel, and why; None when it does not any more."""
        self._output_held = message
        self.audience.broadcast({"event": "output_held", "message": message})

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
        self.audience.broadcast({"event": "kernel_exited", "exit": self.kernel.exit})
        # No machine is kept for a kernel that nobody restarts.
        self._set_timer("vacant", self.settings.vacant_s)

    def _warn(self, warning_s: float) -> None:
        self.audience.broadcast({**self._describe_lease(), "warning_s": warning_s})

    def _lease_over(self) -> None:
        self.saver.lease_over()

    def _describe_lease(self) -> dict[str, Any]:
        return {
            "event": "lease",
            "lease_s": self.lease.lease_s,
            "remaining_s": self.lease.remaining_s,
            "age_s": self.lease.age_s,
            "warning_s": None,
        }

    def _watch_silence(self, is_present: bool) -> None:
        if is_present:
            self._clear_timer("silence")
            self.saver.somebody_is_there()
        elif "silence" not in self._timers:
            self._set_timer("silence", self.settings.silence_s)

    def _set_timer(self, name: str, delay_s: float) -> None:
        self._clear_timer(name)
        if delay_s > 0 and name == "silence":
            self._timers[name] = self.loop.call_later(delay_s, self.saver.silence_over, delay_s)
        elif delay_s > 0:
            ending = without_kernel(delay_s)
            self._timers[name] = self.loop.call_later(delay_s, self.end, ending)

    def _clear_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    async def _sample_metrics(self) -> None:
        while True:
            await asyncio.sleep(_METRICS_INTERVAL_S)
            if self.audience.is_present and self.kernel.pid is not None:
                before = self._metrics.last
                after = self.sample()
                if MetricsSampler.differ(before, after):
                    self.audience.broadcast({"event": "metrics", **after})
