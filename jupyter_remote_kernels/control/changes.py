"""What an event changes in a runtime's record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.model.phases import (
    FINAL_PHASES,
    Event,
    Phase,
    Target,
    Transition,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.model.records import RuntimeRecord

_HISTORY_LENGTH = 50


def plan_changes(
    record: RuntimeRecord, event: Event, transition: Transition, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the fields of a record that are different after an event.

    Parameters
    ----------
    record : RuntimeRecord
        As it is before.
    event : Event
        What happened.
    transition : Transition
        What the table says about it.
    facts : mapping
        Fields that came with the event.
    """
    before, after = record.phase, transition.phase
    fields = dict(facts)
    if fields.get("exit") is not None and transition == Transition(before):
        del fields["exit"]  # late news: why it really ended is known already
    if event is Event.JOB_GONE and after is not Phase.RESUMING:
        fields["checkpoint"] = None
    if after is before:
        return fields
    line = f"{before.value} --{event.value}--> {after.value}"
    fields["phase"] = after
    fields["history"] = (*record.history, line)[-_HISTORY_LENGTH:]
    if after in FINAL_PHASES:
        fields["ended_s"] = time.time()
    planned = _plan_state(record, before, after)
    if "parent_snapshot_id" in facts:
        del planned["parent_snapshot_id"]  # whoever has read it knows better
    return {**fields, **planned}


def _plan_state(record: RuntimeRecord, before: Phase, after: Phase) -> dict[str, Any]:
    """Return what a new phase says about snapshot, reservation and target."""
    if after is Phase.PAUSING:
        # Until there is one: who takes over a runtime in this phase asks for it.
        return {"snapshot_id": None}
    if after is Phase.PAUSED:
        # A machine that is given back has no reservation; an attempt that failed is no wish.
        return {"lease_s": None, "expires_s": None, "target": Target.PAUSED}
    if after is Phase.RUNNING:
        # What it began with may be compared with what it is to be saved as.
        parent = record.snapshot_id or record.parent_snapshot_id
        target = {"target": Target.RUNNING} if before is Phase.PAUSING else {}
        return {"snapshot_id": None, "parent_snapshot_id": parent, **target}
    return {}
