"""The life cycle's table: total, and safe whatever happens in whatever order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from jupyter_remote_kernels.errors import IllegalTransition
from jupyter_remote_kernels.model.phases import (
    FINAL_PHASES,
    TABLE,
    WAITING_PHASES,
    Action,
    Event,
    Phase,
    Target,
    Transition,
    advance,
    target_event,
)

PAIRS = list(itertools.product(Phase, Event))
WITH_JOB = set(Phase) - {Phase.PAUSED, Phase.STOPPED}


def reachable_from(start):
    found = {start}
    while True:
        more = {step.phase for (phase, _), step in TABLE.items() if phase in found} | found
        if more == found:
            return found
        found = more


@pytest.mark.parametrize("phase,event", PAIRS)
def test_every_pair_is_legal_or_raises_with_the_history(phase, event):
    history = ["submitted -> starting", "starting -> running"]
    if (phase, event) in TABLE:
        step = advance(phase, event, history)
        assert isinstance(step, Transition)
        assert step is TABLE[(phase, event)]
        return
    with pytest.raises(IllegalTransition) as caught:
        advance(phase, event, history)
    error = caught.value
    assert phase.value in error.message
    assert event.value in error.message
    assert all(line in error.detail for line in history)
    assert error.hint


def test_ignored_events_change_nothing_and_ask_for_nothing():
    # A phase that stays as it is may still ask for something, but only on news about it.
    for (phase, event), step in TABLE.items():
        if step.phase is phase and step.actions:
            assert event in {Event.JOB_STARTED, Event.KERNEL_EXITED}, (phase, event)


@pytest.mark.parametrize("phase", Phase)
def test_stop_is_accepted_everywhere(phase):
    step = advance(phase, Event.WANT_STOPPED)
    assert step.phase in {Phase.STOPPING, Phase.STOPPED}


def test_nothing_but_a_stop_leaves_a_runtime_with_a_snapshot_without_it():
    for phase in (Phase.PAUSED, Phase.RESUMING):
        for event in set(Event) - {Event.WANT_STOPPED}:
            step = TABLE.get((phase, event))
            if step is not None:
                assert step.phase in {Phase.PAUSED, Phase.RESUMING, Phase.RUNNING}, (phase, event)


@pytest.mark.parametrize("event", sorted(set(Event) - {Event.STATE_SAVED, Event.WANT_STOPPED}))
def test_a_job_is_stopped_for_a_pause_only_when_the_snapshot_is_committed(event):
    step = TABLE.get((Phase.PAUSING, event))
    if step is not None and event is not Event.JOB_ENDED:
        assert Action.STOP_JOB not in step.actions
        assert step.phase in {Phase.PAUSING, Phase.RUNNING}


def test_a_resume_that_fails_can_be_tried_again_with_a_new_job():
    for event in Event:
        step = TABLE.get((Phase.RESUMING, event))
        if step is not None and step.phase is Phase.PAUSED:
            order = (Action.CLOSE_LINK, Action.REJECT_HELD, Action.STOP_JOB)
            assert step.actions == order, event
    assert advance(Phase.PAUSED, Event.WANT_RUNNING).actions == (Action.START_JOB,)


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.SUBMITTED, Phase.STARTING}))
@pytest.mark.parametrize("event", [Event.STATE_SAVED, Event.STATE_FAILED])
def test_the_end_of_a_capture_or_restore_is_never_a_surprise(phase, event):
    # It comes from a task beside the driver, and may be overtaken by any wish.
    assert (phase, event) in TABLE


@pytest.mark.parametrize("phase", Phase)
def test_stopped_can_be_reached_from_everywhere(phase):
    assert Phase.STOPPED in reachable_from(phase)


def test_every_phase_can_be_reached_from_a_launch():
    assert reachable_from(Phase.SUBMITTED) == set(Phase)


def test_nothing_leaves_stopped():
    for event in Event:
        if (Phase.STOPPED, event) in TABLE:
            assert TABLE[(Phase.STOPPED, event)] == Transition(Phase.STOPPED)


@pytest.mark.parametrize("phase", sorted({*WITH_JOB, Phase.PAUSED} - {Phase.STOPPING}))
def test_wanting_the_end_of_a_job_asks_the_engine(phase):
    assert Action.STOP_JOB in advance(phase, Event.WANT_STOPPED).actions


def test_a_lost_link_never_moves_a_runtime():
    for phase in Phase:
        if (phase, Event.LINK_LOST) in TABLE:
            assert TABLE[(phase, Event.LINK_LOST)] == Transition(phase)


def test_actions_come_with_the_phases_they_belong_to():
    for (phase, event), step in TABLE.items():
        where = (phase, event)
        if Action.START_JOB in step.actions:
            assert step.phase in {Phase.SUBMITTED, Phase.RESUMING}, where
        if Action.OPEN_LINK in step.actions:
            assert event is Event.JOB_STARTED, where
        if Action.CAPTURE_STATE in step.actions:
            assert step.phase is Phase.PAUSING, where
        entered_stopped = step.phase is Phase.STOPPED and phase is not Phase.STOPPED
        assert (Action.RELEASE in step.actions) == entered_stopped, where
        if Action.STOP_JOB in step.actions:
            order = [step.actions.index(Action.CLOSE_LINK), step.actions.index(Action.STOP_JOB)]
            assert order == sorted(order), where
        assert len(set(step.actions)) == len(step.actions), where


@pytest.mark.parametrize("phase", sorted(set(Phase) - FINAL_PHASES - {Phase.STOPPING}))
def test_held_requests_are_rejected_before_a_runtime_ends(phase):
    for event in Event:
        step = TABLE.get((phase, event))
        if step is not None and step.phase in FINAL_PHASES | {Phase.STOPPING}:
            assert Action.REJECT_HELD in step.actions, (phase, event)


def test_a_failed_launch_stops_what_it_may_have_left_at_the_engine():
    for (phase, event), step in TABLE.items():
        if step.phase is Phase.FAILED and phase is not Phase.FAILED:
            assert Action.STOP_JOB in step.actions, (phase, event)
            assert Action.RECORD_EXIT in step.actions, (phase, event)


def test_waiting_and_final_phases_do_not_overlap():
    assert not WAITING_PHASES & FINAL_PHASES
    assert Phase.RUNNING not in WAITING_PHASES


def test_targets_have_events():
    assert {target_event(target) for target in Target} == {
        Event.WANT_RUNNING,
        Event.WANT_PAUSED,
        Event.WANT_STOPPED,
    }


class LifeCycle(RuleBasedStateMachine):
    """Any events in any order after a launch; the model counts launches and open jobs."""

    @initialize()
    def launch(self):
        self.phase = Phase.SUBMITTED
        self.history = []
        self.may_have_job = True
        self.is_link_wanted = False
        self.was_stopped = False
        self.is_released = False

    @rule(event=st.sampled_from(Event))
    def happen(self, event):
        try:
            step = advance(self.phase, event, self.history)
        except IllegalTransition:
            return
        self.history.append(f"{self.phase.value} {event.value} {step.phase.value}")
        for action in step.actions:
            self.act(action)
        if self.phase in FINAL_PHASES and step.phase not in FINAL_PHASES | {Phase.STOPPING}:
            assert Action.START_JOB in step.actions
        self.phase = step.phase
        self.was_stopped = self.was_stopped or self.phase is Phase.STOPPED

    def act(self, action):
        if action is Action.START_JOB:
            assert not self.may_have_job, self.history
            self.may_have_job = True
        elif action is Action.STOP_JOB:
            self.may_have_job = False
        elif action is Action.OPEN_LINK:
            assert self.may_have_job, self.history
            self.is_link_wanted = True
        elif action is Action.CLOSE_LINK:
            self.is_link_wanted = False
        elif action is Action.RELEASE:
            assert not self.is_released, self.history
            self.is_released = True

    @invariant()
    def stays_stopped(self):
        if self.was_stopped:
            assert self.phase is Phase.STOPPED, self.history

    @invariant()
    def keeps_no_job_without_a_reason(self):
        if self.phase in {Phase.STOPPED, Phase.PAUSED, Phase.FAILED, Phase.STOPPING}:
            assert not self.may_have_job, self.history
            assert not self.is_link_wanted, self.history

    @invariant()
    def has_a_job_while_it_runs(self):
        if self.phase in {Phase.STARTING, Phase.RUNNING, Phase.PAUSING, Phase.RESUMING}:
            assert self.may_have_job, self.history

    @invariant()
    def releases_exactly_when_stopped(self):
        assert self.is_released == (self.phase is Phase.STOPPED), self.history


TestLifeCycle = LifeCycle.TestCase
