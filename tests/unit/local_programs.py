"""Programs in place of an agent, started by the local provider."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from jupyter_remote_kernels.model.environments import Resources
from jupyter_remote_kernels.providers import cgroups
from jupyter_remote_kernels.providers.base import JobSpec
from jupyter_remote_kernels.providers.local import LocalProvider
from jupyter_remote_kernels.providers.processes import read_processes

LABEL = "jrk-unit"
# Stands in place of the agent and writes what it got where the test can read it.
REPORTER = """
import json, os, socket, sys, time
settings = json.load(sys.stdin)
listener = socket.socket(fileno=settings["listen_fd"])
print(json.dumps({
    "settings": settings,
    "argv": sys.argv,
    "env": dict(os.environ),
    "cwd": os.getcwd(),
    "session": os.getsid(0) == os.getpid(),
    "port": listener.getsockname()[1],
    "descriptors": len(os.listdir("/proc/self/fd")),
}), flush=True)
exec(settings.get("then", "time.sleep(600)"))
"""


@pytest.fixture
def provider():
    made = LocalProvider(["-c", REPORTER])
    yield made
    asyncio.run(stop_found(made))
    assert read_processes().members(LABEL) == []
    assert cgroups.find(LABEL, set()) is None


async def stop_found(provider):
    for checkpoint in await provider.recover(LABEL):
        await provider.stop(checkpoint, 0.0)


@pytest.fixture
def make_spec(tmp_path):
    def make(then="time.sleep(600)", options=None, resources=None, label=LABEL):
        return JobSpec(
            label=label,
            runtime_id="unit",
            directory=str(tmp_path),
            agent_settings={"token": "secret-token", "then": then},
            resources=resources or Resources(),
            options=options or {},
        )

    return make


async def start(provider, spec):
    return [checkpoint async for checkpoint in provider.start(spec)][-1]


async def read_report(spec):
    log = Path(spec.directory) / "agent.log"
    await until(lambda: find_report(log))
    return json.loads(find_report(log))


def find_report(log):
    lines = log.read_text().splitlines(keepends=True)
    return next((line for line in lines if line.startswith("{") and line.endswith("\n")), None)


async def until(is_so):
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.01)  # files that another process writes have no events
    raise AssertionError("it never came to be so")


def spawn_sleeper():
    return subprocess.Popen(["sleep", "600"], start_new_session=True)


def start_and_report(provider, spec):
    async def run():
        checkpoint = await start(provider, spec)
        report = await read_report(spec)
        await provider.stop(checkpoint, 0.0)
        return checkpoint, report

    return asyncio.run(run())
