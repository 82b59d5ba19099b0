"""What the driver hears of the engine, writes down, and tells its clients meanwhile."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient

from jupyter_remote_kernels.errors import IllegalTransition, ProviderUnavailable, RegistryError
from jupyter_remote_kernels.model.phases import Event, Phase, Target
from jupyter_remote_kernels.model.records import ExitCause
from jupyter_remote_kernels.providers.base import JobState, JobStatus
from tests.unit.driven_runtimes import LIMIT_S, call_on_loop, engine, launch, plane, settings

__all__ = ["engine", "launch", "plane", "settings"]


def test_engines_words_are_told_once(engine, plane, launch):
    told = []
    plane.subscribe(lambda change: told.append(change.action))
    handle = launch()
    handle.until(lambda driver: driver.engine is not None)
    assert handle.driver.engine.message == "Waiting (position 3)"
    engine.status = JobStatus(JobState.QUEUED, "Waiting (position 2)")
    handle.until(lambda driver: driver.engine.message == "Waiting (position 2)")
    assert told.count("engine") == 2


@pytest.mark.parametrize("error", [None, ProviderUnavailable("away"), ZeroDivisionError("oops")])
def test_engine_that_does_not_know_changes_nothing(engine, launch, error):
    handle = launch()
    handle.until(lambda driver: driver.engine is not None)
    engine.poll_error = error
    engine.status = JobStatus(JobState.UNKNOWN, "the controller does not answer")
    handle.on(handle.driver.job.poll())
    assert handle.driver.record.phase is Phase.SUBMITTED
    engine.poll_error = None
    # It goes on with being polled, and the next answer counts again.
    engine.status = JobStatus(JobState.RUNNING)
    handle.until_phase(Phase.STARTING)


def test_wrong_number_of_answers_does_not_end_the_polling(engine, launch, monkeypatch):
    async def poll(checkpoints):
        engine.calls.append(("poll", len(checkpoints)))
        return []

    handle = launch()
    handle.until(lambda driver: driver.engine is not None)
    monkeypatch.setattr(engine, "poll", poll)
    handle.on(handle.driver.job.poll())
    monkeypatch.undo()
    engine.status = JobStatus(JobState.RUNNING)
    handle.until_phase(Phase.STARTING)


@pytest.mark.parametrize("state", [state for state in JobState if state.is_over])
def test_job_that_ends_behind_our_back(engine, launch, state):
    handle = launch()
    handle.until(lambda driver: driver.engine is not None)
    engine.status = JobStatus(state, "the engine's words", 7, "first line\nlast line\n")
    handle.until_phase(Phase.FAILED)
    cause = handle.driver.record.exit
    assert cause.reason == f"job_{state.value}"
    assert "the engine's words" in cause.message
    assert "last line" in cause.hint
    assert cause.code == 7
    assert handle.driver.exit_code == 1
    assert handle.stored.ended_s is not None


def test_answer_about_an_earlier_job_is_dropped(engine, launch):
    handle = launch()
    handle.until(lambda driver: driver.job.is_submitted)
    over = JobStatus(JobState.MISSING)
    handle.on(call_on_loop(handle.driver.job.take_status, {"label": "jrk-r1", "other": True}, over))
    handle.post(Event.WANT_RUNNING)
    assert handle.driver.record.phase is Phase.SUBMITTED


def test_late_news_does_not_change_why_it_ended(engine, launch):
    handle = launch()
    handle.until(lambda driver: driver.job.is_submitted)
    first = ExitCause("first", "the true cause")
    handle.on(call_on_loop(handle.driver.post, Event.START_FAILED, exit=first))
    handle.until_phase(Phase.FAILED)
    for event in (Event.JOB_ENDED, Event.START_FAILED, Event.KERNEL_EXITED):
        handle.on(call_on_loop(handle.driver.post, event, exit=ExitCause("late", "an echo")))
    handle.on(handle.driver.stop())
    assert handle.stored.exit == first


def test_illegal_event_is_logged_with_its_history_and_the_driver_goes_on(launch, caplog):
    handle = launch()
    with caplog.at_level(logging.WARNING):
        handle.post(Event.STATE_SAVED)
    assert "cannot take the event state_saved" in caplog.text
    with pytest.raises(IllegalTransition):
        handle.on(handle.driver.want(Target.PAUSED))
    assert handle.driver.record.target is Target.RUNNING
    handle.on(handle.driver.stop())
    assert handle.driver.record.target is Target.STOPPED


def test_registry_that_refuses_does_not_keep_a_job(engine, plane, launch, monkeypatch):
    handle = launch()
    handle.until(lambda driver: driver.job.is_submitted)

    def refuse(runtime_id, **fields: Any):
        raise RegistryError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(plane.services.registry._registry, "update", refuse)
        handle.on(handle.driver.stop())
    assert engine.stopped == [{"label": "jrk-r1", "step": 2, "complete": True}]
    assert handle.driver.record.phase is Phase.STOPPED
    # The registry knows nothing of it; the sweep of the next process will set it right.
    assert handle.stored.phase is Phase.SUBMITTED


def test_registry_that_refuses_once_does_not_lose_the_jobs_start(
    engine, plane, launch, monkeypatch
):
    handle = launch()
    handle.until(lambda driver: driver.job.is_submitted)
    registry = plane.services.registry._registry
    real, refused = registry.update, threading.Event()

    def refuse_once(runtime_id, **fields: Any):
        if fields.get("phase") is Phase.STARTING and not refused.is_set():
            refused.set()
            raise RegistryError("busy", reason="registry_busy")
        return real(runtime_id, **fields)

    monkeypatch.setattr(registry, "update", refuse_once)
    engine.status = JobStatus(JobState.RUNNING)
    handle.until_phase(Phase.STARTING)
    assert refused.is_set()


@pytest.fixture
def client(launch):
    """A launched runtime with a client of its local sockets."""
    handle = launch()
    handle.until(lambda driver: driver.job.is_submitted)
    made = BlockingKernelClient()
    made.load_connection_info(handle.driver.bridge.connection)
    made.start_channels()
    made.wait_for_ready(timeout=LIMIT_S)
    yield handle, made
    made.stop_channels()


def execute_and_hold(handle, client):
    """Send a cell; returns when it is held, which the published state tells."""
    msg_id = client.execute("1")
    while True:
        message = client.get_iopub_msg(timeout=LIMIT_S)
        if message["parent_header"].get("msg_id") == msg_id:
            assert message["content"] == {"execution_state": "busy"}
            return msg_id


def test_held_cell_is_answered_when_the_launch_fails(engine, client):
    handle, kernel = client
    msg_id = execute_and_hold(handle, kernel)
    engine.status = JobStatus(JobState.FAILED, "node lost")
    reply = kernel.get_shell_msg(timeout=LIMIT_S)
    assert reply["parent_header"]["msg_id"] == msg_id
    assert reply["content"]["status"] == "error"
    assert "node lost" in reply["content"]["evalue"]


def test_held_cell_is_answered_when_the_launch_is_called_off(client):
    handle, kernel = client
    msg_id = execute_and_hold(handle, kernel)
    handle.on(handle.driver.stop())
    reply = kernel.get_shell_msg(timeout=LIMIT_S)
    assert reply["parent_header"]["msg_id"] == msg_id
    assert reply["content"]["status"] == "error"


def test_interrupt_aborts_what_is_held(client):
    handle, kernel = client
    msg_id = execute_and_hold(handle, kernel)
    handle.on(handle.driver.kernel.interrupt())
    reply = kernel.get_shell_msg(timeout=LIMIT_S)
    assert reply["parent_header"]["msg_id"] == msg_id
    assert reply["content"] == {"status": "aborted"}
    assert handle.driver.record.phase is Phase.SUBMITTED


def test_rename_is_stored_and_told(plane, launch):
    told = []
    handle = launch()
    plane.subscribe(lambda change: told.append(change.action))
    handle.on(handle.driver.rename(name="two", tag="mine"))
    assert (handle.stored.name, handle.stored.tag) == ("two", "mine")
    assert "renamed" in told
