"""Control groups for a job's limits: found, made, read and removed. Linux only, both versions.

A group is made below the one that this process is in, so that limits set on us from outside
still hold for the job.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jupyter_remote_kernels.model.environments import Resources

_log = logging.getLogger(__name__)
_REMOVE_LIMIT_S = 1.0
_CPU_PERIOD_US = 100_000
_CPU_QUOTA_LEAST_US = 1_000  # the kernel refuses less


@dataclass(frozen=True)
class Hierarchy:
    """One mounted tree of control groups.

    Attributes
    ----------
    version : int
        1 or 2.
    controllers : frozenset of str
        What it controls; empty for version 2, where each directory says so itself.
    mount : Path
        Where it is mounted.
    root : str
        Which of its groups the mount shows as its top; not ``/`` in many containers.
    """

    version: int
    controllers: frozenset[str]
    mount: Path
    root: str

    def path_of(self, group: str) -> Path:
        """Return the directory of a group that is named as in ``/proc/<pid>/cgroup``."""
        below = group[len(self.root) :] if group.startswith(self.root) else group
        path = self.mount / below.lstrip("/")
        return path if path.is_dir() else self.mount


@dataclass(frozen=True)
class Cgroups:
    """The groups of one job: directories that exist, or are about to.

    Attributes
    ----------
    version : int
        1 or 2; with 2 both directories are the same.
    memory, cpu : str or None
        Directory that limits it; None where it is not limited by a group.
    """

    version: int
    memory: str | None
    cpu: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, for checkpoints and for the agent."""
        return {"version": self.version, "memory": self.memory, "cpu": self.cpu}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Cgroups | None:
        """Read the JSON form."""
        return None if not data else cls(data["version"], data["memory"], data["cpu"])

    @property
    def directories(self) -> list[Path]:
        """The directories, each once."""
        return [Path(path) for path in dict.fromkeys((self.memory, self.cpu)) if path]

    @property
    def process_files(self) -> list[str]:
        """The files to which a process id is written to move the process."""
        return [str(path / "cgroup.procs") for path in self.directories]

    def create(self, resources: Resources) -> None:
        """Make the groups and set their limits.

        Raises
        ------
        OSError
            When it is not allowed after all; nothing is left.
        """
        try:
            for directory in self.directories:
                directory.mkdir(exist_ok=True)
            if self.memory and resources.memory_bytes:
                _limit_memory(self.version, Path(self.memory), resources.memory_bytes)
            if self.cpu and resources.cpu:
                _limit_cpu(self.version, Path(self.cpu), resources.cpu)
        except OSError:
            self.remove()
            raise

    def list_processes(self) -> set[int]:
        """Return the ids of all processes in the groups and in groups below them."""
        found: set[int] = set()
        for directory in self.directories:
            for parent, _, names in os.walk(directory):
                if "cgroup.procs" in names:
                    text = _read(Path(parent) / "cgroup.procs")
                    found.update(int(line) for line in text.split())
        return found

    def remove(self) -> bool:
        """Remove the groups; return whether they are gone, which takes that they are empty."""
        for directory in self.directories:
            for parent, _, _ in os.walk(directory, topdown=False):
                with contextlib.suppress(OSError):  # still in use: told by the return value
                    Path(parent).rmdir()
        return not any(directory.exists() for directory in self.directories)


def plan(name: str, resources: Resources) -> Cgroups | None:
    """Say which groups a job would get. Makes nothing.

    Parameters
    ----------
    name : str
        Name of the new groups.
    resources : Resources
        The limits that are wanted.

    Returns
    -------
    Cgroups or None
        None when nothing is to be limited or no group can be written.
    """
    memory = _base("memory") if resources.memory_bytes else None
    cpu = _base("cpu") if resources.cpu else None
    versions = {version for version, _ in filter(None, (memory, cpu))}
    if not versions:
        return None
    # On a hybrid system the two may be of different versions; the job then gets one of them.
    version = min(versions)
    paths = [
        str(base[1] / name) if base is not None and base[0] == version else None
        for base in (memory, cpu)
    ]
    return Cgroups(version, *paths)


def find(name: str, pids: set[int]) -> Cgroups | None:
    """Find groups of a name, by the processes in them or where we would have made them."""
    paths: dict[str, tuple[int, str]] = {}
    for controller in ("memory", "cpu"):
        base = _base(controller)
        candidates = [] if base is None else [(base[0], base[1] / name)]
        for pid in pids:
            for hierarchy, group in _memberships(pid):
                if hierarchy.version == 2 or controller in hierarchy.controllers:
                    candidates.append((hierarchy.version, hierarchy.path_of(group)))
        for version, path in candidates:
            if path.name == name and path.is_dir():
                paths[controller] = (version, str(path))
    if not paths:
        return None
    version = min(version for version, _ in paths.values())
    chosen = {key: path for key, (found, path) in paths.items() if found == version}
    return Cgroups(version, chosen.get("memory"), chosen.get("cpu"))


def create(groups: Cgroups | None, label: str, resources: Resources) -> Cgroups | None:
    """Make the groups; without them the job still runs, less limited."""
    if groups is not None:
        try:
            groups.create(resources)
        except OSError as error:
            _log.warning("no control group for %s: %s", label, error)
            groups = None
    if resources.cpu and (groups is None or groups.cpu is None):
        _log.warning("the CPU use of %s is not limited: no writable control group", label)
    return groups


async def remove(groups: Cgroups) -> None:
    """Remove the groups of a job that has ended."""
    deadline_s = time.monotonic() + _REMOVE_LIMIT_S
    while not groups.remove():
        if time.monotonic() > deadline_s:
            _log.warning("an empty control group stays: %s", groups.directories)
            return
        # A process leaves its group a little after it has ended, and nothing tells when.
        await asyncio.sleep(0.01)


@cache
def _base(controller: str) -> tuple[int, Path] | None:
    """Return version and directory in which groups for a controller can be made."""
    for hierarchy, group in _memberships(os.getpid()):
        own = hierarchy.path_of(group)
        if hierarchy.version == 1 and controller in hierarchy.controllers:
            if os.access(own, os.W_OK):
                return 1, own
        elif hierarchy.version == 2:
            for directory in (own, *own.parents):
                if _delegates(directory, controller):
                    return 2, directory
                if directory == hierarchy.mount:
                    break
    return None


def _delegates(directory: Path, controller: str) -> bool:
    """Tell whether a version 2 group can have children with this controller.

    It must be switched on there already: in a group that holds processes it cannot be.
    Moving a process also takes write access to the common ancestor's list of processes.
    """
    enabled = _read(directory / "cgroup.subtree_control").split()
    return (
        controller in enabled
        and os.access(directory, os.W_OK)
        and os.access(directory / "cgroup.procs", os.W_OK)
    )


@cache
def _hierarchies() -> tuple[Hierarchy, ...]:
    found = []
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        before, _, after = line.partition(" - ")
        kind, *_, options = after.split(" ")
        if kind in ("cgroup", "cgroup2"):
            _, _, _, root, mount, *_ = before.split(" ")
            controllers = frozenset(options.split(",")) if kind == "cgroup" else frozenset()
            version = 1 if kind == "cgroup" else 2
            found.append(Hierarchy(version, controllers, Path(mount), root.rstrip("/")))
    return tuple(found)


def _memberships(pid: int) -> Iterator[tuple[Hierarchy, str]]:
    """Yield the groups that a process is in, version 1 first: it has the controllers then."""
    groups = [line.split(":", 2) for line in _read(Path(f"/proc/{pid}/cgroup")).splitlines()]
    for hierarchy in sorted(_hierarchies(), key=lambda item: item.version):
        for number, controllers, group in groups:
            same = set(controllers.split(",")) & hierarchy.controllers
            if (hierarchy.version == 2 and number == "0") or (hierarchy.version == 1 and same):
                yield hierarchy, group


def _limit_memory(version: int, directory: Path, limit_bytes: int) -> None:
    name, swap = (
        ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        if version == 1
        else ("memory.max", "memory.swap.max")
    )
    (directory / name).write_text(str(limit_bytes))
    # Without swap accounting the file is missing; then the limit holds for memory alone.
    if (directory / swap).exists():
        (directory / swap).write_text(str(limit_bytes) if version == 1 else "0")


def _limit_cpu(version: int, directory: Path, cores: float) -> None:
    quota_us = max(_CPU_QUOTA_LEAST_US, round(cores * _CPU_PERIOD_US))
    if version == 1:
        (directory / "cpu.cfs_period_us").write_text(str(_CPU_PERIOD_US))
        (directory / "cpu.cfs_quota_us").write_text(str(quota_us))
    else:
        (directory / "cpu.max").write_text(f"{quota_us} {_CPU_PERIOD_US}")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
