"""Looks at the list of processes: shared, exact, and without harm to each other."""

from __future__ import annotations

import asyncio
import os
import subprocess

from jupyter_remote_kernels.providers import process_table
from jupyter_remote_kernels.providers.processes import (
    LABEL_VARIABLE,
    ProcessReader,
    look_at,
    read_processes,
)
from tests.unit.local_programs import until


def test_stops_at_once_share_their_looks_at_the_process_list(monkeypatch):
    looks = []

    def count():
        looks.append(1)
        return read_processes()

    monkeypatch.setattr("jupyter_remote_kernels.providers.processes.read_processes", count)

    async def check():
        reader = ProcessReader()
        tables = await asyncio.gather(*(reader.read() for _ in range(100)))
        assert len(tables) == 100
        assert len(looks) == 1
        first = asyncio.create_task(reader.read())
        await until(lambda: len(looks) == 2)
        # Asked while a look is under way: that one may be too old already.
        await asyncio.gather(reader.read(), reader.read())
        await first
        assert len(looks) == 3

    asyncio.run(check())


def test_cancelled_look_does_not_disturb_the_others():
    async def check():
        reader = ProcessReader()
        first, second = (asyncio.create_task(reader.read()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert os.getpid() in (await second).processes

    asyncio.run(check())


def test_label_is_read_exactly(monkeypatch):
    env = {f"X_{LABEL_VARIABLE}": "wrong", LABEL_VARIABLE: "right", "A": "b"}
    with subprocess.Popen(["sleep", "60"], env=env) as process:
        labels = read_processes().labels
        process.kill()
    assert process.pid in labels["right"]
    assert "wrong" not in labels


def test_process_with_a_strange_name_is_read(tmp_path):
    program = tmp_path / "a) R (b c"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as process:
        info = look_at(process.pid)
        process.kill()
    assert info.parent_pid == os.getpid()
    assert info.is_over is False


def test_nobody_is_no_process():
    assert look_at(2**22 + 1) is None


def test_process_that_becomes_another_program_keeps_its_label():
    again = 'exec sh -c "$0" "$0"'
    with subprocess.Popen(["sh", "-c", again, again], env={LABEL_VARIABLE: "busy"}) as process:
        try:
            found = [process.pid in read_processes().labels.get("busy", ()) for _ in range(200)]
        finally:
            process.kill()
    assert all(found)


def test_process_without_an_environment_is_no_reason_to_wait(monkeypatch):
    def wait(_seconds):
        raise AssertionError("it waits")

    pipe = subprocess.PIPE
    with subprocess.Popen(["cat"], env={}, stdin=pipe, stdout=pipe, bufsize=0) as process:
        process.stdin.write(b"x")
        assert process.stdout.read(1) == b"x"  # it is itself by now
        with monkeypatch.context() as patch:
            patch.setattr("jupyter_remote_kernels.providers.process_table.time.sleep", wait)
            assert process_table._read_label(process.pid) is None
        process.stdin.close()
