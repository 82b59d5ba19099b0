"""The driver and launches that fail, hang, are given up, or do not begin."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import replace

import pytest

from jupyter_remote_kernels.control.launch import LaunchRequest
from jupyter_remote_kernels.errors import Conflict, LaunchFailed, LinkError, NotFound, ProviderError
from jupyter_remote_kernels.link.bridge import Address, Keys
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.phases import Event, Phase
from jupyter_remote_kernels.providers.base import JobState, JobStatus
from jupyter_remote_kernels.testing.doubles import FailingProvider, installed
from tests.unit.driven_runtimes import (
    COMMAND,
    LIMIT_S,
    call_on_loop,
    engine,
    gates,
    launch,
    plane,
    settings,
)

__all__ = ["engine", "gates", "launch", "plane", "settings"]

BEGUN = {"label": "jrk-r1"}
HALF = {**BEGUN, "step": 1}
WHOLE = {**BEGUN, "step": 2, "complete": True}
REASONS = {"fail": "provider_failed", "unavailable": "provider_unavailable"}


@pytest.mark.parametrize(
    "point,last,how",
    [
        ("start:0", BEGUN, "fail"),
        ("start:0", BEGUN, "unavailable"),
        ("start:1", HALF, "fail"),
        ("start:1", HALF, "unavailable"),
        ("start:end", WHOLE, "fail"),
        ("start:end", WHOLE, "unavailable"),
        ("endpoint", WHOLE, "fail"),
    ],
)
def test_provider_fails_at_a_point(engine, launch, point, last, how):
    engine.status = JobStatus(JobState.RUNNING)
    with installed(FailingProvider(engine, at=point, how=how)):
        handle = launch("failing")
        with pytest.raises(LaunchFailed) as failure:
            handle.on(handle.driver.wait_settled())
        assert failure.value.reason == REASONS[how]
        assert point in failure.value.message
        # The record says so before its job is stopped.
        handle.until(lambda driver: engine.stopped and not driver.job.is_stopping)
        # Cleanup got what was committed last, and only then it was forgotten.
        assert engine.stopped == [last]
        assert handle.driver.record.phase is Phase.FAILED
        # The log stays for the user, until the runtime is terminated.
        assert handle.directory.is_dir()
        handle.on(handle.driver.stop())
        assert not handle.directory.exists()
        assert handle.stored.phase is Phase.STOPPED
        assert handle.stored.checkpoint is None


def test_agent_that_cannot_be_reached_yet_is_waited_for(engine, launch):
    engine.status = JobStatus(JobState.RUNNING)
    with installed(FailingProvider(engine, at="endpoint", how="unavailable")):
        handle = launch("failing")
        handle.until(lambda driver: driver.connection and driver.connection.attempt >= 3)
        driver = handle.driver
        assert driver.record.phase is Phase.STARTING
        assert driver.unreachable_since_s is not None
        assert engine.stopped == []
        handle.on(driver.stop())
    assert engine.stopped == [WHOLE]


@pytest.mark.parametrize("where", ["start_error", "endpoint_error"])
def test_mistake_of_a_provider_is_a_failed_launch(engine, launch, where, caplog):
    engine.status = JobStatus(JobState.RUNNING)
    setattr(engine, where, ZeroDivisionError("oops"))
    handle = launch()
    with pytest.raises(LaunchFailed, match="oops") as failure:
        handle.on(handle.driver.wait_settled())
    assert failure.value.reason == "provider_bug"
    assert "Traceback" in caplog.text
    handle.on(handle.driver.stop())


def test_start_without_a_complete_checkpoint_is_a_mistake(engine, launch):
    engine.last = {}
    handle = launch()
    handle.until_phase(Phase.FAILED)
    assert handle.driver.record.exit.reason == "provider_bug"
    handle.until(lambda driver: engine.stopped)
    assert engine.stopped == [{"label": "jrk-r1", "step": 2}]


@pytest.mark.parametrize("point", ["start:0", "start:1", "start:end"])
def test_start_that_hangs_can_be_stopped_at_once(engine, launch, plane, point):
    hanging = FailingProvider(engine, at=point, how="block")
    with installed(hanging):
        handle = launch("failing")
        handle.on(asyncio.wait_for(hanging.wait_reached(), LIMIT_S))
        committed = handle.stored.checkpoint
        handle.on(asyncio.wait_for(handle.driver.stop(), 2.0))
    assert engine.stopped == [committed or {"label": "jrk-r1"}]
    assert handle.driver.record.phase is Phase.STOPPED


def test_endpoint_that_hangs_does_not_keep_a_stop_waiting(engine, launch):
    engine.status = JobStatus(JobState.RUNNING)
    hanging = FailingProvider(engine, at="endpoint", how="block")
    with installed(hanging):
        handle = launch("failing")
        handle.on(asyncio.wait_for(hanging.wait_reached(), LIMIT_S))
        handle.on(asyncio.wait_for(handle.driver.stop(), 2.0))
    assert handle.driver.link is None
    assert handle.stored.phase is Phase.STOPPED


def test_job_that_has_no_endpoint_because_it_is_over(engine, launch):
    handle = launch()
    handle.until(lambda driver: driver.engine is not None)
    engine.endpoint_error = ProviderError("the job is over", reason="job_over")

    async def end_after_the_start():
        handle.driver.post(Event.JOB_STARTED)
        engine.status = JobStatus(JobState.FAILED, "out of disk")

    handle.on(end_after_the_start())
    handle.until_phase(Phase.FAILED)
    # Not the endpoint's error, which says less.
    assert "out of disk" in handle.driver.record.exit.message


def test_stop_gets_a_checkpoint_whose_commit_was_under_way(engine, launch, plane, gates):
    engine.start_gate = asyncio.Event()
    in_stopping, in_commit = gates(
        lambda fields: fields.get("phase") is Phase.STOPPING,
        lambda fields: (fields.get("checkpoint") or {}).get("step") == 2,
    )
    handle = launch()
    handle.until(lambda driver: driver.job.checkpoint)
    stopping = plane.submit(handle.driver.stop())
    in_stopping.wait_reached()
    # While the stop is being committed, the engine takes one more step, whose commit comes next.
    handle.on(call_on_loop(engine.start_gate.set))
    handle.until(lambda driver: plane.services.registry._executor._work_queue.qsize())
    # The loop stands still until that commit has begun; else it may be cancelled in the queue.
    standing = threading.Event()
    held = plane.submit(call_on_loop(lambda: (standing.set(), in_commit.wait_reached())))
    assert standing.wait(LIMIT_S)
    in_stopping.open()
    held.result(LIMIT_S)
    # The start is cancelled while it waits for this commit, which is carried out all the same.
    handle.until(lambda driver: driver.job._starting.done())
    in_commit.open()
    stopping.result(LIMIT_S)
    assert engine.stopped == [{"label": "jrk-r1", "step": 2, "complete": True}]


def test_job_without_a_kernel_fails_after_its_time(tmp_path, engine, plane, launch):
    plane.services.settings = replace(plane.services.settings, start_timeout_s=0.05)
    handle = launch()
    # In the queue no time counts.
    handle.until(lambda driver: driver.engine is not None)
    assert not handle.driver.clock.is_running
    engine.status = JobStatus(JobState.RUNNING)
    handle.until_phase(Phase.FAILED)
    assert handle.driver.record.exit.reason == "agent_silent"
    assert handle.driver.record.history[-1] == "starting --start_failed--> failed"


def test_unknown_provider_leaves_nothing(plane, launch):
    with pytest.raises(NotFound, match="nowhere"):
        launch("nowhere")
    assert plane.submit(plane.list_records()).result(LIMIT_S) == []


def test_address_in_use_leaves_nothing(plane, launch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LinkError) as failure:
            launch(address=Address(ports={"shell": taken.getsockname()[1]}))
    assert failure.value.reason == "bind_failed"
    assert plane.submit(plane.list_records()).result(LIMIT_S) == []


def test_same_id_and_same_token_are_conflicts(plane, launch):
    launch(client_token="token")
    with pytest.raises(Conflict):
        launch()
    with pytest.raises(Conflict) as failure:
        launch(runtime_id="r2", client_token="token")
    assert failure.value.reason == "client_token_in_use"
    assert list(plane.services.drivers) == ["r1"]


def test_id_of_an_ended_runtime_can_be_used_again(engine, launch):
    first = launch()
    first.until(lambda driver: driver.job.is_submitted)
    first.on(first.driver.stop())
    second = launch()
    second.until(lambda driver: driver.job.is_submitted)
    assert second.stored.phase is Phase.SUBMITTED
    assert [verb for verb, _ in engine.calls] == ["start", "stop", "start"]


def test_cancelled_launch_leaves_no_runtime(engine, plane, launch, monkeypatch):
    registry = plane.services.registry._registry
    real, inside, go_on = registry.insert, threading.Event(), threading.Event()

    def slow_insert(record, limits):
        inside.set()
        assert go_on.wait(LIMIT_S)
        real(record, limits)

    monkeypatch.setattr(registry, "insert", slow_insert)
    environment = Environment("env", "Env", provider="engine")
    request = LaunchRequest("r1", "one", environment, COMMAND, Address(), Keys(b"key"))
    launching = plane.submit(plane.launch(request))
    assert inside.wait(LIMIT_S)
    assert launching.cancel()
    go_on.set()

    async def settled():
        while any(task.get_name() == "abandon r1" for task in asyncio.all_tasks()):
            await asyncio.wait(
                [task for task in asyncio.all_tasks() if task.get_name() == "abandon r1"]
            )
        return await plane.list_records()

    # The cancellation reaches the loop after this call; one turn of it is enough.
    plane.submit(asyncio.sleep(0)).result(LIMIT_S)
    (record,) = plane.submit(settled()).result(LIMIT_S)
    assert record.phase is Phase.STOPPED
    assert plane.services.drivers == {}
