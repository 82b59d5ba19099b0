"""Processes of one host: who they are and which belong together. Standard library, Python 3.9.

A process id alone names nobody: it is used again. Everything here goes by the id together with
the moment the process started, counted from the boot, which no change of the clock moves.

This module also travels to hosts where nothing of ours is installed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_remote_kernels.protocol.nursery import LABEL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_MARK = f"{LABEL_VARIABLE}=".encode()
# Positions in /proc/<pid>/stat, counted after the name in parentheses.
_FLAGS, _ENV_START, _ENV_END = 6, 47, 48
_IS_OF_KERNEL = 0x00200000
_OVER = (b"Z", b"X")
# A new program has its environment within a millisecond, unless its file comes from far away.
_EXEC_LIMIT_S = 1.0
_LOOK_AGAIN_S = 0.0005


@dataclass(frozen=True)
class ProcessInfo:
    """One process at the moment it was looked at.

    Attributes
    ----------
    pid, parent_pid, session_id : int
        As the operating system says.
    identity : str
        Differs for every process that ever had this id.
    is_over : bool
        It has ended, but its parent has not asked yet.
    """

    pid: int
    parent_pid: int
    session_id: int
    identity: str
    is_over: bool

    def send_signal(self, signum: int) -> None:
        """Send a signal to exactly this process; one that has ended is fine.

        Raises
        ------
        PermissionError
            When it is somebody else's process.
        """
        with contextlib.suppress(ProcessLookupError), hold_process(self.pid) as descriptor:
            # Checked after opening: from then on the descriptor cannot mean a successor.
            if not is_alive(self.pid, self.identity):
                return
            if descriptor is None:
                os.kill(self.pid, signum)
            else:
                signal.pidfd_send_signal(descriptor, signum)


@dataclass(frozen=True)
class ProcessTable:
    """All processes of this host at one moment.

    Attributes
    ----------
    processes : mapping of int to ProcessInfo
        By process id.
    labels : mapping of str to set of int
        Ids of the processes that have a label in their environment.
    """

    processes: Mapping[int, ProcessInfo]
    labels: Mapping[str, set[int]]

    def members(self, label: str, others: Collection[int] = ()) -> list[ProcessInfo]:
        """Return the living processes of a job.

        Parameters
        ----------
        label : str
            The job's label; children inherit it with the environment.
        others : collection of int
            Processes that are known to belong to it in another way.

        Returns
        -------
        list of ProcessInfo
            These, all their descendants, and the sessions that they lead: a program that
            rewrites its title wipes its environment, and a daemon has left its parent.
        """
        found = {pid for pid in (*self.labels.get(label, ()), *others) if pid in self.processes}
        protected = self._ancestry(os.getpid())
        found -= protected
        before: set[int] = set()
        while found != before:
            before = found
            # Only sessions that a member leads: the session of a labelled process may also
            # be the terminal of the person who started it.
            found = found | {
                info.pid
                for info in self.processes.values()
                if info.parent_pid in found or info.session_id in found
            }
            found -= protected
        return [self.processes[pid] for pid in sorted(found) if not self.processes[pid].is_over]

    def roots(self, members: Collection[ProcessInfo]) -> list[ProcessInfo]:
        """Return those members that no other member has started."""
        pids = {info.pid for info in members}
        return [info for info in members if info.parent_pid not in pids]

    def _ancestry(self, pid: int) -> set[int]:
        """Return a process and its ancestors, none of which a job may take along."""
        found: set[int] = set()
        while pid in self.processes and pid not in found:
            found.add(pid)
            pid = self.processes[pid].parent_pid
        return found | {1}


def look_at(pid: int) -> ProcessInfo | None:
    """Return what is known about a process; None when there is none."""
    try:
        fields = _read_stat(pid)
        is_over = fields[0] in _OVER
        # The first thread of a process may have ended before the others.
        if is_over and len(os.listdir(f"/proc/{pid}/task")) > 1:
            is_over = False
    except (FileNotFoundError, ProcessLookupError):
        return None
    return ProcessInfo(
        pid=pid,
        parent_pid=int(fields[1]),
        session_id=int(fields[3]),
        identity=f"{boot_id()}/{int(fields[19])}",
        is_over=is_over,
    )


def is_alive(pid: int, identity: str) -> bool:
    """Tell whether this very process runs; one that has ended and was not asked does not."""
    info = look_at(pid)
    return info is not None and info.identity == identity and not info.is_over


def read_processes() -> ProcessTable:
    """Look at all processes of this host; reads two small files for each."""
    processes: dict[int, ProcessInfo] = {}
    labels: dict[str, set[int]] = {}
    for name in os.listdir("/proc"):
        info = look_at(int(name)) if name.isdigit() else None
        if info is None:
            continue
        processes[info.pid] = info
        label = _read_label(info.pid)
        if label is not None:
            labels.setdefault(label, set()).add(info.pid)
    return ProcessTable(processes, labels)


@contextlib.contextmanager
def hold_process(pid: int) -> Iterator[int | None]:
    """Hold a process descriptor; None where the operating system has none."""
    if not hasattr(os, "pidfd_open"):  # some builds of Python leave it out
        yield None
        return
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read_label(pid: int) -> str | None:
    environment = _read_environment(pid)
    start = environment.find(_MARK)
    # The variable's name may also be the end of another one's.
    while start > 0 and environment[start - 1] != 0:
        start = environment.find(_MARK, start + 1)
    if start < 0:
        return None
    value, _, _ = environment[start + len(_MARK) :].partition(b"\0")
    return os.fsdecode(value)


def _read_environment(pid: int) -> bytes:
    """Return a process's environment; waits as long as it is between two programs.

    Its old environment is gone then and its new one not yet there, so that a job's process that
    was started by one that has been killed meanwhile would belong to nobody.
    """
    deadline_s = time.monotonic() + _EXEC_LIMIT_S
    while True:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if environment or _has_none(pid) or time.monotonic() > deadline_s:
                return environment
        except OSError:
            return b""  # another user's, or it has ended
        time.sleep(_LOOK_AGAIN_S)  # the system tells nobody when a program begins


def _has_none(pid: int) -> bool:
    """Tell whether an environment that was read as empty is so."""
    fields = _read_stat(pid)
    if fields[0] in _OVER or int(fields[_FLAGS]) & _IS_OF_KERNEL or len(fields) <= _ENV_END:
        return True
    # Between two programs both are zero: see fs/exec.c and fs/binfmt_elf.c of Linux.
    start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    return start == end != 0


def _read_stat(pid: int) -> list[bytes]:
    """Return what stands in a process's ``stat`` behind its name; see proc(5)."""
    text = Path(f"/proc/{pid}/stat").read_bytes()
    # The name in parentheses may hold blanks and parentheses itself.
    return text[text.rindex(b")") + 2 :].split()


@cache
def boot_id() -> str:
    """Return the name of this host's present run, from its start to its end."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
