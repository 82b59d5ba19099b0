"""The driver: takes one runtime's events in order, applies the table, performs the actions.

It is the only writer of the runtime's phase. Steps that take long (starting and stopping a
job) run beside it as tasks and come back as events, so that a stop is never kept waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.connection import LinkKeeper
from jupyter_remote_kernels.control.job import JobKeeper
from jupyter_remote_kernels.control.kernel import KernelKeeper
from jupyter_remote_kernels.control.launch import Change
from jupyter_remote_kernels.control.reservation import LeaseKeeper
from jupyter_remote_kernels.errors import (
    Conflict,
    IllegalTransition,
    LaunchFailed,
    RemoteKernelsError,
)
from jupyter_remote_kernels.model.phases import (
    FINAL_PHASES,
    Action,
    Event,
    Phase,
    Target,
    Transition,
    advance,
    target_event,
)
from jupyter_remote_kernels.model.records import ExitCause, RuntimeRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.link.bridge import Bridge
    from jupyter_remote_kernels.link.link import Link
    from jupyter_remote_kernels.providers.base import JobStatus

_log = logging.getLogger(__name__)
_HISTORY_LENGTH = 50


class RuntimeDriver:
    """Drives one runtime. Made and used on the control plane's loop.

    Parameters
    ----------
    record : RuntimeRecord
        Already in the registry, owned by this process.
    bridge : Bridge
        Bound already.
    services : Services
        What all drivers share.
    """

    def __init__(self, record: RuntimeRecord, bridge: Bridge, services: Services) -> None:
        self.record = record
        self.bridge = bridge
        self.metrics: dict[str, Any] = {}
        self.unreachable_since_s: float | None = None
        self.step: str | None = "submitting"
        self.released = asyncio.Event()
        self.job = JobKeeper(self, services)
        self.kernel = KernelKeeper(self, services)
        self.lease = LeaseKeeper(self, services)
        self._links = LinkKeeper(self, services)
        self._services = services
        self._inbox: asyncio.Queue[tuple[Event, dict[str, Any], asyncio.Future[None] | None]]
        self._inbox = asyncio.Queue()
        self._start_clock: asyncio.TimerHandle | None = None
        self.kernel_exit: ExitCause | None = None
        # Somebody asked for the kernel's end, so there is nothing to explain about it.
        self.is_end_wanted = False
        self._actions = {
            Action.START_JOB: self._start_job,
            Action.OPEN_LINK: self._open_link,
            Action.CLOSE_LINK: self._close_link,
            Action.STOP_JOB: self._stop_job,
            Action.RECORD_EXIT: self._record_exit,
            Action.REJECT_HELD: self._reject_held,
            Action.RELEASE: self._release,
        }

    # -- what others ask ------------------------------------------------------

    @property
    def link(self) -> Link | None:
        """The link to the agent, while there is one."""
        return self._links.link

    @property
    def engine(self) -> JobStatus | None:
        """The engine's last words about the job."""
        return self.job.status

    @property
    def exit_code(self) -> int | None:
        """Exit code as a process would have it; None while it lives or nobody knows."""
        phase = self.record.phase
        if phase is Phase.STOPPED:
            return 0
        if phase is Phase.FAILED:
            return 1
        if self.kernel_exit is None or phase is Phase.STOPPING:
            return None
        if self.kernel_exit.signal is not None:
            return -self.kernel_exit.signal
        return self.kernel_exit.code if self.kernel_exit.code is not None else 1

    @property
    def is_left_alone(self) -> bool:
        """Whether it ended in a way that nobody but its user should repeat.

        A launch that never came up would ask the engine again and again, and one whose
        reservation is over would take another one; the reason would vanish with the kernel.
        """
        cause = self.record.exit
        return self.record.started_s is None or (cause is not None and cause.reason == "lease_over")

    @property
    def is_settled(self) -> bool:
        """Whether a kernel can be asked right now."""
        return self.record.phase is Phase.RUNNING and self.kernel_exit is None

    def begin(self) -> None:
        """Start to drive: the job is submitted at once."""
        self._services.background.spawn(self._drive(), f"runtime {self.record.id}")
        self._start_job()

    def post(self, event: Event, **facts: Any) -> None:
        """Tell that something happened; ``facts`` are fields of the record."""
        self._inbox.put_nowait((event, facts, None))

    async def want(self, target: Target) -> None:
        """Set what the user wants; returns when the driver has taken it up.

        Raises
        ------
        IllegalTransition
            When the present phase does not allow it.
        """
        if self.released.is_set():
            if target is Target.STOPPED:
                return
            raise Conflict("the runtime is gone", reason="runtime_gone", hint="Start a new one.")
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait((target_event(target), {"target": target}, taken))
        await taken

    async def stop(self) -> None:
        """Terminate; returns when the job is verified gone."""
        await self.want(Target.STOPPED)
        await self.released.wait()

    async def wait_exit(self) -> int:
        """Wait until the kernel has ended; returns its exit code."""
        while (code := self.exit_code) is None:
            await self._services.changed(self.record.id)
        return code

    async def wait_settled(self) -> None:
        """Wait until the kernel answers.

        Raises
        ------
        LaunchFailed
            When the runtime ended instead; says why.
        """
        while not self.is_settled:
            if self.exit_code is not None:
                cause = self.record.exit
                raise LaunchFailed(
                    cause.message if cause else "the runtime was terminated",
                    reason=cause.reason if cause else "terminated",
                    hint=cause.hint if cause else "",
                )
            await self._services.changed(self.record.id)

    async def rename(self, **fields: Any) -> None:
        """Change name or tag."""
        self.record = await self._services.registry.update(self.record.id, **fields)
        self.tell("renamed")

    # -- the machine ----------------------------------------------------------

    async def _drive(self) -> None:
        while not self.released.is_set():
            event, facts, taken = await self._inbox.get()
            try:
                await self._apply(event, facts)
            except IllegalTransition as error:
                _log.warning("runtime %s: %s (%s)", self.record.id, error, error.detail)
                _fail(taken, error)
            except Exception as error:  # noqa: BLE001 - see the next line
                # Whatever broke, the next event must still be taken: a stop, above all.
                _log.exception("runtime %s: %s could not be applied", self.record.id, event)
                _fail(taken, error)
            else:
                if taken is not None and not taken.done():
                    taken.set_result(None)
        self._refuse_the_rest()

    async def _apply(self, event: Event, facts: dict[str, Any]) -> None:
        before = self.record.phase
        if event is Event.JOB_GONE and self.job.is_stopping:
            return  # the end of an earlier stop; the one that runs now will tell, too
        transition = advance(before, event, self.record.history)
        fields = dict(facts)
        if fields.get("exit") is not None and transition == Transition(before):
            del fields["exit"]  # late news: why it really ended is known already
        if event is Event.JOB_GONE:
            fields["checkpoint"] = None
        if transition.phase is not before:
            line = f"{before.value} --{event.value}--> {transition.phase.value}"
            fields["phase"] = transition.phase
            fields["history"] = (*self.record.history, line)[-_HISTORY_LENGTH:]
            if transition.phase in FINAL_PHASES:
                fields["ended_s"] = time.time()
                fields["usage"] = self._final_usage()
        await self._commit(fields)
        if transition.phase is not before:
            self.step = _STEPS.get(transition.phase)
            self._watch_start(transition.phase)
            await self.lease.charge(transition.phase)
        for action in transition.actions:
            result = self._actions[action]()
            if result is not None:
                await result
        if transition.phase is not before:
            self.tell("phase")
        elif event is Event.KERNEL_EXITED or event is Event.LINK_READY:
            self.tell("kernel")

    async def _commit(self, fields: Mapping[str, Any]) -> None:
        if not fields:
            return
        try:
            self.record = await self._services.registry.update(self.record.id, **fields)
        except RemoteKernelsError as error:
            if fields.get("phase") not in FINAL_PHASES | {Phase.STOPPING}:
                raise
            # A full disk must not keep a job running; the next start's sweep writes the rest.
            _log.warning("runtime %s: its end is not in the registry: %s", self.record.id, error)
            self.record = self.record.changed(**fields)

    def _final_usage(self) -> dict[str, Any]:
        used = {key: self.metrics.get(key) for key in ("cpu_time_s", "memory_max_bytes")}
        return {**self.record.usage, **used, "executions": self.bridge.activity.executions}

    def _start_job(self) -> None:
        self.job.start()

    def _open_link(self) -> None:
        self._links.open()

    async def _close_link(self) -> None:
        await self._links.close()

    def _stop_job(self) -> None:
        self.job.stop()

    def _record_exit(self) -> None:
        self.bridge.activity.execution_state = "dead"
        if self.record.exit is not None:
            # An end without an error is what a shutdown looks like.
            level = logging.DEBUG if self.record.exit.code == 0 else logging.INFO
            _log.log(level, "runtime %s: %s", self.record.id, self.record.exit.message)

    def _reject_held(self) -> None:
        cause = self.record.exit
        message = cause.message if cause else "the kernel was terminated"
        hint = cause.hint if cause else ""
        if self.record.phase in FINAL_PHASES:
            # Nothing will come by itself any more: who waits now would wait for ever.
            self.bridge.stand_in.refuse(message, hint)
        else:
            self.bridge.stand_in.reject_held(message, hint)

    async def _release(self) -> None:
        self.bridge.close()
        await self._services.forget(self)
        self.released.set()

    def _watch_start(self, phase: Phase) -> None:
        """Give a job that runs a limited time to show its kernel."""
        if self._start_clock is not None:
            self._start_clock.cancel()
            self._start_clock = None
        if phase is Phase.STARTING:
            limit_s = self._services.settings.start_timeout_s
            cause = ExitCause(
                "agent_silent",
                f"the job runs, but its kernel did not answer within {limit_s:.0f} s",
                "See the runtime's log.",
            )
            self._start_clock = asyncio.get_running_loop().call_later(
                limit_s, lambda: self.post(Event.START_FAILED, exit=cause)
            )

    def tell(self, action: str, **data: Any) -> None:
        """Tell everybody that something about this runtime is different now."""
        self._services.tell(
            Change(self.record.id, action, {"phase": self.record.phase.value, **data})
        )

    def _refuse_the_rest(self) -> None:
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                event, _, taken = self._inbox.get_nowait()
                if event is Event.WANT_STOPPED and taken is not None and not taken.done():
                    taken.set_result(None)
                else:
                    _fail(taken, Conflict("the runtime is gone", reason="runtime_gone"))


_STEPS = {
    Phase.SUBMITTED: "waiting for the engine",
    Phase.STARTING: "starting the kernel",
    Phase.RESUMING: "resuming",
    Phase.STOPPING: "stopping",
}


def _fail(taken: asyncio.Future[None] | None, error: Exception) -> None:
    if taken is not None and not taken.done():
        taken.set_exception(error)
