"""The driver: takes one runtime's events in order, applies the table, performs the actions.

It is the only writer of the runtime's phase. Steps that take long (starting and stopping a
job) run beside it as tasks and come back as events, so that a stop is never kept waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, TypeAlias

from jupyter_remote_kernels.control.changes import plan_changes
from jupyter_remote_kernels.control.connection import LinkKeeper
from jupyter_remote_kernels.control.handover import Handover
from jupyter_remote_kernels.control.job import JobKeeper
from jupyter_remote_kernels.control.kernel import KernelKeeper
from jupyter_remote_kernels.control.launch import Change
from jupyter_remote_kernels.control.left_state import LeftState
from jupyter_remote_kernels.control.pausing import PauseKeeper
from jupyter_remote_kernels.control.reservation import LeaseKeeper
from jupyter_remote_kernels.control.start_clock import StartClock
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
    advance,
    target_event,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.link.bridge import Bridge
    from jupyter_remote_kernels.link.link import ConnectionState, Link
    from jupyter_remote_kernels.model.records import ExitCause, RuntimeRecord
    from jupyter_remote_kernels.providers.base import JobStatus

# An event with its facts, and who waits for it.
Inbox: TypeAlias = "asyncio.Queue[tuple[Event | None, dict[str, Any], asyncio.Future[None] | None]]"

_log = logging.getLogger(__name__)


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
        self.connection: ConnectionState | None = None
        self.output_held: str | None = None
        self.step: str | None = "submitting"
        self.released = asyncio.Event()
        self.job = JobKeeper(self, services)
        self.kernel = KernelKeeper(self, services)
        self.lease = LeaseKeeper(self, services)
        self.handover = Handover(self, services)
        self.links = LinkKeeper(self, services)
        self.pausing = PauseKeeper(self, services)
        self.left = LeftState(self, services)
        self.clock = StartClock(self, services.settings.start_timeout_s)
        self._services = services
        # None in the place of an event is the wish to let go.
        # Held while an event is applied: the phase is committed before the last of its actions.
        self.applying = asyncio.Lock()
        self._inbox: Inbox = asyncio.Queue()
        self.kernel_exit: ExitCause | None = None
        # Somebody asked for the kernel's end, so there is nothing to explain about it.
        self.is_end_wanted = False
        self._actions = {
            Action.START_JOB: self._start_job,
            Action.OPEN_LINK: self._open_link,
            Action.CAPTURE_STATE: self.pausing.capture,
            Action.CLOSE_LINK: self._close_link,
            Action.STOP_JOB: self._stop_job,
            Action.RECORD_EXIT: self._record_exit,
            Action.REJECT_HELD: self.reject_held,
            Action.RELEASE: self.release,
        }

    # -- what others ask ------------------------------------------------------

    @property
    def link(self) -> Link | None:
        """The link to the agent, while there is one."""
        return self.links.link

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
        # A kernel that ends while it gets its state back leaves a runtime that is paused again.
        if self.kernel_exit is None or phase in _WITHOUT_EXIT:
            return None
        if self.kernel_exit.signal is not None:
            return -self.kernel_exit.signal
        return self.kernel_exit.code if self.kernel_exit.code is not None else 1

    @property
    def is_left_alone(self) -> bool:
        """Whether it ended in a way that nobody but its user should repeat.

        A launch that never came up would ask the engine again and again, and one whose
        reservation is over would take another one; the reason would vanish with the kernel, and
        with the variables of one that ended while no server was there.
        """
        cause = self.record.exit
        if self.handover.is_returning or self.record.started_s is None:
            return True
        return cause is not None and cause.reason == "lease_over"

    @property
    def is_settled(self) -> bool:
        """Whether a kernel can be asked right now."""
        return self.record.phase is Phase.RUNNING and self.kernel_exit is None

    def begin(self) -> None:
        """Start to drive: the job is submitted at once."""
        self.pausing.take_up()
        self.take_events()
        self._start_job()

    def take_events(self) -> None:
        """Take events from now on."""
        self._services.background.spawn(self._drive(), f"runtime {self.record.id}")

    async def detach(self) -> bool:
        """Let go without ending anything; returns whether the runtime goes on without us.

        One that has ended, or whose job is only half submitted, does not: it is to be stopped.
        """
        await self.job.wait_submitted()
        while not self.released.is_set():
            # Half a job is nothing to leave behind, a whole snapshot is.
            await self.pausing.suspend()
            # In its turn: what has happened before is in the record then.
            taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._inbox.put_nowait((None, {}, taken))
            await taken
            # The wish to resume it may have been the last that came before.
            if self.record.phase is not Phase.RESUMING:
                break
        return self.handover.is_detached

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
            if self.exit_code is not None or self.record.phase is Phase.PAUSED:
                cause = self.record.exit or self.kernel_exit
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
                async with self.applying:
                    if event is None:
                        await self.handover.let_go()
                    else:
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
        _refuse_all(self._inbox)

    async def _apply(self, event: Event, facts: Mapping[str, Any]) -> None:
        for step, step_facts in self.left.translate(event, facts):
            await self._apply_one(step, step_facts)

    async def _apply_one(self, event: Event, facts: Mapping[str, Any]) -> None:
        before = self.record.phase
        if event is Event.JOB_GONE and self.job.is_stopping:
            return  # the end of an earlier stop; the one that runs now will tell, too
        if self.pausing.is_saved and event in (Event.JOB_ENDED, Event.KERNEL_EXITED):
            event, facts = Event.STATE_SAVED, {}  # too late to cost anything
        transition = advance(before, event, self.record.history)
        fields = plan_changes(self.record, event, transition, facts)
        if fields.get("phase") in FINAL_PHASES:
            fields["usage"] = self._final_usage()
        await self._commit(fields)
        if transition.phase is not before:
            self.show_step()
            self.clock.stop()
            await self.lease.charge(transition.phase)
        if event is Event.LINK_READY:
            self.handover.is_returning = False
        for action in transition.actions:
            result = self._actions[action]()
            if result is not None:
                await result
        if transition.phase is not before:
            self.pausing.entered(before)
            self.tell("phase")
        elif event is Event.KERNEL_EXITED or event is Event.LINK_READY:
            self.tell("kernel")

    async def _commit(self, fields: Mapping[str, Any]) -> None:
        if not fields:
            return
        try:
            self.record = await self._services.registry.update(self.record.id, **fields)
        except RemoteKernelsError as error:
            is_over = fields.get("phase") in FINAL_PHASES | {Phase.STOPPING, Phase.PAUSED}
            if not is_over and self.record.phase is not Phase.PAUSING:
                raise
            # A full disk must not keep a job running, nor a runtime between two phases; who starts
            # next finds the way on from what was written before.
            _log.warning("runtime %s: its end is not in the registry: %s", self.record.id, error)
            self.record = self.record.changed(**fields)

    def _final_usage(self) -> dict[str, Any]:
        used = {key: self.metrics.get(key) for key in ("cpu_time_s", "memory_max_bytes")}
        return {**self.record.usage, **used, "executions": self.bridge.activity.executions}

    def _start_job(self) -> None:
        self.job.start()

    async def _open_link(self) -> None:
        # The engine may say more than once that a job runs whose phase stays the same.
        if not self.links.is_open:
            self.links.open()
            self.clock.begin()
            if self.record.phase is Phase.RESUMING:
                await self.lease.charge(Phase.STARTING)

    async def _close_link(self) -> None:
        await self.links.close()

    def _stop_job(self) -> None:
        self.job.stop()

    def _record_exit(self) -> None:
        self.bridge.activity.execution_state = "dead"
        if self.record.exit is not None:
            # An end without an error is what a shutdown looks like.
            level = logging.DEBUG if self.record.exit.code == 0 else logging.INFO
            _log.log(level, "runtime %s: %s", self.record.id, self.record.exit.message)

    def reject_held(self) -> None:
        """Answer requests that no kernel will ever get."""
        cause = self.record.exit
        is_paused = self.record.phase is Phase.PAUSED
        message = "the kernel is paused" if is_paused else "the kernel was terminated"
        message, hint = (cause.message, cause.hint) if cause else (message, "")
        if self.record.phase in FINAL_PHASES:
            # Nothing will come by itself any more: who waits now would wait for ever.
            self.bridge.stand_in.refuse(message, hint)
        else:
            self.bridge.stand_in.reject_held(message, hint)

    async def release(self) -> None:
        """Give back the bridge and everything kept for the runtime."""
        self.bridge.close()
        await self._services.forget(self)
        self.released.set()

    def show_step(self) -> None:
        """Say what belongs to the phase."""
        self.step = _STEPS.get(self.record.phase)

    def tell(self, action: str, **data: Any) -> None:
        """Tell everybody that something about this runtime is different now."""
        self._services.tell(
            Change(self.record.id, action, {"phase": self.record.phase.value, **data})
        )


_WITHOUT_EXIT = (Phase.STOPPING, Phase.PAUSED, Phase.RESUMING)
_STEPS = {
    Phase.SUBMITTED: "waiting for the engine",
    Phase.STARTING: "starting the kernel",
    Phase.PAUSING: "saving its state",
    Phase.RESUMING: "resuming",
    Phase.STOPPING: "stopping",
}


def _fail(taken: asyncio.Future[None] | None, error: Exception) -> None:
    if taken is not None and not taken.done():
        taken.set_exception(error)


def _refuse_all(inbox: Inbox) -> None:
    with contextlib.suppress(asyncio.QueueEmpty):
        while True:
            event, _, taken = inbox.get_nowait()
            if event in (Event.WANT_STOPPED, None) and taken is not None and not taken.done():
                taken.set_result(None)
            else:
                _fail(taken, Conflict("the runtime is gone", reason="runtime_gone"))
