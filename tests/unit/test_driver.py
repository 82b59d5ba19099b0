"""The driver against an engine that does what a test tells it to, without any real job."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from dataclasses import replace
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient

from jupyter_remote_kernels.control import job as jobs
from jupyter_remote_kernels.control.launch import ControlSettings, LaunchRequest
from jupyter_remote_kernels.control.plane import ControlPlane
from jupyter_remote_kernels.errors import (
    Conflict,
    IllegalTransition,
    LaunchFailed,
    LinkError,
    NotFound,
    ProviderError,
    ProviderUnavailable,
    RegistryError,
    StopFailed,
)
from jupyter_remote_kernels.link.bridge import Address, Keys
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.phases import Event, Phase, Target
from jupyter_remote_kernels.model.records import ExitCause, KernelCommand
from jupyter_remote_kernels.providers.base import Endpoint, JobState, JobStatus, Provider
from jupyter_remote_kernels.testing.doubles import FailingProvider, installed

LIMIT_S = 10.0
COMMAND = KernelCommand(("kernel", "{connection_file}"))


class Engine(Provider):
    """An engine whose answers a test sets; its jobs are entries of a list."""

    name = "engine"
    poll_interval_s = 0.02

    def __init__(self):
        self.status = JobStatus(JobState.QUEUED, "Waiting (position 3)")
        self.calls = []
        self.stop_errors = []
        self.start_error = None
        self.endpoint_error = None
        self.poll_error = None
        self.last = {"complete": True}
        self.start_gate = None
        self.stop_gate = None
        # Bound and never listening: a port at which surely nobody answers.
        self.nobody = socket.socket()
        self.nobody.bind(("127.0.0.1", 0))

    async def start(self, spec):
        self.calls.append(("start", spec.label))
        yield {"label": spec.label, "step": 1}
        if self.start_gate is not None:
            await self.start_gate.wait()
        if self.start_error is not None:
            raise self.start_error
        yield {"label": spec.label, "step": 2, **self.last}

    async def poll(self, checkpoints):
        if self.poll_error is not None:
            raise self.poll_error
        return [self.status] * len(checkpoints)

    async def stop(self, checkpoint, grace_s):
        self.calls.append(("stop", dict(checkpoint)))
        if self.stop_gate is not None:
            await self.stop_gate.wait()
        if self.stop_errors:
            raise self.stop_errors.pop(0)

    async def endpoint(self, checkpoint):
        if self.endpoint_error is not None:
            raise self.endpoint_error
        return Endpoint(f"http://127.0.0.1:{self.nobody.getsockname()[1]}")

    async def recover(self, label):
        return []

    @property
    def stopped(self):
        return [given for verb, given in self.calls if verb == "stop"]


@pytest.fixture
def engine():
    made = Engine()
    with installed(made), contextlib.closing(made.nobody):
        yield made


@pytest.fixture
def settings():
    return ControlSettings(stop_grace_s=1.0)


@pytest.fixture
def plane(tmp_path, engine, settings, monkeypatch):
    monkeypatch.setattr(jobs, "_STOP_RETRY_FIRST_S", 0.01)
    made = ControlPlane(tmp_path / "state", settings)
    yield made
    made.close()
    assert made.services.drivers == {}


class Gate:
    """Holds the registry's thread before one update, until it is opened."""

    def __init__(self):
        self._reached = threading.Event()
        self._opened = threading.Event()

    def pass_through(self):
        self._reached.set()
        assert self._opened.wait(LIMIT_S)

    def wait_reached(self):
        assert self._reached.wait(LIMIT_S)

    def open(self):
        self._opened.set()


@pytest.fixture
def gates(plane, monkeypatch):
    """Put gates before those updates of the registry that the predicates name."""
    registry = plane.services.registry._registry
    real = registry.update

    def make(*predicates: Any):
        made = [(predicate, Gate()) for predicate in predicates]

        def update(runtime_id, **fields: Any):
            for predicate, gate in made:
                if predicate(fields):
                    gate.pass_through()
            return real(runtime_id, **fields)

        monkeypatch.setattr(registry, "update", update)
        return [gate for _, gate in made]

    return make


@pytest.fixture
def launch(plane):
    """Launch a runtime; returns its driver in a form that a test's thread can use."""

    def start(provider="engine", **fields: Any):
        request = LaunchRequest(
            runtime_id=fields.pop("runtime_id", "r1"),
            name="one",
            environment=Environment("env", "Env", provider=provider),
            command=COMMAND,
            address=fields.pop("address", Address()),
            keys=Keys(b"key"),
            **fields,
        )
        plane.submit(plane.launch(request)).result(LIMIT_S)
        return Handle(plane, plane.find(request.runtime_id))

    return start


class Handle:
    """A driver, to be used from the test's thread."""

    def __init__(self, plane, driver):
        self.plane = plane
        self.driver = driver

    def on(self, work):
        return self.plane.submit(work).result(LIMIT_S)

    def until(self, predicate):
        """Wait for a change after which the predicate holds.

        A few things that tests look at are told to nobody; they are looked at again soon.
        """

        async def wait():
            while not predicate(self.driver):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.plane.services.changed(self.driver.record.id), 0.02)

        self.on(asyncio.wait_for(wait(), LIMIT_S))

    def until_phase(self, phase):
        self.until(lambda driver: driver.record.phase is phase)

    def post(self, event, **facts: Any):
        """Post an event and wait until the driver has taken it."""

        async def post():
            self.driver.post(event, **facts)
            # Taken in order: when this harmless wish is through, so is the event.
            with contextlib.suppress(Conflict):
                await self.driver.want(Target.RUNNING)

        self.on(post())

    @property
    def directory(self):
        return self.plane.services.job_directory(self.driver.record.id)

    @property
    def stored(self):
        return self.on(self.plane.services.registry.get(self.driver.record.id))


# -- a launch that fails ------------------------------------------------------


@pytest.mark.parametrize(
    "how,reason", [("fail", "provider_failed"), ("unavailable", "provider_unavailable")]
)
@pytest.mark.parametrize(
    "point,last",
    [
        ("start:0", {"label": "jrk-r1"}),
        ("start:1", {"label": "jrk-r1", "step": 1}),
        ("start:end", {"label": "jrk-r1", "step": 2, "complete": True}),
        ("endpoint", {"label": "jrk-r1", "step": 2, "complete": True}),
    ],
)
def test_provider_fails_at_a_point(engine, launch, point, last, how, reason):
    engine.status = JobStatus(JobState.RUNNING)
    with installed(FailingProvider(engine, at=point, how=how)):
        handle = launch("failing")
        with pytest.raises(LaunchFailed) as failure:
            handle.on(handle.driver.wait_settled())
        assert failure.value.reason == reason
        assert point in failure.value.message
        handle.until(lambda driver: not driver.job.is_stopping)
        # Cleanup got what was committed last, and only then it was forgotten.
        assert engine.stopped == [last]
        assert handle.driver.record.phase is Phase.FAILED
        # The log stays for the user, until the runtime is terminated.
        assert handle.directory.is_dir()
        handle.on(handle.driver.stop())
        assert not handle.directory.exists()
        assert handle.stored.phase is Phase.STOPPED
        assert handle.stored.checkpoint is None


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
    handle.on(_call(engine.start_gate.set))
    handle.until(lambda driver: plane.services.registry._executor._work_queue.qsize())
    # The loop stands still until that commit has begun; else it may be cancelled in the queue.
    standing = threading.Event()
    held = plane.submit(_call(lambda: (standing.set(), in_commit.wait_reached())))
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
    assert handle.driver._start_clock is None
    engine.status = JobStatus(JobState.RUNNING)
    handle.until_phase(Phase.FAILED)
    assert handle.driver.record.exit.reason == "agent_silent"
    assert handle.driver.record.history[-1] == "starting --start_failed--> failed"


# -- a launch that does not begin ---------------------------------------------


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


# -- what the engine says -----------------------------------------------------


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
    handle.on(_call(handle.driver.job.take_status, {"label": "jrk-r1", "other": True}, over))
    handle.post(Event.WANT_RUNNING)
    assert handle.driver.record.phase is Phase.SUBMITTED


def test_late_news_does_not_change_why_it_ended(engine, launch):
    handle = launch()
    handle.until(lambda driver: driver.job.is_submitted)
    first = ExitCause("first", "the true cause")
    handle.on(_call(handle.driver.post, Event.START_FAILED, exit=first))
    handle.until_phase(Phase.FAILED)
    for event in (Event.JOB_ENDED, Event.START_FAILED, Event.KERNEL_EXITED):
        handle.on(_call(handle.driver.post, event, exit=ExitCause("late", "an echo")))
    handle.on(handle.driver.stop())
    assert handle.stored.exit == first


# -- a stop -------------------------------------------------------------------


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
    handle.on(_call(engine.stop_gate.set))
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
    handle.on(_call(engine.stop_gate.set))
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
    handle.on(_call(engine.stop_gate.set))
    restarting.result(LIMIT_S)
    handle.until(lambda driver: driver.job.is_submitted)
    assert [verb for verb, _ in engine.calls] == ["start", "stop", "start"]
    record = handle.stored
    assert (record.phase, record.exit, record.ended_s) == (Phase.SUBMITTED, None, None)
    assert record.command == other
    assert handle.driver.exit_code is None


# -- the machine itself -------------------------------------------------------


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


# -- what clients see meanwhile -----------------------------------------------


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


async def _call(function, *arguments: Any, **fields: Any):
    """Call something on the control plane's loop."""
    function(*arguments, **fields)
