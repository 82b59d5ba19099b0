"""Acceptance 7: kill -9 at every checkpoint of a launch, then start again.

Nothing may stay: no process, no record that is not final, no directory, no socket.
"""

from __future__ import annotations

import signal

import pytest

from jupyter_remote_kernels.model.phases import Phase

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


def run_until_killed(home, *arguments: str):
    with home.run(*arguments) as process:
        # A launch that gets so far is ended by its user; the points of a stop come then.
        output, errors = process.communicate("shutdown\n", timeout=60)
    assert process.returncode == -signal.SIGKILL, (output, errors)


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
