"""A part of a running runtime is lost: its agent, its kernel, or the connection to them."""

from __future__ import annotations

import os
import signal
import sys
import time

import psutil
import pytest

from jupyter_remote_kernels.control.launch import ControlSettings
from jupyter_remote_kernels.errors import LaunchFailed
from jupyter_remote_kernels.model.phases import Phase
from jupyter_remote_kernels.providers.base import JobState, JobStatus
from tests.faults.support import TINY

# Missing, when the agent ended in the very moment in which its engine was asked about it.
KILLED = ("job_failed", "job_missing")


@pytest.fixture
def set_network(plane, relay):
    return lambda mode: plane.submit(relay.set_mode(mode)).result(20)


@pytest.fixture
def runtime(launch, relay):
    """A running runtime with a tiny kernel, behind the relay."""
    handle = launch("relay")
    handle.settle()
    handle.client.wait_for_ready(timeout=20)
    return handle


def is_unreachable(driver):
    return driver.unreachable_since_s is not None


def is_reachable(driver):
    return driver.unreachable_since_s is None


# -- the agent ----------------------------------------------------------------


def test_killed_agent_is_found_and_its_kernel_does_not_stay(home, launch):
    runtime = launch()
    runtime.settle()
    label = runtime.driver.record.label
    assert len(home.processes()) >= 2
    started_s = time.monotonic()
    os.kill(runtime.agent_pid, signal.SIGKILL)
    runtime.until_phase(Phase.FAILED)
    # Not at the next poll, but because the link was lost.
    assert time.monotonic() - started_s < 3.0
    assert runtime.driver.record.exit.reason in KILLED
    runtime.until(lambda driver: driver.record.checkpoint is None)
    assert [item for item in home.processes() if label in str(item)] == []
    assert home.processes() == {}
    assert runtime.driver.exit_code == 1


def test_runtime_whose_agent_was_killed_can_be_restarted_under_its_id(home, launch):
    runtime = launch()
    runtime.settle()
    runtime.client.wait_for_ready(timeout=20)
    assert runtime.execute("before") == 1
    first = runtime.agent_pid
    os.kill(first, signal.SIGKILL)
    runtime.until_phase(Phase.FAILED)
    runtime.on(runtime.driver.kernel.restart(runtime.driver.record.command))
    runtime.settle()
    assert runtime.agent_pid != first
    # The same client, on the same ports, and a kernel that knows nothing of the first.
    assert runtime.execute("after") == 1
    assert runtime.driver.record.exit is None
    assert runtime.driver.exit_code is None
    runtime.stop()


@pytest.mark.parametrize("command", ["/bin/false", "/bin/true"])
def test_agent_that_ends_at_once(launch, command):
    runtime = launch(python=command)
    with pytest.raises(LaunchFailed, match="agent") as failure:
        runtime.settle()
    assert failure.value.reason in ("job_succeeded", *KILLED)


def test_terminate_in_every_moment_of_a_start(home, launch):
    moments = (Phase.SUBMITTED, Phase.STARTING, Phase.RUNNING)
    for phase in moments:
        runtime = launch()
        runtime.until_phase(phase)
        runtime.stop()
        assert home.processes() == {}
        assert not (home.runtimes / runtime.driver.record.id).exists()


# -- the kernel ---------------------------------------------------------------


def test_killed_kernel_has_a_cause_and_is_restarted_in_its_place(launch):
    runtime = launch()
    runtime.settle()
    runtime.client.wait_for_ready(timeout=20)
    assert runtime.execute("before") == 1
    agent, kernel = runtime.agent_pid, runtime.kernel_pid()
    os.kill(kernel, signal.SIGKILL)
    assert runtime.on(runtime.driver.wait_exit()) == -signal.SIGKILL
    runtime.until(lambda driver: driver.record.exit is not None)
    cause = runtime.driver.record.exit
    assert (cause.reason, cause.signal) == ("signal", signal.SIGKILL)
    assert runtime.phase is Phase.RUNNING
    runtime.on(runtime.driver.kernel.restart(runtime.driver.record.command))
    runtime.settle()
    assert runtime.agent_pid == agent
    assert runtime.kernel_pid() != kernel
    assert runtime.execute("after") == 1
    runtime.until(lambda driver: driver.record.exit is None)


def test_cell_of_a_killed_kernel_is_held_for_the_next(launch):
    runtime = launch()
    runtime.settle()
    runtime.client.wait_for_ready(timeout=20)
    os.kill(runtime.kernel_pid(), signal.SIGKILL)
    runtime.on(runtime.driver.wait_exit())
    runtime.until(lambda driver: driver.record.exit is not None)
    waiting = runtime.send("later")
    assert runtime.next_state(waiting) == "busy"
    runtime.on(runtime.driver.kernel.restart(runtime.driver.record.command))
    reply, _ = runtime.outcome(waiting)
    assert reply["execution_count"] == 1


def test_kernel_that_cannot_be_started_says_why(launch):
    runtime = launch(argv=["/nowhere/kernel", "{connection_file}"])
    with pytest.raises(LaunchFailed, match="/nowhere/kernel") as failure:
        runtime.settle()
    assert failure.value.reason == "start_failed"
    # The agent is there for another try with another command.
    command = type(runtime.driver.record.command)(TINY)
    runtime.on(runtime.driver.kernel.restart(command))
    runtime.settle()


def test_kernel_that_ends_by_itself(launch):
    runtime = launch(argv=[sys.executable, "-c", "raise SystemExit(3)", "{connection_file}"])
    with pytest.raises(LaunchFailed, match="exit code 3") as failure:
        runtime.settle()
    assert failure.value.reason == "exited"
    assert runtime.driver.exit_code == 3


class TestVacantAgent:
    @pytest.fixture
    def settings(self):
        return ControlSettings(stop_grace_s=2.0, vacant_s=0.2)

    def test_it_ends_and_the_kernel_can_still_be_restarted(self, launch):
        runtime = launch()
        runtime.settle()
        os.kill(runtime.kernel_pid(), signal.SIGKILL)
        runtime.until_phase(Phase.FAILED)
        assert runtime.driver.record.exit.reason == "vacant"
        runtime.on(runtime.driver.kernel.restart(runtime.driver.record.command))
        runtime.settle()
        runtime.client.wait_for_ready(timeout=20)
        assert runtime.execute("again") == 1


# -- the connection -----------------------------------------------------------


def test_cut_connection_is_unreachable_and_not_dead(runtime, plane, set_network):
    told = []
    plane.subscribe(lambda change: told.append(change.action))
    assert runtime.execute("first") == 1
    set_network("cut")
    runtime.until(is_unreachable)
    assert runtime.phase is Phase.RUNNING
    assert runtime.driver.exit_code is None
    set_network("open")
    runtime.until(is_reachable)
    assert told.count("reachability") >= 2  # again at each attempt
    # The kernel has not noticed anything.
    assert runtime.execute("second") == 2


def test_cells_sent_during_a_cut_are_delivered_once_and_in_order(runtime, set_network):
    set_network("cut")
    runtime.until(is_unreachable)
    sent = [runtime.send(f"cell {number}") for number in range(5)]
    for msg_id in sent:
        assert runtime.next_state(msg_id) == "busy"
    set_network("open")
    counts = [runtime.outcome(msg_id)[0]["execution_count"] for msg_id in sent]
    assert counts == [1, 2, 3, 4, 5]
    # And never again, after another reconnect.
    set_network("open")
    runtime.until(lambda driver: driver.bridge._channels is not None)
    assert runtime.execute("last") == 6


def test_interrupt_during_a_cut_aborts_what_is_held(runtime, set_network):
    set_network("cut")
    runtime.until(is_unreachable)
    msg_id = runtime.send("never")
    assert runtime.next_state(msg_id) == "busy"
    runtime.on(runtime.driver.kernel.interrupt())
    reply, _ = runtime.outcome(msg_id)
    assert reply["status"] == "aborted"
    set_network("open")
    runtime.until(is_reachable)
    assert runtime.execute("after") == 1


def test_agent_killed_during_a_cut(home, runtime, set_network):
    set_network("cut")
    runtime.until(is_unreachable)
    os.kill(runtime.agent_pid, signal.SIGKILL)
    runtime.until_phase(Phase.FAILED)
    assert runtime.driver.record.exit.reason in KILLED


def test_terminate_during_a_cut(home, runtime, set_network):
    set_network("cut")
    runtime.until(is_unreachable)
    runtime.stop()
    assert home.processes() == {}


def test_somebody_else_at_the_agents_address_is_only_unreachable(runtime, set_network, relay):
    set_network("refuse")
    before = relay.accepted
    # Told again at every try, so that this waits for two of them.
    runtime.until(lambda driver: is_unreachable(driver) and relay.accepted > before)
    assert runtime.phase is Phase.RUNNING
    set_network("open")
    runtime.until(is_reachable)
    assert runtime.execute("after") == 1


def test_address_that_accepts_and_closes_is_tried_again(launch, relay, set_network):
    set_network("cut")
    runtime = launch("relay")
    runtime.until(is_unreachable)
    assert runtime.phase is Phase.STARTING
    set_network("open")
    runtime.settle()


def test_terminate_while_the_agent_does_not_answer(launch, relay, set_network):
    set_network("silent")
    runtime = launch("relay")
    runtime.until_phase(Phase.STARTING)
    started_s = time.monotonic()
    runtime.stop()
    assert time.monotonic() - started_s < 3.0
    # Our half of the connection is gone, too.
    left = [
        item for item in psutil.Process().net_connections("tcp") if item.status == "ESTABLISHED"
    ]
    assert [item for item in left if item.raddr.port in listening_ports(relay)] == []


def listening_ports(relay):
    return {
        socket.getsockname()[1]
        for network in relay._networks.values()
        for socket in network._server.sockets
    }


def test_wrong_token_is_refused_and_ends_the_launch(home, launch, relay):
    relay.token = "wrong"
    runtime = launch("relay")
    with pytest.raises(LaunchFailed) as failure:
        runtime.settle()
    assert failure.value.reason == "link_refused"
    runtime.until(lambda driver: driver.record.checkpoint is None)
    assert home.processes() == {}


# -- the engine ---------------------------------------------------------------


def test_engine_that_does_not_know_a_running_job_changes_nothing(runtime, relay):
    relay.status = JobStatus(JobState.UNKNOWN, "the controller does not answer")
    runtime.until(lambda driver: driver.engine.state is JobState.UNKNOWN)
    assert runtime.phase is Phase.RUNNING
    assert runtime.execute("still there") == 1
    relay.status = None
    runtime.until(lambda driver: driver.engine.state is JobState.RUNNING)


def test_engine_that_has_ended_the_job(home, runtime, relay):
    relay.status = JobStatus(
        JobState.TIMEOUT, "DUE TO TIME LIMIT", log_tail="slurmstepd: cancelled"
    )
    runtime.until_phase(Phase.FAILED)
    cause = runtime.driver.record.exit
    assert cause.reason == "job_timeout"
    assert "DUE TO TIME LIMIT" in cause.message
    runtime.until(lambda driver: driver.record.checkpoint is None)
    # What still ran of it is ended, because the engine's word counts.
    assert home.processes() == {}
