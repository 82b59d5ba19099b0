"""Taking runtimes up and letting them go, against an engine that does what a test tells it to."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import Any

import pytest

from jupyter_remote_kernels.control import job as jobs
from jupyter_remote_kernels.control.launch import ControlSettings
from jupyter_remote_kernels.control.plane import ControlPlane
from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.errors import NotFound
from jupyter_remote_kernels.link.bridge import Address, Keys
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.phases import Phase, Target
from jupyter_remote_kernels.model.records import ExitCause, RuntimeRecord
from jupyter_remote_kernels.providers.base import JobState, JobStatus
from tests.unit.driven_runtimes import COMMAND, LIMIT_S, Handle, engine, launch

__all__ = ["engine", "launch"]
WHOLE = {"label": "jrk-r1", "complete": True}


@pytest.fixture
def settings():
    return ControlSettings(stop_grace_s=1.0, is_server=True)


@pytest.fixture
def plane(tmp_path, engine, settings):
    made = ControlPlane(tmp_path / "state", settings)
    made.submit(made.take_over("here")).result(LIMIT_S)
    yield made
    made.close()
    assert made.services.drivers == {}


@pytest.fixture
def take_up(plane):
    """Take up a runtime that an earlier server has left in a phase."""

    def call(phase, provider="engine", **fields: Any):
        record = RuntimeRecord(
            id="r1",
            name="one",
            environment=Environment("env", "Env", provider=provider, credits_per_hour=1),
            command=COMMAND,
            token="secret",
            phase=phase,
            created_s=time.time(),
            server="here",
            **{"checkpoint": WHOLE, "started_s": time.time(), **fields},
        )

        async def work():
            registry = plane.services.registry
            await registry.insert(record)
            if phase is Phase.RUNNING:
                await registry.ledger.open("r1", "one", "env", "running", 1.0)
            (claimed,) = await plane.take_over("here")
            driver = await plane.adopt(claimed, Address(), Keys(b"key"))
            await driver.handover.resume()
            return driver

        return Handle(plane, plane.submit(work()).result(LIMIT_S))

    return call


def read_ledger(handle):
    return handle.on(handle.plane.services.registry.ledger.list())


def test_running_one_of_which_nothing_is_known_runs_on(engine, take_up):
    engine.status = JobStatus(JobState.UNKNOWN, "the engine is away")
    handle = take_up(Phase.RUNNING)
    handle.until(lambda driver: driver.engine is not None)
    assert handle.driver.record.phase is Phase.RUNNING
    assert handle.driver.unreachable_since_s is not None
    assert handle.driver.exit_code is None
    (entry,) = read_ledger(handle)
    assert entry.is_open


def test_one_that_has_ended_is_failed_and_left_alone(engine, take_up):
    engine.status = JobStatus(JobState.FAILED, "node down", exit_code=1)
    handle = take_up(Phase.RUNNING)
    handle.until_phase(Phase.FAILED)
    handle.until(lambda driver: driver.record.checkpoint is None)
    assert "node down" in handle.driver.record.exit.message
    # Nobody may start it anew without being asked to: its variables are gone.
    assert handle.driver.is_left_alone
    (entry,) = read_ledger(handle)
    assert not entry.is_open
    assert entry.seconds == 0  # it was never seen after its charges had begun


def test_one_in_the_queue_leaves_it(engine, take_up):
    handle = take_up(Phase.SUBMITTED, started_s=None)
    handle.until(lambda driver: driver.engine is not None)
    assert handle.driver.record.phase is Phase.SUBMITTED
    assert read_ledger(handle) == []
    engine.status = JobStatus(JobState.RUNNING)
    handle.until_phase(Phase.STARTING)
    assert ("start", "jrk-r1") not in engine.calls
    assert len(read_ledger(handle)) == 1


def test_failed_one_is_shown_and_its_job_stopped(engine, take_up):
    cause = ExitCause("job_failed", "node down")
    handle = take_up(Phase.FAILED, exit=cause)
    handle.until(lambda driver: driver.record.checkpoint is None)
    assert engine.stopped == [WHOLE]
    assert (handle.driver.record.phase, handle.driver.record.exit) == (Phase.FAILED, cause)
    assert handle.driver.bridge.activity.execution_state == "dead"
    handle.on(handle.driver.stop())
    assert handle.stored.phase is Phase.STOPPED


def test_warm_one_that_was_not_claimed_yet_gets_a_job_of_its_own(engine, take_up, plane):
    # Nobody answers at the warm job's address, so it is thrown away.
    async def put_warm():
        warm = RuntimeRecord(
            id="w1",
            name="warm",
            environment=Environment("env", "Env", provider="engine"),
            command=COMMAND,
            token="secret",
        )
        # Afterwards nobody cleans up what has no owner, which a warm job of this test has not.
        await plane.wait_swept()
        await plane.services.registry.warm.put(warm)

    plane.submit(put_warm()).result(LIMIT_S)
    handle = take_up(Phase.SUBMITTED, job_id="w1", started_s=None)
    handle.until(lambda driver: driver.record.job_id is None and driver.job.is_submitted)
    assert ("start", "jrk-r1") in engine.calls


def test_one_whose_provider_is_not_installed_stays_claimed(plane, take_up):
    with pytest.raises(NotFound):
        take_up(Phase.RUNNING, provider="nowhere")
    (record,) = plane.submit(plane.list_records()).result(LIMIT_S)
    assert record.phase is Phase.RUNNING
    assert record.owner is not None


def test_let_go_and_taken_up_by_the_next(engine, launch, plane):
    handle = launch()
    handle.until(lambda driver: driver.job.is_submitted)
    port = handle.driver.bridge.connection["shell_port"]
    assert handle.on(handle.driver.detach())
    assert handle.on(handle.driver.detach())  # and once more, which changes nothing
    assert handle.stored.owner is None
    assert plane.find("r1") is None
    assert engine.stopped == []

    async def work():
        (claimed,) = await plane.take_over("here")
        # The same ports are free again.
        driver = await plane.adopt(claimed, Address(ports={"shell": port}), Keys(b"key"))
        await driver.handover.resume()
        return driver

    again = Handle(plane, plane.submit(work()).result(LIMIT_S))
    assert again.driver.bridge.connection["shell_port"] == port
    again.on(again.driver.stop())
    assert engine.stopped


def test_half_submitted_one_is_not_let_go(engine, launch, monkeypatch):
    monkeypatch.setattr(jobs, "_SUBMIT_LIMIT_S", 0.05)
    engine.start_gate = asyncio.Event()
    handle = launch()
    handle.until(lambda driver: driver.job.checkpoint is not None)
    assert not handle.on(handle.driver.detach())
    handle.on(handle.driver.stop())
    assert handle.stored.phase is Phase.STOPPED


def test_ended_one_is_not_let_go(engine, launch):
    engine.status = JobStatus(JobState.FAILED, "node down")
    handle = launch()
    handle.until_phase(Phase.FAILED)
    assert not handle.on(handle.driver.detach())
    assert handle.stored.owner is not None


class TestEndOfTheProcess:
    @pytest.fixture
    def settings(self):
        return ControlSettings(stop_grace_s=1.0, is_server=True, leaves_running=True)

    def test_what_goes_on_is_let_go_and_the_rest_is_ended(self, engine, launch, plane):
        going = launch()
        going.until(lambda driver: driver.job.is_submitted)
        engine.last = {}  # the engine does not take the next one in
        ending = launch(runtime_id="r2")
        ending.until_phase(Phase.FAILED)
        plane.close()
        with closing(Registry(plane.state_directory / "registry.sqlite3")) as registry:
            phases = {record.id: record.phase for record in registry.list()}
        assert phases == {"r1": Phase.SUBMITTED, "r2": Phase.STOPPED}


def test_paused_one_that_is_woken_in_the_last_moment_is_let_go_paused(engine, take_up, plane):
    handle = take_up(Phase.PAUSED, snapshot_id="a" * 32, checkpoint=None)

    async def work():
        # The wish waits in line when the server begins to let go.
        wish = asyncio.create_task(handle.driver.want(Target.RUNNING))
        await asyncio.sleep(0)
        is_detached = await handle.driver.detach()
        await wish
        return is_detached

    assert plane.submit(work()).result(LIMIT_S)
    (record,) = plane.submit(plane.list_records()).result(LIMIT_S)
    assert (record.phase, record.snapshot_id) == (Phase.PAUSED, "a" * 32)
    assert record.owner is None
    assert len(engine.stopped) == len([call for call in engine.calls if call[0] == "start"])
