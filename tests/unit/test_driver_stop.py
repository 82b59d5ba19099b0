"""The driver and stops: tried again, asked for twice, overtaken by a restart."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_remote_kernels.errors import Conflict, ProviderError, StopFailed
from jupyter_remote_kernels.model.phases import Phase, Target
from jupyter_remote_kernels.model.records import KernelCommand
from jupyter_remote_kernels.providers.base import JobState
from tests.unit.driven_runtimes import LIMIT_S, call_on_loop, engine, gates, launch, plane, settings

__all__ = ["engine", "gates", "launch", "plane", "settings"]


@pytest.mark.parametrize("error", [StopFailed("still there"), ZeroDivisionError("still there")])
def test_stop_that_fails_is_tried_again_and_told(engine, plane, launch, error):
    told = []
    plane.subscribe(lambda change: told.append((change.action, change.data["phase"])))
    handle = launch()
    handle.until(lambda driver: driver.job.is_submitted)
    engine.stop_errors = [error, error]
    stopping = plane.submit(handle.driver.stop())
    handle.until(lambda driver: driver.engine and "still there" in driver.engine.message)
    assert handle.driver.engine.state is JobState.UNKNOWN
    stopping.result(LIMIT_S)
    assert len(engine.stopped) == 3
    assert told.count(("engine", "stopping")) == 2
    assert handle.stored.phase is Phase.STOPPED


def test_every_stop_returns_when_the_job_is_gone(engine, plane, launch):
    handle = launch()
    handle.until(lambda driver: driver.job.is_submitted)
    stops = [plane.submit(handle.driver.stop()) for _ in range(5)]
    for stop in stops:
        stop.result(LIMIT_S)
    handle.on(handle.driver.stop())
    assert len(engine.stopped) == 1
    with pytest.raises(Conflict) as failure:
        handle.on(handle.driver.want(Target.RUNNING))
    assert failure.value.reason == "runtime_gone"
    assert handle.driver.exit_code == 0
    assert plane.find("r1") is None


def test_terminate_while_a_failed_launch_is_being_stopped(engine, plane, launch):
    engine.start_error = ProviderError("no")
    engine.stop_gate = asyncio.Event()
    handle = launch()
    handle.until_phase(Phase.FAILED)
    handle.until(lambda driver: engine.stopped)
    stopping = plane.submit(handle.driver.stop())
    handle.until_phase(Phase.STOPPING)
    handle.on(call_on_loop(engine.stop_gate.set))
    stopping.result(LIMIT_S)
    assert len(engine.stopped) == 1
    assert not handle.directory.exists()


def test_end_of_an_earlier_stop_does_not_count_for_a_later_one(engine, plane, launch, gates):
    engine.start_error = ProviderError("no")
    engine.stop_gate = asyncio.Event()
    (in_stopping,) = gates(lambda fields: fields.get("phase") is Phase.STOPPING)
    handle = launch()
    handle.until_phase(Phase.FAILED)
    handle.until(lambda driver: engine.stopped)
    stopping = plane.submit(handle.driver.stop())
    in_stopping.wait_reached()

    async def finish_the_first_stop():
        first = handle.driver.job._stopping
        engine.stop_gate.set()
        await asyncio.wait({first})
        engine.stop_gate = asyncio.Event()

    # The first stop ends while the phase is about to change: a second one has to follow.
    handle.on(finish_the_first_stop())
    in_stopping.open()
    handle.until(lambda driver: len(engine.stopped) == 2)
    assert not handle.driver.released.is_set()
    handle.on(call_on_loop(engine.stop_gate.set))
    stopping.result(LIMIT_S)
    assert not handle.directory.exists()


def test_restart_of_a_failed_runtime_waits_for_its_stop(engine, plane, launch):
    engine.start_error = ProviderError("no")
    engine.stop_gate = asyncio.Event()
    handle = launch()
    handle.until_phase(Phase.FAILED)
    engine.start_error = None
    other = KernelCommand(("other", "{connection_file}"))
    restarting = plane.submit(handle.driver.kernel.restart(other))
    handle.until(lambda driver: engine.stopped)
    # A stop ends everything of the label, so the new job must not be there yet.
    assert [verb for verb, _ in engine.calls] == ["start", "stop"]
    handle.on(call_on_loop(engine.stop_gate.set))
    restarting.result(LIMIT_S)
    handle.until(lambda driver: driver.job.is_submitted)
    assert [verb for verb, _ in engine.calls] == ["start", "stop", "start"]
    record = handle.stored
    assert (record.phase, record.exit, record.ended_s) == (Phase.SUBMITTED, None, None)
    assert record.command == other
    assert handle.driver.exit_code is None
