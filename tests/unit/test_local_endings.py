"""How local jobs end: by themselves, asked, killed, with children, or not at all."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import psutil
import pytest

from jupyter_remote_kernels.errors import ProviderError, ProviderUnavailable, StopFailed
from jupyter_remote_kernels.providers import local
from jupyter_remote_kernels.providers.base import JobState
from jupyter_remote_kernels.providers.local import LocalProvider
from jupyter_remote_kernels.providers.processes import is_alive, look_at, read_processes, wait_ended
from tests.unit.local_programs import (
    LABEL,
    REPORTER,
    make_spec,
    provider,
    spawn_sleeper,
    start,
    until,
)

__all__ = ["make_spec", "provider"]


@pytest.mark.parametrize(
    "then,state,code",
    [
        ("sys.exit(0)", JobState.SUCCEEDED, 0),
        ("sys.exit(3)", JobState.FAILED, 3),
        ("os.kill(os.getpid(), 9)", JobState.FAILED, -9),
    ],
)
def test_end_is_told_with_its_code_and_leaves_no_zombie(provider, make_spec, then, state, code):
    async def check():
        spec = make_spec(then)
        checkpoint = await start(provider, spec)
        await wait_ended([look_at(checkpoint["pid"])], 10)
        (status,) = await provider.poll([checkpoint])
        assert (status.state, status.exit_code) == (state, code)
        assert "secret-token" in status.log_tail  # our program prints it; the tail is its log
        assert not psutil.pid_exists(checkpoint["pid"])
        # Another process, which is not the parent, knows no code.
        (status,) = await LocalProvider().poll([checkpoint])
        assert (status.state, status.exit_code) == (JobState.MISSING, None)
        await provider.stop(checkpoint, 0.0)

    asyncio.run(check())


def test_zombie_counts_as_ended(provider, make_spec):
    async def check():
        checkpoint = await start(provider, make_spec("sys.exit(0)"))
        info = look_at(checkpoint["pid"])
        await wait_ended([info], 10)
        assert look_at(checkpoint["pid"]).is_over
        assert not is_alive(info.pid, info.identity)
        other = LocalProvider(["-c", REPORTER])
        (status,) = await other.poll([checkpoint])
        assert status.state is JobState.MISSING
        assert await other.recover(LABEL) == []
        await other.stop(checkpoint, 1.0)
        await provider.stop(checkpoint, 0.0)

    asyncio.run(check())


def test_process_id_used_again_is_not_ours(provider):
    async def check():
        with spawn_sleeper() as stranger:
            checkpoint = {
                "label": LABEL,
                "directory": None,
                "host": socket.gethostname(),
                "cgroup": None,
                "pid": stranger.pid,
                "identity": "an earlier one",
                "port": 1,
                "complete": True,
            }
            (status,) = await provider.poll([checkpoint])
            assert status.state is JobState.MISSING
            await provider.stop(checkpoint, 5.0)
            assert stranger.poll() is None
            stranger.kill()

    asyncio.run(check())


def test_agent_ends_by_itself_when_it_is_asked_first(provider, make_spec, tmp_path):
    then = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: (open('polite', 'w').close(), os._exit(0)))\n"
        "open('ready', 'w').close()\n"
        "while True: signal.pause()"
    )

    async def check():
        checkpoint = await start(provider, make_spec(then))
        await until((tmp_path / "ready").exists)
        began_s = time.monotonic()
        await provider.stop(checkpoint, 20.0)
        # The end is an event: nothing here waits for the patience to run out.
        assert time.monotonic() - began_s < 5
        assert (tmp_path / "polite").exists()

    asyncio.run(check())


FAMILIES = {
    "own session": "start_new_session=True",
    "wiped environment": "env={}",
    "wiped environment and own session": "env={}, start_new_session=True",
}


@pytest.mark.parametrize("how", FAMILIES.values(), ids=FAMILIES.keys())
def test_children_are_found_however_they_hide(provider, make_spec, tmp_path, how):
    then = (
        "import subprocess\n"
        f"child = subprocess.Popen(['/bin/sleep', '600'], {how})\n"
        "open('child.new', 'w').write(str(child.pid)); os.rename('child.new', 'child')\n"
        "time.sleep(600)"
    )

    async def check():
        checkpoint = await start(provider, make_spec(then))
        await until((tmp_path / "child").exists)
        child = look_at(int((tmp_path / "child").read_text()))
        assert is_alive(child.pid, child.identity)
        await provider.stop(checkpoint, 0.0)
        assert not is_alive(child.pid, child.identity)

    asyncio.run(check())


def test_agent_killed_alone_leaves_a_kernel_that_is_found_and_stopped(provider, make_spec):
    then = (
        "import subprocess\n"
        "child = subprocess.Popen(['/bin/sleep', '600'], start_new_session=True)\n"
        "os.kill(os.getpid(), 9)"
    )

    async def check():
        checkpoint = await start(provider, make_spec(then))
        await wait_ended([look_at(checkpoint["pid"])], 10)
        (status,) = await provider.poll([checkpoint])
        assert status.state is JobState.FAILED
        (found,) = await provider.recover(LABEL)
        assert not found.get("complete")
        (status,) = await provider.poll([found])
        assert status.state is JobState.RUNNING
        with pytest.raises(ProviderError):
            await provider.endpoint(found)
        await provider.stop(found, 1.0)
        assert await provider.recover(LABEL) == []
        (status,) = await provider.poll([found])
        assert status.state is JobState.MISSING

    asyncio.run(check())


def test_a_job_never_takes_this_process_along(provider, make_spec, monkeypatch):
    # As in a server that itself runs inside a job of the same label.
    monkeypatch.setattr(
        "jupyter_remote_kernels.providers.process_table._read_label",
        lambda pid: LABEL if pid in (os.getpid(), os.getppid()) else None,
    )
    assert [info.pid for info in read_processes().members(LABEL)] == []
    asyncio.run(provider.stop({"label": LABEL, "directory": None, "cgroup": None}, 0.0))


def test_job_of_another_host_is_unknown_and_not_gone(provider):
    checkpoint = {
        "label": LABEL,
        "directory": "/nowhere",
        "host": "elsewhere",
        "cgroup": None,
        "pid": 1,
        "identity": "x",
        "port": 1,
        "complete": True,
    }
    (status,) = asyncio.run(provider.poll([checkpoint]))
    assert status.state is JobState.UNKNOWN
    assert "elsewhere" in status.message
    with pytest.raises(StopFailed, match="elsewhere"):
        asyncio.run(provider.stop(checkpoint, 0.0))
    with pytest.raises(ProviderUnavailable):
        asyncio.run(provider.endpoint(checkpoint))


def test_process_that_cannot_be_killed_is_told(provider, make_spec, monkeypatch):
    monkeypatch.setattr(local, "_KILL_LIMIT_S", 0.2)

    async def check():
        checkpoint = await start(provider, make_spec())
        with monkeypatch.context() as patch:

            def refuse(info, signum):
                raise PermissionError

            patch.setattr(
                "jupyter_remote_kernels.providers.processes.ProcessInfo.send_signal", refuse
            )
            with pytest.raises(StopFailed, match=str(checkpoint["pid"])):
                await provider.stop(checkpoint, 0.1)
        await provider.stop(checkpoint, 0.0)

    asyncio.run(check())


def test_works_without_process_descriptors(provider, make_spec, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")

    async def check():
        checkpoint = await start(provider, make_spec())
        info = look_at(checkpoint["pid"])
        assert await wait_ended([info], 0.05) is False
        await provider.stop(checkpoint, 1.0)
        assert await wait_ended([info], 1.0) is True

    asyncio.run(check())
