"""Acceptance 7: kill -9 at every checkpoint of a launch, then start again.

Nothing may stay: no process, no record that is not final, no directory, no socket.
"""

from __future__ import annotations

import signal
import sys

import psutil
import pytest

from jupyter_remote_kernels.model.phases import Phase
from tests.faults.support import IPYKERNEL, TINY, wait_until

# Every commit of a launch and of a stop, before and after, and every side effect in between.
STEPS = [
    "insert:before",
    "insert:after",
    "checkpoint1:before",
    "checkpoint1:after",
    "checkpoint2:before",
    "checkpoint2:after",
    "starting:before",
    "starting:after",
    "running:before",
    "running:after",
    "stopping:before",
    "stopping:after",
    "stop:after",
    "removal:after",
    "stopped:before",
    "stopped:after",
]
# Points inside the provider; the double dies there by itself.
PROVIDER_POINTS = ["start:0", "start:1", "start:end", "poll", "endpoint", "stop"]
# Leaves a process behind that has left parent, session and process group.
DAEMON_MAKER = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def run_until_killed(home, *arguments: str):
    with home.run(*arguments) as process:
        # A launch that gets so far is ended by its user; the points of a stop come then.
        output, errors = process.communicate("shutdown\n", timeout=60)
    assert process.returncode == -signal.SIGKILL, (output, errors)


def kill(process):
    process.kill()
    process.wait(timeout=20)


def wait_for_end(pids):
    """Wait until processes that are nobody's children any more have ended."""
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids], timeout=20)
    assert not alive


@pytest.mark.parametrize("step", STEPS)
def test_step(home, step):
    home.add_kernelspec("tiny")
    run_until_killed(home, "launch", step, "tiny")
    home.start_again()
    phases = [record.phase for record in home.records()]
    assert phases == ([] if step == "insert:before" else [Phase.STOPPED])


@pytest.mark.parametrize("point", PROVIDER_POINTS)
def test_point_in_the_provider(home, point):
    home.add_kernelspec("tiny", options={"fail_at": point, "fail_how": "kill"})
    run_until_killed(home, "launch", "never", "tiny")
    home.start_again()
    assert [record.phase for record in home.records()] == [Phase.STOPPED]


@pytest.mark.parametrize("step", ["failed:before", "failed:after", "stop:after"])
def test_launch_that_had_failed_already(home, step):
    # Another engine error than the double's own, because that one is asked for one thing only.
    home.add_kernelspec("broken", options={"python": "/nowhere/python"})
    run_until_killed(home, "launch", step, "broken")
    home.start_again()
    (record,) = home.records()
    assert record.phase is (Phase.STOPPED if step == "failed:before" else Phase.FAILED)
    # Why it had failed is still known, where it was known before.
    expected = "owner_gone" if step == "failed:before" else "start_failed"
    assert record.exit.reason == expected


def test_failed_launch_whose_job_is_gone_already(home):
    home.add_kernelspec("broken", options={"python": "/nowhere/python"})
    with home.run("launch", "never", "broken") as process:
        wait_until(lambda: [r for r in home.records() if r.ended_s and not r.checkpoint])
        kill(process)
    assert home.leftovers()["directories"], "the log is kept while somebody may look at it"
    home.start_again()


def test_killed_while_an_ipython_kernel_works(home):
    home.add_kernelspec("ipython", IPYKERNEL, provider="local")
    with home.running("launch", "never", "ipython") as (process, kernel_id):
        assert len(home.processes()) == 2
        kill(process)
    # Nobody has told agent and kernel anything.
    assert len(home.processes()) == 2
    home.start_again()
    (record,) = home.records()
    assert record.id == kernel_id
    assert record.exit.reason == "owner_gone"


def test_next_start_works_as_the_first(home):
    home.add_kernelspec("tiny", provider="local")
    with home.running("launch", "never", "tiny") as (process, first):
        kill(process)
    with home.running("launch", "never", "tiny") as (process, second):
        output, errors = process.communicate("shutdown\n", timeout=60)
        assert process.returncode == 0, (output, errors)
    assert {record.id for record in home.records()} == {first, second}


def test_daemon_of_a_kernel_is_ended_too(home):
    argv = [sys.executable, "-c", DAEMON_MAKER, *TINY[1:]]
    home.add_kernelspec("daemon", argv, provider="local")
    with home.running("launch", "never", "daemon") as (process, _):
        assert len(home.processes()) == 3
        kill(process)
    home.start_again()


def test_agent_ends_by_itself_when_nobody_comes(home):
    home.add_kernelspec("tiny", provider="local")
    with home.running("launch", "never", "tiny", TEST_SILENCE_S="0.5") as (process, _):
        pids = list(home.processes())
        kill(process)
    wait_for_end(pids)
    assert home.processes() == {}
    # What is left are files, which the next start removes.
    assert home.records()[0].phase is Phase.RUNNING
    home.start_again()


def test_agent_ends_by_itself_when_nobody_has_ever_come(home):
    home.add_kernelspec("tiny", options={"fail_at": "start:1", "fail_how": "kill"})
    with home.run("launch", "never", "tiny", TEST_SILENCE_S="0.5") as process:
        process.communicate(timeout=60)
    wait_for_end(list(home.processes()))
    home.start_again()


def test_sweep_that_is_killed_is_done_by_the_next(home):
    home.add_kernelspec("tiny", provider="local")
    with home.running("launch", "never", "tiny") as (process, _):
        kill(process)
    with home.run("again", TEST_KILL_AT="claim:after") as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert home.processes()
    home.start_again()
