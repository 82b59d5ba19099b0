"""What hosts over SSH promise beyond the contract: surroundings, outliving, leaving nothing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from jupyter_remote_kernels.model.environments import Resources
from jupyter_remote_kernels.providers.base import JobState
from jupyter_remote_kernels.providers.processes import read_processes
from jupyter_remote_kernels.providers.ssh import SshProvider
from tests.contract.ssh_jobs import far_files, run
from tests.engines.hosts import wait_until

pytestmark = pytest.mark.timeout(120)  # many kernels start here, on a machine that may be busy


def write_home(sshd, name, text):
    path = sshd.home / name
    path.write_text(text)
    return path


def read_proc(pid, name):
    return Path(f"/proc/{pid}/{name}").read_bytes().decode()


def make_venv(folder):
    """Make a virtual environment that has the packages of this one; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


async def read_environment(jobs, checkpoint):
    """Return the environment of a job's kernel, as the host's operating system knows it."""
    pid = None
    while pid is None:
        pid = (await jobs.ask(checkpoint)).get("kernel_pid")
    text = read_proc(pid, "environ")
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)


def test_abandoned_host_keeps_only_small_logs_until_the_next_visit(own_sshd):
    async def work(jobs):
        checkpoint = await jobs.start()
        label = checkpoint["label"]
        await jobs.ask(checkpoint)
        os.kill(checkpoint["job"]["pid"], 15)
        status = await jobs.until_over(checkpoint)
        assert status.state is JobState.SUCCEEDED
        assert status.ending["cause"]["reason"] == "agent_terminated"
        folder = own_sshd.home / ".cache" / "jupyter_remote_kernels" / label
        assert sum(path.stat().st_size for path in folder.iterdir()) < 10_000
        assert {path.name for path in folder.iterdir()} <= {
            *("agent.log", "kernel.log", "ended.json", "job.json", "metrics.json"),
        }
        other = await jobs.start()
        assert folder.exists()  # a server may still want to know why
        for path in folder.iterdir():
            os.utime(path, (0, 0))
        await jobs.provider.poll([{**other, "job": {**other["job"], "pid": None}}, checkpoint])
        assert not folder.exists()
        assert [name for name in far_files(own_sshd.home) if other["label"] in name]

    run(own_sshd, work)


def test_host_that_was_started_again(host):
    async def work(jobs):
        checkpoint = await jobs.start()
        host.crash()
        host.boot()
        status = await jobs.until_over(checkpoint)
        assert status.state is JobState.FAILED
        await jobs.provider.stop(checkpoint, 5.0)
        assert await jobs.provider.recover(checkpoint["label"], jobs.options) == []
        assert far_files(host.home) == []

    run(host, work)


def test_start_files_may_print(own_sshd):
    noise = "echo hello from a start file; printf 'no end of line'; echo grumble >&2\n"
    for name in (".bashrc", ".bash_profile", ".profile", ".zshenv"):
        write_home(own_sshd, name, noise)

    async def work(jobs):
        assert (await jobs.ask(await jobs.start()))["kernel_pid"]
        assert (await jobs.ask(await jobs.start(prelude=["echo more"])))["kernel_pid"]

    run(own_sshd, work)


def test_environment_is_what_the_environment_says_and_nothing_of_ours(own_sshd, monkeypatch):
    monkeypatch.setenv("SERVER_SECRET", "x")
    monkeypatch.setenv("LC_SERVER", "x")
    own_sshd.stop()
    own_sshd._options["AcceptEnv"] = "*"
    own_sshd.start()
    own_sshd.write_ssh_config(SendEnv="LC_* SERVER_*", ForwardAgent="yes")

    async def work(jobs):
        checkpoint = await jobs.start(env={"GREETING": 'it\'s $HOME "quoted"'})
        found = await read_environment(jobs, checkpoint)
        assert found["GREETING"] == 'it\'s $HOME "quoted"'
        assert found["HOME"] == str(own_sshd.home)
        assert not {"SERVER_SECRET", "LC_SERVER", "SSH_AUTH_SOCK"} & set(found)

    run(own_sshd, work)


def test_prelude_modules_and_virtual_environment(own_sshd, tmp_path):
    # What a cluster's start file does for environment modules, in one line.
    write_home(own_sshd, ".bash_profile", 'module() { export LOADED="$LOADED $2"; }\n')
    folder = tmp_path / "a venv"
    make_venv(folder)
    work_folder = own_sshd.home / "my work"
    work_folder.mkdir()

    async def work(jobs):
        checkpoint = await jobs.start(
            python=None,
            venv=str(folder),
            modules=["gcc/12", "it's; touch bad"],
            prelude=["export ONE='1 2'", "cat", "export TWO=$ONE"],
            cwd="~/my work",
        )
        found = await read_environment(jobs, checkpoint)
        assert found["LOADED"] == " gcc/12 it's; touch bad"
        assert (found["ONE"], found["TWO"]) == ("1 2", "1 2")
        assert found["VIRTUAL_ENV"] == str(folder)
        pid = (await jobs.ask(checkpoint))["kernel_pid"]
        assert os.readlink(f"/proc/{pid}/cwd") == str(work_folder)

    run(own_sshd, work)
    assert not list(own_sshd.home.glob("**/bad"))


def test_secrets_are_on_no_command_line_and_in_no_file(own_sshd):
    async def work(jobs):
        spec = jobs.spec(env={"KEY": "kept-to-ourselves"})
        checkpoint = await jobs.start(spec)
        token = str(spec.agent_settings["token"])
        for info in read_processes().members(checkpoint["label"]):
            line = read_proc(info.pid, "cmdline")
            assert token not in line
            assert "kept-to-ourselves" not in line
        folder = own_sshd.home / ".cache" / "jupyter_remote_kernels" / checkpoint["label"]
        assert folder.stat().st_mode & 0o777 == 0o700
        for path in folder.iterdir():
            assert path.stat().st_mode & 0o077 == 0
            assert token.encode() not in (path.read_bytes() if path.is_file() else b"")

    run(own_sshd, work)


def test_kernel_over_its_memory_limit(own_sshd):
    program = "hog = b'x' * (1024 * 2**20)"

    async def work(jobs):
        spec = jobs.spec(
            argv=("{python}", "-c", program), resources=Resources(memory_bytes=512 * 2**20)
        )
        checkpoint = await jobs.start(spec)
        while not (told := (await jobs.ask(checkpoint)).get("exit")):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
        assert told["code"] == 1
        log = own_sshd.home / ".cache/jupyter_remote_kernels" / checkpoint["label"] / "kernel.log"
        assert "MemoryError" in log.read_text()

    run(own_sshd, work)


def test_launch_that_is_given_up_in_its_prelude(own_sshd):
    mark = own_sshd.home / "began"

    async def work(jobs):
        spec = jobs.spec(prelude=[f"touch '{mark}'", "sleep 600"])
        steps = jobs.provider.start(spec)
        checkpoint = await steps.__anext__()
        waiting = asyncio.ensure_future(steps.__anext__())
        await asyncio.to_thread(wait_until, mark.exists)
        waiting.cancel()
        await asyncio.wait({waiting})
        other = SshProvider()
        try:
            # Another process, which knows no more than what was committed.
            await other.stop(checkpoint, 1.0)
        finally:
            await other.close()
        await jobs.provider.stop(checkpoint, 1.0)
        assert read_processes().members(spec.label) == []

    run(own_sshd, work)
    assert far_files(own_sshd.home) == []


def test_job_is_stopped_although_its_python_is_gone(own_sshd, tmp_path):
    python = make_venv(tmp_path / "venv")

    async def work(jobs):
        checkpoint = await jobs.start(python=str(python))
        assert checkpoint["job"]["python"] == str(python)
        python.unlink()
        (status,) = await jobs.provider.poll([checkpoint])
        assert status.state is JobState.RUNNING
        found = await jobs.provider.recover(
            checkpoint["label"], {**jobs.options, "python": str(python)}
        )
        assert json.dumps(found) == json.dumps([{**checkpoint}])
        await jobs.provider.stop(checkpoint, 1.0)
        assert read_processes().members(checkpoint["label"]) == []

    run(own_sshd, work)
