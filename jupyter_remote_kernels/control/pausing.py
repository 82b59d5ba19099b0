"""One runtime's way into a snapshot and out of it again: paused, resumed, or neither, never both.

The order makes it safe. Into it: requests are held, the state is saved, the snapshot is committed,
the record names it, and only then the job is stopped. Out of it: a new job, the state put back, and
only then what was held goes to the kernel. Whatever fails before the last step is taken back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.state_work import StateWork
from jupyter_remote_kernels.errors import Conflict, RemoteKernelsError
from jupyter_remote_kernels.model.phases import Phase, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services

_log = logging.getLogger(__name__)
_WITH_STATE = (Phase.SUBMITTED, Phase.STARTING, Phase.RESUMING)
_WITH_KERNEL = (Phase.RUNNING, Phase.PAUSING, Phase.PAUSED, Phase.RESUMING)


class PauseKeeper:
    """Pauses and resumes one runtime.

    Parameters
    ----------
    driver : RuntimeDriver
        Whose.
    services : Services
        What all drivers share.

    Attributes
    ----------
    work : StateWork
        Moves the state.
    is_moving : bool
        Whether it goes to another environment now: until it is there, no cell wakes it.
    """

    def __init__(self, driver: RuntimeDriver, services: Services) -> None:
        self._driver = driver
        self._services = services
        self._is_anew = False
        self.is_moving = False
        self._settled: asyncio.Future[None] | None = None
        self.work = StateWork(driver, services)

    # -- what users ask -------------------------------------------------------

    async def pause(self) -> Mapping[str, Any]:
        """Save the state and give the machine back; returns when that is done.

        Returns
        -------
        mapping
            The snapshot's id and what it holds; see :func:`describe_saved`.

        Raises
        ------
        Conflict
            When there is no kernel to save, or somebody has called it off.
        LinkError, NotSupported, StateError, StoreError
            When the state could not be saved. The kernel goes on then.
        """
        self.check_pause()
        await self._driver.want(Target.PAUSED)
        await self._wait_settled()
        if self._driver.record.snapshot_id is None:
            raise self.work.failure or Conflict("the pause was called off", reason="called_off")
        return self.work.report

    async def resume(self) -> Mapping[str, Any]:
        """Get a machine and put the state back; returns when the kernel has it.

        Returns
        -------
        mapping
            What the kernel says about it; see :func:`describe_restored`.

        Raises
        ------
        Conflict
            When it is not paused, or somebody has called it off.
        LimitExceeded
            When limits or budget do not allow it.
        RemoteKernelsError
            Whatever went wrong with the job, the link, the snapshot or the kernel. The runtime
            is paused as before then.
        """
        await self._begin_resume()
        await self._wait_settled()
        if self._driver.record.phase is not Phase.RUNNING:
            raise self.work.failure or Conflict("the resume was called off", reason="called_off")
        return self.work.report

    def check_pause(self) -> None:
        """Refuse to pause what has no kernel.

        Raises
        ------
        Conflict
            When it has none.
        """
        if self._driver.record.phase not in _WITH_KERNEL or self._driver.exit_code is not None:
            raise Conflict(
                "the runtime has no kernel that could be paused",
                reason="runtime_not_running",
                hint="It can be paused when its kernel runs.",
            )

    def check_resume(self) -> None:
        """Refuse to resume what is not paused.

        Raises
        ------
        Conflict
            When it was never paused, or has ended.
        """
        if self._driver.record.phase not in _WITH_KERNEL:
            raise Conflict("the runtime is not paused", reason="runtime_not_paused")

    async def cancel(self) -> None:
        """Call off a pause: the kernel goes on. One that is over is taken back."""
        if self._driver.record.phase is Phase.PAUSING:
            await self._driver.want(Target.RUNNING)

    async def suspend(self) -> None:
        """Call off a resume: the runtime is paused as before, and its job is gone or going."""
        if self._driver.record.phase is Phase.RESUMING:
            await self._driver.want(Target.PAUSED)
            await self._driver.job.wait_stopped()

    async def begin_anew(self) -> None:
        """Resume without the state, as a restart does; the snapshot stays where it is."""
        self._is_anew = True
        await self._grant()
        await self._driver.want(Target.RUNNING)

    def end_move(self) -> None:
        """Let cells wake it again, if it is still paused after a move, and those that came."""
        self.is_moving = False
        if self._driver.record.phase is Phase.PAUSED:
            self._let_wake()
            self._wake_for_held()

    # -- what the driver and its parts ask ------------------------------------

    @property
    def is_saved(self) -> bool:
        """Whether a pause has come so far that the kernel is not needed any more."""
        record = self._driver.record
        return record.phase is Phase.PAUSING and record.snapshot_id is not None

    @property
    def has_to_restore(self) -> bool:
        """Whether the kernel that comes up gets a state before it gets anything else."""
        record = self._driver.record
        is_due = record.phase in _WITH_STATE and record.snapshot_id is not None
        return is_due and not self._is_anew

    def take_up(self) -> None:
        """Begin with a record that may be in the middle of it."""
        if self._driver.record.phase is Phase.PAUSED:
            self._fall_asleep()
        elif self._driver.record.snapshot_id is not None:
            self._driver.bridge.hold()

    def capture(self) -> None:
        """Hold what comes, and begin to save the state; the outcome is told as an event."""
        self._driver.bridge.hold()
        self.work.capture()

    def entered(self, before: Phase) -> None:
        """Take note of a new phase; called when its actions are done."""
        driver, phase = self._driver, self._driver.record.phase
        if phase not in (Phase.STARTING, Phase.PAUSING):
            self.work.stop()
        if phase is Phase.PAUSED:
            self._fall_asleep()
            if before is Phase.PAUSING:
                self._services.background.spawn(self._services.snapshots.prune(), "prune")
        elif phase is Phase.RESUMING:
            driver.bridge.stand_in.wake = None
            driver.bridge.stand_in.accept()
            driver.bridge.activity.execution_state = "starting"
        elif self.has_to_restore:
            driver.bridge.hold()  # launched from a snapshot, and launched anew
        elif phase not in (Phase.STARTING, Phase.PAUSING):
            self._is_anew = False
            driver.bridge.stand_in.wake = None
            driver.bridge.release()
            if before in (Phase.PAUSING, Phase.RESUMING):
                # However long nobody had needed it: idleness begins anew.
                driver.bridge.activity.last_s = time.time()
        self._tell_waiting()
        if phase is Phase.PAUSED and not self.is_moving:
            self._wake_for_held()  # somebody ran a cell while the state was saved

    # -- inside ---------------------------------------------------------------

    def _tell_waiting(self) -> None:
        """Tell who waits for the end of a pause or a resume that it has come, or let them wait."""
        if self._driver.record.phase in (Phase.PAUSING, Phase.RESUMING):
            self.work.forget()
            self._settled = asyncio.get_running_loop().create_future()
            return
        settled, self._settled = self._settled, None
        if settled is None:
            return
        cause = self._driver.record.exit
        if self.work.failure is None and cause is not None:
            self.work.failure = RemoteKernelsError(
                cause.message, reason=cause.reason, hint=cause.hint
            )
        settled.set_result(None)

    async def _wait_settled(self) -> None:
        if self._settled is not None:
            # Shielded, because others wait for the same.
            await asyncio.shield(self._settled)

    async def _begin_resume(self) -> None:
        self.check_resume()
        if self._driver.record.phase is Phase.PAUSED:
            await self._grant()
        await self._driver.want(Target.RUNNING)

    async def _grant(self) -> None:
        """Reserve the time of a new job, and forget why an earlier one has failed."""
        lease_s = await self._driver.lease.grant_again()
        self._driver.record = await self._services.registry.update(
            self._driver.record.id, lease_s=lease_s, exit=None
        )

    def _fall_asleep(self) -> None:
        """Let the stand-in speak for a kernel that is in a snapshot."""
        driver = self._driver
        self._is_anew = False
        driver.kernel_exit = None
        driver.unreachable_since_s = None
        driver.metrics = {}
        driver.bridge.hold()
        driver.bridge.detach(kernel_gone=True)
        # Nothing is wrong with it: pages show it as a kernel that has nothing to do.
        driver.bridge.activity.execution_state = "idle"
        if not self.is_moving:
            self._let_wake()

    def _let_wake(self) -> None:
        """Say what becomes of a cell that is run while it is paused."""
        stand_in = self._driver.bridge.stand_in
        if self._services.settings.auto_resume:
            stand_in.wake = self._wake
        else:
            stand_in.refuse("the kernel is paused", "Resume it to run cells.")

    def _wake_for_held(self) -> None:
        if self._driver.bridge.stand_in.held_executes:
            self._wake()

    def _wake(self) -> None:
        self._driver.bridge.stand_in.wake = None
        self._services.background.spawn(self._wake_up(), f"wake {self._driver.record.id}")

    async def _wake_up(self) -> None:
        driver = self._driver
        try:
            await self._begin_resume()
        except RemoteKernelsError as error:
            # It has not even begun. What fails later answers the cells with the new phase, and
            # one that comes after that is for the next attempt: it must not hear of this one.
            _log.info("runtime %s cannot be resumed: %s", driver.record.id, error)
            if driver.record.phase is Phase.PAUSED:
                driver.bridge.stand_in.reject_held(error.message, error.hint)
                self._let_wake()
