"""Owner locks: alive while the process lives, free when it dies, no race around stale files."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from jupyter_remote_kernels.control.owners import (
    OwnerLock,
    ensure_private_directory,
    is_alive,
    remove_stale,
)
from jupyter_remote_kernels.errors import RegistryError
from jupyter_remote_kernels.model.records import Owner

HOLDER = """
import json, sys
from jupyter_remote_kernels.control.owners import OwnerLock
lock = OwnerLock.acquire(sys.argv[1])
print(json.dumps(lock.owner.to_json()), flush=True)
{then}
"""


def hold_elsewhere(directory, then="sys.stdin.read()"):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(then=then), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    return process, Owner.from_json(json.loads(process.stdout.readline()))


def finish(process):
    with process:
        process.kill()


def test_owner_describes_this_process(tmp_path):
    lock = OwnerLock.acquire(tmp_path)
    assert lock.owner.pid == os.getpid()
    assert lock.owner.host == socket.gethostname()
    assert lock.owner.started_s == psutil.Process().create_time()
    lock.release()


def test_files_are_for_the_owner_only(tmp_path):
    lock = OwnerLock.acquire(tmp_path)
    (path,) = (tmp_path / "owners").iterdir()
    assert path.name == f"{lock.owner.id}.lock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    lock.release()


def test_alive_until_released(tmp_path):
    lock = OwnerLock.acquire(tmp_path)
    assert is_alive(tmp_path, lock.owner) is True
    assert is_alive(tmp_path, lock.owner) is True
    lock.release()
    lock.release()
    assert is_alive(tmp_path, lock.owner) is False
    assert list((tmp_path / "owners").iterdir()) == []


def test_two_locks_of_one_process_are_two_owners(tmp_path):
    first, second = OwnerLock.acquire(tmp_path), OwnerLock.acquire(tmp_path)
    assert first.owner.id != second.owner.id
    first.release()
    assert is_alive(tmp_path, second.owner) is True
    second.release()


def test_lock_ends_with_the_process_however_it_ends(tmp_path):
    process, owner = hold_elsewhere(tmp_path)
    assert is_alive(tmp_path, owner) is True
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert is_alive(tmp_path, owner) is False
    # Asking has swept the stale file away.
    assert list((tmp_path / "owners").iterdir()) == []


def test_child_process_does_not_keep_the_lock(tmp_path):
    then = (
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '60'], close_fds=False)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()"
    )
    process, owner = hold_elsewhere(tmp_path, then)
    child_pid = int(process.stdout.readline())
    finish(process)
    try:
        assert is_alive(tmp_path, owner) is False
    finally:
        os.kill(child_pid, signal.SIGKILL)


def test_forked_child_does_not_keep_the_lock_and_cannot_release_it(tmp_path):
    then = (
        "import os, signal\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    lock.release()\n"
        "    os.write(1, b'released\\n')\n"  # each line whole, whoever writes at the same time
        "    signal.pause()\n"
        "os.write(1, b'%d\\n' % child)\n"
        "sys.stdin.read()"
    )
    process, owner = hold_elsewhere(tmp_path, then)
    lines = {process.stdout.readline().strip() for _ in range(2)}
    assert b"released" in lines
    (child_pid,) = (int(line) for line in lines - {b"released"})
    try:
        assert is_alive(tmp_path, owner) is True
        finish(process)
        assert is_alive(tmp_path, owner) is False
    finally:
        os.kill(child_pid, signal.SIGKILL)


def test_other_host_cannot_be_judged(tmp_path):
    lock = OwnerLock.acquire(tmp_path)
    assert is_alive(tmp_path, replace(lock.owner, host="elsewhere")) is None
    lock.release()


def test_unknown_owner_is_not_alive(tmp_path):
    owner = Owner(id="never", host=socket.gethostname(), pid=1, started_s=0.0)
    assert is_alive(tmp_path, owner) is False


def test_sweep_removes_the_dead_only(tmp_path):
    lock = OwnerLock.acquire(tmp_path)
    folder = tmp_path / "owners"
    (folder / "dead.lock").touch()
    (folder / "unborn.new").touch()
    (folder / "notes.txt").touch()
    assert remove_stale(tmp_path) == 2
    assert {path.name for path in folder.iterdir()} == {f"{lock.owner.id}.lock", "notes.txt"}
    assert is_alive(tmp_path, lock.owner) is True
    lock.release()


def test_sweep_without_any_owner(tmp_path):
    assert remove_stale(tmp_path) == 0


def test_lock_file_is_made_again_when_it_is_swept_before_it_was_locked(tmp_path, monkeypatch):
    # Placed exactly between making the file and naming it: the sweep of another process.
    from jupyter_remote_kernels.control import owners

    swept = []
    flock = owners.fcntl.flock

    def sweep_first(descriptor, operation):
        if not swept and operation == owners.fcntl.LOCK_EX:
            swept.append(remove_stale(tmp_path))
        flock(descriptor, operation)

    monkeypatch.setattr(owners.fcntl, "flock", sweep_first)
    lock = OwnerLock.acquire(tmp_path)
    assert swept == [1]
    assert is_alive(tmp_path, lock.owner) is True
    lock.release()


def test_directory_open_to_others_is_refused(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(RegistryError, match="other users may write") as caught:
        ensure_private_directory(shared)
    assert "chmod 700" in caught.value.hint
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777


def test_directory_of_somebody_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(RegistryError, match="another user"):
        ensure_private_directory(tmp_path)


def test_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RegistryError, match=r"file/below"):
        ensure_private_directory(tmp_path / "file" / "below")
