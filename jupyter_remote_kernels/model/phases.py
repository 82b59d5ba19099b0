"""The life cycle of a runtime as one table: ``(phase, event) -> phase, actions``.

The table is total: every pair is either legal, ignored on purpose, or illegal. Users write a
target, the engine and the agent send observations; both are events here, and only the
reconciler applies them. Nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import IllegalTransition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Phase(str, Enum):
    """Where a runtime is. Written by the reconciler only."""

    SUBMITTED = "submitted"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMING = "resuming"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class Target(str, Enum):
    """What the user wants. Written by users and Jupyter's hooks only."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class Event(str, Enum):
    """What can happen to a runtime."""

    WANT_RUNNING = "want_running"
    WANT_PAUSED = "want_paused"
    WANT_STOPPED = "want_stopped"
    JOB_STARTED = "job_started"  # the engine runs the job: it has left the queue
    JOB_ENDED = "job_ended"  # the engine's ground truth says that the job is over
    START_FAILED = "start_failed"  # the engine refused, or the agent never came up
    LINK_READY = "link_ready"  # the agent is connected and its kernel answers
    LINK_LOST = "link_lost"  # unreachable, which is not dead: only reachability changes
    KERNEL_EXITED = "kernel_exited"  # the agent says that its kernel process is gone
    STATE_SAVED = "state_saved"  # the snapshot is committed
    STATE_FAILED = "state_failed"  # saving or restoring did not work
    JOB_GONE = "job_gone"  # the stop was verified with the engine


class Action(str, Enum):
    """What the reconciler has to do because of an event."""

    START_JOB = "start_job"
    OPEN_LINK = "open_link"
    CLOSE_LINK = "close_link"
    CAPTURE_STATE = "capture_state"
    STOP_JOB = "stop_job"
    RECORD_EXIT = "record_exit"
    RELEASE = "release"  # give back the bridge and everything kept for the runtime
    REJECT_HELD = "reject_held"  # requests that were held can no longer be delivered


@dataclass(frozen=True)
class Transition:
    """The outcome of an event.

    Attributes
    ----------
    phase : Phase
        The phase after the event.
    actions : tuple of Action
        What to do, in this order.
    """

    phase: Phase
    actions: tuple[Action, ...] = ()


Table = dict[tuple[Phase, Event], Transition]

FINAL_PHASES: frozenset[Phase] = frozenset({Phase.STOPPED, Phase.FAILED})
WAITING_PHASES: frozenset[Phase] = frozenset(
    {Phase.SUBMITTED, Phase.STARTING, Phase.PAUSED, Phase.RESUMING}
)


def _rows() -> Iterable[tuple[Phase, Event, Phase, tuple[Action, ...]]]:
    """Yield the legal rows; what is not here and not in ``_IGNORED`` is illegal."""
    P, E, A = Phase, Event, Action
    stop = (A.CLOSE_LINK, A.STOP_JOB)
    lost = (A.CLOSE_LINK, A.RECORD_EXIT, A.REJECT_HELD, A.STOP_JOB)
    # The snapshot is whole, so nothing is lost: only this attempt is over.
    back = (A.CLOSE_LINK, A.REJECT_HELD, A.STOP_JOB)

    yield P.SUBMITTED, E.JOB_STARTED, P.STARTING, (A.OPEN_LINK,)
    yield P.STARTING, E.LINK_READY, P.RUNNING, ()
    yield P.RESUMING, E.JOB_STARTED, P.RESUMING, (A.OPEN_LINK,)
    yield P.RESUMING, E.LINK_READY, P.RUNNING, ()
    for event in (E.WANT_PAUSED, E.JOB_ENDED, E.START_FAILED, E.KERNEL_EXITED, E.STATE_FAILED):
        yield P.RESUMING, event, P.PAUSED, back
    # A link that opens again tells us no more than that the kernel can be reached.
    yield P.RUNNING, E.LINK_READY, P.RUNNING, ()
    yield P.RUNNING, E.LINK_LOST, P.RUNNING, ()
    # The agent keeps the allocation when its kernel dies, so that a restart is cheap.
    yield P.RUNNING, E.KERNEL_EXITED, P.RUNNING, (A.RECORD_EXIT, A.REJECT_HELD)
    yield P.STARTING, E.KERNEL_EXITED, P.RUNNING, (A.RECORD_EXIT, A.REJECT_HELD)
    for phase in (P.SUBMITTED, P.STARTING):
        yield phase, E.START_FAILED, P.FAILED, lost
        yield phase, E.JOB_ENDED, P.FAILED, lost
    # A launch from a snapshot, which stays as it is.
    yield P.STARTING, E.STATE_FAILED, P.FAILED, lost
    yield P.RUNNING, E.JOB_ENDED, P.FAILED, lost

    yield P.RUNNING, E.WANT_PAUSED, P.PAUSING, (A.CAPTURE_STATE,)
    yield P.PAUSING, E.STATE_SAVED, P.PAUSED, stop
    yield P.PAUSING, E.STATE_FAILED, P.RUNNING, ()
    yield P.PAUSING, E.WANT_RUNNING, P.RUNNING, ()
    yield P.PAUSING, E.JOB_ENDED, P.FAILED, lost
    yield P.PAUSING, E.KERNEL_EXITED, P.RUNNING, (A.RECORD_EXIT, A.REJECT_HELD)
    yield P.PAUSED, E.WANT_RUNNING, P.RESUMING, (A.START_JOB,)

    # Paused, too: the stop of its job may not have been verified yet.
    for phase in (P.SUBMITTED, P.STARTING, P.RUNNING, P.PAUSING, P.PAUSED, P.RESUMING):
        yield phase, E.WANT_STOPPED, P.STOPPING, (A.REJECT_HELD, *stop)
    # A failed launch may have left something at the engine: stop again, verified.
    yield P.FAILED, E.WANT_STOPPED, P.STOPPING, (A.CLOSE_LINK, A.STOP_JOB)
    yield P.FAILED, E.WANT_RUNNING, P.SUBMITTED, (A.START_JOB,)
    yield P.STOPPING, E.JOB_GONE, P.STOPPED, (A.RELEASE,)
    yield P.FAILED, E.JOB_GONE, P.FAILED, ()
    yield P.PAUSED, E.JOB_GONE, P.PAUSED, ()


# Late or repeated news that is true and changes nothing.
_IGNORED: Mapping[Phase, frozenset[Event]] = {
    Phase.SUBMITTED: frozenset({Event.WANT_RUNNING}),
    Phase.STARTING: frozenset({Event.WANT_RUNNING, Event.JOB_STARTED, Event.LINK_LOST}),
    Phase.RUNNING: frozenset(
        {Event.WANT_RUNNING, Event.JOB_STARTED, Event.STATE_SAVED, Event.STATE_FAILED}
    ),
    Phase.PAUSING: frozenset({Event.WANT_PAUSED, Event.LINK_LOST, Event.LINK_READY}),
    Phase.PAUSED: frozenset(
        {
            Event.WANT_PAUSED,
            Event.JOB_STARTED,
            Event.START_FAILED,
            Event.JOB_ENDED,
            Event.LINK_READY,
            Event.LINK_LOST,
            Event.KERNEL_EXITED,
            Event.STATE_SAVED,
            Event.STATE_FAILED,
        }
    ),
    # The end of the job that was paused may be verified when it is wanted back already.
    Phase.RESUMING: frozenset(
        {Event.WANT_RUNNING, Event.LINK_LOST, Event.JOB_GONE, Event.STATE_SAVED}
    ),
    Phase.STOPPING: frozenset(
        {
            Event.WANT_STOPPED,
            Event.JOB_STARTED,
            Event.JOB_ENDED,
            Event.START_FAILED,
            Event.LINK_READY,
            Event.LINK_LOST,
            Event.KERNEL_EXITED,
            Event.STATE_SAVED,
            Event.STATE_FAILED,
        }
    ),
    Phase.STOPPED: frozenset(
        {
            Event.WANT_STOPPED,
            Event.JOB_STARTED,
            Event.JOB_ENDED,
            Event.JOB_GONE,
            Event.START_FAILED,
            Event.LINK_READY,
            Event.LINK_LOST,
            Event.KERNEL_EXITED,
            Event.STATE_SAVED,
            Event.STATE_FAILED,
        }
    ),
    Phase.FAILED: frozenset(
        {
            Event.JOB_STARTED,
            Event.START_FAILED,
            Event.JOB_ENDED,
            Event.LINK_READY,
            Event.LINK_LOST,
            Event.KERNEL_EXITED,
            Event.STATE_SAVED,
            Event.STATE_FAILED,
        }
    ),
}


def _build_table() -> Table:
    table: Table = {}
    for phase, event, after, actions in _rows():
        key = (phase, event)
        if key in table:
            raise AssertionError(f"two rows for {key}")
        table[key] = Transition(after, actions)
    for phase, events in _IGNORED.items():
        for event in events:
            key = (phase, event)
            if key in table:
                raise AssertionError(f"{key} is both ignored and a row")
            table[key] = Transition(phase)
    return table


TABLE: Table = _build_table()


def advance(phase: Phase, event: Event, history: Iterable[str] = ()) -> Transition:
    """Look up what an event does.

    Parameters
    ----------
    phase : Phase
        Where the runtime is.
    event : Event
        What happened.
    history : iterable of str, optional
        The runtime's earlier transitions; put into the error so that a bug can be understood.

    Returns
    -------
    Transition
        The next phase and the actions.

    Raises
    ------
    IllegalTransition
        When the event cannot happen in this phase.
    """
    try:
        return TABLE[(phase, event)]
    except KeyError:
        story = " | ".join(history)
        raise IllegalTransition(
            f"a runtime that is {phase.value} cannot take the event {event.value}",
            hint="Wait until the runtime has settled and try again.",
            detail=f"history: {story}",
        ) from None


def target_event(target: Target) -> Event:
    """Translate what the user wants into the event that the table knows."""
    return {
        Target.RUNNING: Event.WANT_RUNNING,
        Target.PAUSED: Event.WANT_PAUSED,
        Target.STOPPED: Event.WANT_STOPPED,
    }[target]
