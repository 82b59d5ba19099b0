"""The lease: how long this runtime may live, counted by the machine it runs on.

Whoever asked for the runtime may be gone when the time is over, so the agent itself keeps it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Callable

from jupyter_remote_kernels.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Sequence

# A machine that slept wakes its timers as if no time had passed; it is asked again so often.
_LOOK_AGAIN_S = 10.0


def steady_time_s() -> float:
    """Return seconds that no change of the clock moves, and that go on while a machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """A time reservation. Used on the agent's loop.

    Parameters
    ----------
    warnings_s : sequence of float
        How long before the end to warn, in seconds.
    on_warning : callable
        Called with one of ``warnings_s`` when that much is left; once for each, also again when
        the lease was extended meanwhile.
    on_end : callable
        Called when the time is over.
    now_s : callable, optional
        The clock, in seconds; a test puts its own here.
    """

    def __init__(
        self,
        warnings_s: Sequence[float],
        on_warning: Callable[[float], None],
        on_end: Callable[[], None],
        now_s: Callable[[], float] = steady_time_s,
    ) -> None:
        self._warnings_s = sorted(warnings_s, reverse=True)
        self._on_warning = on_warning
        self._on_end = on_end
        self._now_s = now_s
        self._started_s = now_s()
        self._pending_s: list[float] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False
        self.lease_s: float | None = None

    @property
    def age_s(self) -> float:
        """How long ago it began, in seconds."""
        return self._now_s() - self._started_s

    @property
    def remaining_s(self) -> float | None:
        """What is left, in seconds; None without an end."""
        return None if self.lease_s is None else max(0.0, self.lease_s - self.age_s)

    def begin(self, lease_s: float | None) -> None:
        """Begin now, whatever has been before: a warm runtime's time counts from its claim."""
        self._started_s = self._now_s()
        self._apply(lease_s)

    def change(self, lease_s: float | None) -> None:
        """Extend or shorten.

        Parameters
        ----------
        lease_s : float or None
            The whole reservation from its beginning, in seconds; None takes the end away.

        Raises
        ------
        Conflict
            When the new end is in the past, or the end has come.
        """
        if self._is_over or (lease_s is not None and lease_s <= self.age_s):
            raise Conflict(
                "the new end would be in the past",
                reason="lease_over",
                hint="Terminate the runtime to end it now.",
            )
        self._apply(lease_s)

    def stop(self) -> None:
        """Stop counting: the agent ends."""
        self._is_over = True
        self._cancel_timer()

    def _apply(self, lease_s: float | None) -> None:
        self.lease_s = lease_s
        remaining_s = self.remaining_s
        # Who asks for less than a warning's time knows it already.
        self._pending_s = [
            w for w in self._warnings_s if remaining_s is not None and w < remaining_s
        ]
        self._look()

    def _look(self) -> None:
        """Do what is due, and come again when the next thing is."""
        self._cancel_timer()
        remaining_s = self.remaining_s
        if remaining_s is None or self._is_over:
            return
        if remaining_s <= 0:
            self.stop()
            self._on_end()
            return
        due = [warning_s for warning_s in self._pending_s if warning_s >= remaining_s]
        self._pending_s = [warning_s for warning_s in self._pending_s if warning_s < remaining_s]
        if due:
            # After a sleep several are due; only the last one is still true.
            self._on_warning(due[-1])
        until_s = remaining_s - (self._pending_s[0] if self._pending_s else 0.0)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(min(until_s, _LOOK_AGAIN_S), self._look)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
