"""Limits of the kernel process and what it has used. Standard library only."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.protocol.settings import KernelLimits


def apply_limits(limits: KernelLimits) -> Callable[[], None]:
    """Return a function that a child calls after its fork to limit itself.

    The files are opened here, in the parent: after a fork in a process with threads, only a
    few system calls are safe.
    """
    descriptors = [os.open(path, os.O_WRONLY | os.O_CLOEXEC) for path in limits.cgroup_procs]
    space = limits.address_space_bytes

    def apply() -> None:
        while descriptors:
            # "0" stands for the writing process in both versions of cgroups.
            os.write(descriptors[-1], b"0")
            os.close(descriptors.pop())
        if space is not None:
            resource.setrlimit(resource.RLIMIT_AS, (space, space))

    return _ClosingInParent(apply, descriptors)


class _ClosingInParent:
    """Runs ``apply`` in the child; the parent's copies close when the launch is over."""

    def __init__(self, apply: Callable[[], None], descriptors: list[int]) -> None:
        self._apply = apply
        self._descriptors = descriptors

    def __call__(self) -> None:
        self._apply()

    def __del__(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)


def count_oom_kills(cgroup: Mapping[str, Any]) -> int:
    """Return how many processes of the cgroup the kernel has killed for memory; 0 if unknown."""
    path = cgroup.get("memory")
    if not path:
        return 0
    name = "memory.oom_control" if cgroup.get("version") == 1 else "memory.events"
    for line in _read_text(os.path.join(path, name)).splitlines():
        key, _, value = line.partition(" ")
        if key == "oom_kill":
            return int(value)
    return 0


def read_memory_bytes(cgroup: Mapping[str, Any]) -> int | None:
    """Return the memory that the cgroup's processes use, without page cache, in bytes."""
    path = cgroup.get("memory")
    if not path:
        return None
    wanted = {"rss", "mapped_file"} if cgroup.get("version") == 1 else {"anon", "file_mapped"}
    total = 0
    found = False
    for line in _read_text(os.path.join(path, "memory.stat")).splitlines():
        key, _, value = line.partition(" ")
        if key in wanted:
            total += int(value)
            found = True
    return total if found else None


def read_peak_bytes(pid: int | None) -> int | None:
    """Return the most memory that a process itself has had, in bytes; None when unknown."""
    for line in _read_text(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def _read_text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
