"""The kernel's state is saved when its time is over and the policy says so.

While a server is there it saves the state itself, in time before the end. With the server away, or
when it has not done so, the state goes into a sealed file beside the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.agent.bundle import write_bundle
from jupyter_remote_kernels.agent.ending import Ending, lease_over, nobody_asked, state_left
from jupyter_remote_kernels.errors import Conflict, NotSupported, RemoteKernelsError
from jupyter_remote_kernels.protocol.saving import LEAST_LEAD_S, USUAL_BYTES_PER_S, find_lead_s

if TYPE_CHECKING:
    from jupyter_remote_kernels.agent.session import AgentSession

_LOOK_AGAIN_S = 10.0
_TRY_AGAIN_S = 1.0
# A cell may swallow an interrupt, or have set its mind on another one.
_INTERRUPT_AGAIN_S = 2.0
_FREE_S = 0.5
# A server that has read the state still has to write it, and to stop us.
_COMMIT_S = 15.0
# When nobody has asked for long there is no hurry: a cell may finish.
_SILENT_PATIENCE_S = 600.0
# A reservation ends when it ends: its kernel does not get longer than this.
_LEASE_GRACE_S = 0.3


class StateSaver:
    """Saves one agent's kernel, when that is due. Used on the agent's loop.

    Parameters
    ----------
    session : AgentSession
        Whose.
    """

    def __init__(self, session: AgentSession) -> None:
        self._session = session
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None
        self._is_silence = False
        self._is_over = False

    # -- what the session tells -----------------------------------------------

    def plan(self) -> None:
        """Look when to begin: the reservation may be another one, or the server gone."""
        self._cancel_timer()
        session, remaining_s = self._session, self._session.lease.remaining_s
        if self._is_over or session.settings.lease_policy != "pause" or remaining_s is None:
            self._give_up(of_silence=False)
            return
        due_s = remaining_s - self._lead_s
        if due_s > 0:
            self._give_up(of_silence=False)
        elif self._saving is None and not session.audience.is_present:
            self._is_silence = False
            self._begin(self._save(self._lease_ending, remaining_s - self._lead_s / 2))
            return
        # A machine that slept wakes its timers as if no time had passed, and a server may go.
        delay_s = min(due_s, _LOOK_AGAIN_S) if due_s > 0 else _TRY_AGAIN_S
        self._timer = session.loop.call_later(delay_s, self.plan)

    def lease_over(self) -> None:
        """The time is over: what is saved now is saved soon, or not at all."""
        self._cancel_timer()
        self._is_over = True
        session = self._session
        if session.settings.lease_policy != "pause" or not session.kernel.is_running:
            session.end(self._lease_ending)
            return
        if self._saving is None:
            self._begin(self._save_last())
        limit_s = max(LEAST_LEAD_S, self._lead_s)
        session.loop.call_later(limit_s, session.end, self._lease_ending)

    def silence_over(self, silence_s: float) -> None:
        """Nobody has asked for so long."""
        session, ending = self._session, nobody_asked(silence_s)
        if session.settings.silence_policy != "pause" or not session.kernel.is_running:
            session.end(ending)
        elif self._saving is None:
            self._is_silence = True
            self._begin(self._save(ending, _SILENT_PATIENCE_S))

    def somebody_is_there(self) -> None:
        """Somebody has connected, so that it is not silent any more."""
        self._give_up(of_silence=True)

    # -- inside ---------------------------------------------------------------

    @property
    def _lease_ending(self) -> Ending:
        return lease_over(self._session.lease.lease_s or 0.0, _LEASE_GRACE_S)

    @property
    def _lead_s(self) -> float:
        session = self._session
        size_bytes = session.metrics.get("memory_bytes")
        return find_lead_s(size_bytes, USUAL_BYTES_PER_S, session.lease.lease_s or 0.0)

    def _begin(self, work: Any) -> None:
        task = self._session.loop.create_task(work)
        self._saving = task
        task.add_done_callback(self._saved)

    def _saved(self, task: asyncio.Task[None]) -> None:
        if self._saving is task:
            self._saving = None
        if not task.cancelled():
            task.result()

    def _give_up(self, *, of_silence: bool) -> None:
        """Let the kernel go on, unless its state is saved already."""
        if self._saving is None or self._is_silence != of_silence or self._is_over:
            return
        if not self._session.ended.is_set():
            self._is_silence = False
            self._saving.cancel()
            self._saving = None

    async def _save_last(self) -> None:
        """Save what nobody has saved in time."""
        session = self._session
        if session.state.is_on:
            # The server may have just the last of it.
            await session.state.wait_free()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(session.ended.wait(), _COMMIT_S)
        if not session.ended.is_set():
            await self._save(self._lease_ending, 0.0)

    async def _save(self, ending: Ending, patience_s: float) -> None:
        """Save the state beside us, and end; again and again until it works.

        Parameters
        ----------
        ending : Ending
            Why; if the state cannot be saved at all, we end with that.
        patience_s : float
            How long a cell that runs may go on, in seconds.
        """
        loop = self._session.loop
        # A kernel that is free needs no interrupt, which would only hit the call.
        deadline_s = loop.time() + max(_FREE_S, patience_s)
        while True:
            interrupting = loop.create_task(self._interrupt_at(deadline_s))
            try:
                await self._write(ending, interrupting)
            except Conflict:
                pass  # somebody else's call has not ended yet
            except (RemoteKernelsError, OSError) as error:
                if (
                    isinstance(error, (NotSupported, OSError))
                    or not self._session.kernel.is_running
                ):
                    self._session.end(_without_state(ending, error))
                    return
            else:
                return
            finally:
                interrupting.cancel()
            await asyncio.sleep(_TRY_AGAIN_S)

    async def _write(self, ending: Ending, interrupting: asyncio.Task[None]) -> None:
        session = self._session
        async with session.state.call(lambda: False) as call:
            interrupting.cancel()
            await write_bundle(call, session.settings.directory, session.settings.token)
            session.end(state_left(ending))
            # Still in the call: what others have asked for meanwhile is not to be run.
            await session.kernel_exited.wait()

    async def _interrupt_at(self, deadline_s: float) -> None:
        """Interrupt a cell that keeps the kernel from being saved, when there is no time left."""
        session = self._session
        await asyncio.sleep(max(0.0, deadline_s - session.loop.time()))
        while session.kernel.is_running:
            session.kernel.send_signal(signal.SIGINT)
            await asyncio.sleep(_INTERRUPT_AGAIN_S)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _without_state(ending: Ending, error: Exception) -> Ending:
    words = error.message if isinstance(error, RemoteKernelsError) else str(error)
    message = f"{ending.cause['message']}, and its state could not be saved: {words}"
    return Ending({**ending.cause, "message": message}, ending.grace_s)
