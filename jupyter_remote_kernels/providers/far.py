"""What runs on a host that a provider reaches by a command: start, look at and stop jobs there.

Nothing of ours is installed on such a host. This module, the process table and the agent travel
together as an archive without a name, so nothing of it stays. Standard library, Python 3.9.

A job has an owner-only directory ``<base>/<label>``. There lie the logs, the agent's
``ended.json`` and our ``job.json``, which says what runs.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any

from jupyter_remote_kernels.protocol.nursery import LABEL_VARIABLE
from jupyter_remote_kernels.protocol.settings import ENDING_FILE, SOCKET_LINK
from jupyter_remote_kernels.providers.process_table import (
    ProcessInfo,
    boot_id,
    is_alive,
    look_at,
    read_processes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PYTHON = "{python}"
JOB_FILE = "job.json"
_NEEDED = ("tornado", "zmq", "psutil")
_PROBE_BYTES = 128 * 1024
_BACKLOG = 128
_TAIL_BYTES = 4096
_TAIL_LINES = 20
_LONGEST_JSON = 1 << 20
_KILL_LIMIT_S = 5.0
_POLL_S = 0.02
# So long a server may be away and still learn why its runtime has ended.
_KEEP_S = 7 * 86400.0
_SOCKET_FOLDER = re.compile(r"jrk-[0-9a-f]{16}")
_RUN = (
    "import runpy, sys; sys.path[:sys.path[:1] == ['']] = [sys.argv.pop(1)]; "
    "runpy.run_module('jupyter_remote_kernels.agent', run_name='__main__', alter_sys=True)"
)


class FarError(Exception):
    """What cannot be done here, told to the caller: ``reason`` and words about it."""

    def __init__(self, reason: str, **details: Any) -> None:
        super().__init__(reason)
        self.answer = {"reason": reason, **details}


def answer(request: Mapping[str, Any], archive: int) -> dict[str, Any]:
    """Do what is asked and return what to say.

    Parameters
    ----------
    request : mapping
        ``do`` is ``start``, ``poll``, ``stop`` or ``recover``; the rest depends on it.
    archive : int
        Descriptor of the archive that this module comes from.
    """
    base = os.path.expanduser(request["base"])
    try:
        if request["do"] == "start":
            return start(request, os.path.join(base, request["label"]), archive)
        if request["do"] == "poll":
            told = poll(base, request["jobs"])
        elif request["do"] == "stop":
            told = stop(base, request)
        else:
            told = recover(base, request["label"])
        sweep(base)
    except FarError as error:
        return error.answer
    except OSError as error:
        return _explain(error, base)
    return told


# -- start ------------------------------------------------------------------------------------


def start(request: Mapping[str, Any], directory: str, archive: int) -> dict[str, Any]:
    """Start an agent that outlives the connection; returns where it listens."""
    os.umask(0o077)
    settings = dict(request["settings"])
    settings["argv"] = [sys.executable if part == PYTHON else part for part in settings["argv"]]
    settings["cwd"] = _find_cwd(request.get("cwd"), settings.get("cwd"))
    _check_modules(settings["argv"])
    try:
        _make_directory(directory)
        return _start(request["label"], directory, settings, archive)
    except (OSError, FarError):
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _start(label: str, directory: str, settings: dict[str, Any], archive: int) -> dict[str, Any]:
    with socket.socket() as listener, open(os.path.join(directory, "agent.log"), "ab") as log:
        # Whoever connects early waits in the socket's queue until the agent has come up.
        listener.bind(("127.0.0.1", 0))
        listener.listen(_BACKLOG)
        port = listener.getsockname()[1]
        settings.update(directory=directory, listen_fd=listener.fileno())
        # The settings hold a secret: not on the command line, and in no file with a name.
        with _nameless_file(json.dumps(settings).encode(), directory) as stdin:
            process = subprocess.Popen(
                [sys.executable, "-c", _RUN, f"/proc/self/fd/{archive}", label],
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=directory,
                env={**os.environ, LABEL_VARIABLE: label},
                start_new_session=True,
                pass_fds=(archive, listener.fileno()),
            )
    info = look_at(process.pid)
    job = {
        "label": label,
        "pid": process.pid,
        "identity": info.identity if info else "",
        "port": port,
        "python": sys.executable,
        "hostname": socket.gethostname(),
    }
    try:
        _write(os.path.join(directory, JOB_FILE), json.dumps(job).encode())
    except OSError:
        process.kill()
        raise
    return job


def _find_cwd(asked: str | None, usual: str | None) -> str:
    """Return where the kernel starts: as asked, else where the caller is if we have that, too."""
    if asked:
        path = os.path.expanduser(asked)
        if not os.path.isdir(path):
            raise FarError("cwd_missing", path=path)
        return path
    return usual if usual and os.path.isdir(usual) else os.path.expanduser("~")


def _check_modules(argv: Sequence[str]) -> None:
    needed = list(_NEEDED)
    if argv[1:3] == ["-m", "ipykernel_launcher"] and argv[0] == sys.executable:
        needed.insert(0, "ipykernel")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise FarError("ipykernel_missing", python=sys.executable, modules=missing)


def _make_directory(directory: str) -> None:
    """Make the job's directory, and see that something can be written there."""
    os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
    os.mkdir(directory, 0o700)
    probe = os.path.join(directory, "probe")
    _write(probe, bytes(_PROBE_BYTES))
    os.unlink(probe)


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        # A full disk or a used-up quota may be told as late as this.
        os.fsync(file.fileno())


@contextlib.contextmanager
def _nameless_file(content: bytes, directory: str) -> Iterator[IO[bytes]]:
    """Hold content in a file that never has a name, at its start."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("settings"), "w+b")
    else:
        file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - it is closed below
    with file:
        file.write(content)
        file.seek(0)
        yield file


# -- poll, stop, recover ----------------------------------------------------------------------


def poll(base: str, jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Look at jobs; each is a label, with process id and identity where they are known."""
    unknown = [job for job in jobs if job.get("pid") is None]
    table = read_processes() if unknown else None
    found = {job["label"] for job in unknown if table and table.members(job["label"])}
    return {"jobs": [_look(base, job, job["label"] in found) for job in jobs]}


def _look(base: str, job: Mapping[str, Any], is_found: bool) -> dict[str, Any]:
    directory = os.path.join(base, job["label"])
    told: dict[str, Any] = {"log": _read_logs(directory), "ending": None}
    if job.get("pid") is None:
        told["state"] = "running" if is_found else "missing"
    elif is_alive(job["pid"], job["identity"]):
        told["state"] = "running"
    else:
        told["ending"] = _read_json(os.path.join(directory, ENDING_FILE))
        told["state"] = "ended" if os.path.isdir(directory) else "missing"
        told["is_rebooted"] = not job["identity"].startswith(boot_id())
    return told


def stop(base: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """End a job and everything that it has started, and remove its directory.

    Raises
    ------
    FarError
        When something stays.
    """
    label, job = request["label"], request.get("job") or {}
    deadline_s = time.monotonic() + request["grace_s"]
    if request["grace_s"] > 0:
        agents = _find_agents(label, job)
        for agent in agents:
            with contextlib.suppress(PermissionError):  # found again below, and told then
                agent.send_signal(signal.SIGTERM)
        _wait_ended(agents, deadline_s)
    deadline_s = time.monotonic() + _KILL_LIMIT_S
    while True:
        left = _members(label, job)
        if not left:
            break
        if time.monotonic() > deadline_s:
            raise FarError("stop_failed", pids=[info.pid for info in left])
        for info in left:
            with contextlib.suppress(PermissionError):  # it stays, and is told then
                info.send_signal(signal.SIGKILL)
        _wait_ended(left, deadline_s)
    _remove(os.path.join(base, label))
    return {"stopped": label}


def recover(base: str, label: str) -> dict[str, Any]:
    """Say what there is of a job: None, or what is known about it."""
    directory = os.path.join(base, label)
    job = _read_json(os.path.join(directory, JOB_FILE)) or {}
    if job and is_alive(job.get("pid") or 0, job.get("identity") or ""):
        return {"job": job}
    is_there = os.path.isdir(directory) or bool(_members(label, {}))
    return {"job": {} if is_there else None}


def sweep(base: str) -> None:
    """Remove what dead jobs of this host have left, when nobody has asked about it for long."""
    try:
        names = os.listdir(base)
    except OSError:
        return
    for name in names:
        directory = os.path.join(base, name)
        job = _read_json(os.path.join(directory, JOB_FILE))
        # A home may be shared by many hosts, and only each knows its own processes.
        if not job or job.get("hostname") != socket.gethostname():
            continue
        with contextlib.suppress(OSError):
            newest_s = max(entry.stat().st_mtime for entry in os.scandir(directory))
            is_old = time.time() - newest_s > _KEEP_S
            if is_old and not is_alive(job["pid"], job["identity"]) and not _members(name, job):
                _remove(directory)


def _find_agents(label: str, job: Mapping[str, Any]) -> list[ProcessInfo]:
    """Return the processes to ask to end by themselves."""
    if job.get("pid") is not None:
        info = look_at(job["pid"])
        return [info] if info and info.identity == job["identity"] and not info.is_over else []
    table = read_processes()
    return table.roots(table.members(label))


def _members(label: str, job: Mapping[str, Any]) -> list[ProcessInfo]:
    table = read_processes()
    known = table.processes.get(job.get("pid") or 0)
    others = [known.pid] if known and known.identity == job["identity"] else []
    return table.members(label, others)


def _wait_ended(processes: Sequence[ProcessInfo], deadline_s: float) -> None:
    """Wait until processes have ended, but not beyond a moment."""
    for info in processes:
        # They are not our children, so nothing tells us.
        while is_alive(info.pid, info.identity) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)


def _remove(directory: str) -> None:
    """Remove a job's directory, and the sockets that lie elsewhere when its path is long."""
    with contextlib.suppress(OSError):
        folder = os.readlink(os.path.join(directory, SOCKET_LINK))
        # The kernel could have put any other path there.
        if _SOCKET_FOLDER.fullmatch(os.path.basename(folder)):
            shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)


def _read_logs(directory: str) -> str:
    """Return the last lines of the agent's log and of the kernel's."""
    lines = []
    for name in ("agent.log", "kernel.log"):
        with contextlib.suppress(OSError), open(os.path.join(directory, name), "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines += log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join(lines)


def _read_json(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read(_LONGEST_JSON))
    except (OSError, ValueError):
        return None  # there is none, or the kernel has written something else there
    return data if isinstance(data, dict) else None


def _explain(error: OSError, base: str) -> dict[str, Any]:
    """Return the answer about an error of the operating system."""
    reason = "far_failed"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "disk_full"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT):
        reason = "directory_not_writable"
    return {"reason": reason, "path": error.filename or base, "words": error.strerror or str(error)}
