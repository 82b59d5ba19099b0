"""The provider of this machine: a job is an agent process in a session of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from jupyter_remote_kernels.errors import ProviderError, ProviderUnavailable, StopFailed
from jupyter_remote_kernels.providers import cgroups
from jupyter_remote_kernels.providers.base import (
    Checkpoint,
    Endpoint,
    JobSpec,
    JobState,
    JobStatus,
    Provider,
)
from jupyter_remote_kernels.providers.cgroups import Cgroups
from jupyter_remote_kernels.providers.gpus import VARIABLE, GpuNotes
from jupyter_remote_kernels.providers.mounts import VolumeMount, attach, detach
from jupyter_remote_kernels.providers.nursery import (
    ForkedAgent,
    Nurseries,
    NurseryKey,
)
from jupyter_remote_kernels.providers.processes import (
    JobProcess,
    ProcessInfo,
    ProcessReader,
    ProcessTable,
    is_alive,
    look_at,
    wait_ended,
)
from jupyter_remote_kernels.providers.spawning import (
    AGENT_COMMAND,
    KERNEL_COMMAND,
    agent_environment,
    complete_settings,
    find_python,
    listen,
    spawn,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from jupyter_remote_kernels.model.environments import Environment, Resources

_log = logging.getLogger(__name__)

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_KILL_LIMIT_S = 5.0
_LOG_TAIL_BYTES = 4096
_LOG_TAIL_LINES = 20


class LocalProvider(Provider):
    """Runs agents on this machine.

    Options of an environment: ``python``, the interpreter of the agent; this process's own one
    by default.

    Parameters
    ----------
    agent_command : sequence of str, optional
        What follows the interpreter on the command line; a test puts its own program here.
    """

    name = "local"
    capabilities = frozenset({"signal", "limits", "logs", "same_files", "volumes"})
    poll_interval_s = 5.0
    options_schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "python": {
                "type": "string",
                "minLength": 1,
                "title": "Python",
                "description": "The interpreter of agent and kernel; it needs ipykernel.",
            }
        },
    }

    def __init__(self, agent_command: Sequence[str] = AGENT_COMMAND) -> None:
        self._agent_command = tuple(agent_command)
        self._children: dict[str, JobProcess | ForkedAgent] = {}
        self._births: dict[str, asyncio.Event] = {}
        self._nurseries = Nurseries()
        self._reader = ProcessReader()

    async def prepare(self, environments: Sequence[Environment]) -> None:
        """Keep nurseries for these environments; see :meth:`Provider.prepare`."""
        keys = []
        forking = [each for each in environments if each.fork and sys.platform == "linux"]
        for each in forking:
            with contextlib.suppress(ProviderError):  # told when it is launched
                keys.append(NurseryKey.make(find_python(each.options), each.env))
        self._nurseries.want(keys)

    async def check(self, resources: Resources, notes: str) -> None:
        """Refuse GPUs that are not there or not free; see :meth:`Provider.check`."""
        if resources.gpu:
            await asyncio.to_thread(lambda: GpuNotes(Path(notes)).check(resources.gpu or 0))

    async def start(self, spec: JobSpec) -> AsyncGenerator[Checkpoint, None]:
        """Start an agent; see :meth:`Provider.start`.

        The listening socket is made here and inherited, so the endpoint is known before the
        agent has started, and who connects early waits in the socket's queue.
        """
        self._reap()
        if not _LABEL.fullmatch(spec.label):
            raise ProviderError(f"{spec.label!r} is no label for a job", reason="bad_label")
        python = find_python(spec.options)
        groups = cgroups.plan(spec.label, spec.resources)
        checkpoint: dict[str, Any] = {
            "label": spec.label,
            "directory": spec.directory,
            "host": socket.gethostname(),
            "cgroup": groups.to_json() if groups else None,
            "mounts": [mount.to_json() for mount in spec.volumes],
            "notes": spec.notes if spec.resources.gpu else None,
        }
        yield checkpoint
        spec = await asyncio.to_thread(_reserve, spec)
        # From here on only a fork waits, and one that is given up half-way ends by itself.
        groups = cgroups.create(groups, spec.label, spec.resources)
        try:
            with listen() as listener:
                child = await self._fork(python, spec, groups, listener) or spawn(
                    [python, *self._agent_command], spec, groups, listener
                )
                port = listener.getsockname()[1]
        except OSError as error:
            if groups is not None:
                groups.remove()
            raise ProviderError(
                f"the agent could not be started: {error.strerror}: {error.filename or ''}",
                reason="start_failed",
                hint="Check that it exists and can be used; see the option 'python'.",
            ) from error
        self._children[spec.label] = child
        info = look_at(child.pid)
        identity = info.identity if info else ""
        yield {**checkpoint, "pid": child.pid, "identity": identity, "port": port, "complete": True}

    async def _fork(
        self, python: str, spec: JobSpec, groups: Cgroups | None, listener: socket.socket
    ) -> ForkedAgent | None:
        """Fork the agent, and its kernel too if possible; None when it has to be spawned."""
        if not spec.fork or self._agent_command != AGENT_COMMAND:
            return None
        nursery, fits = self._nurseries.find(python, spec.agent_settings.get("env") or {})
        if nursery is None:
            return None
        argv = spec.agent_settings.get("argv") or []
        request = {
            "settings": complete_settings(spec, groups, -1),
            "label": spec.label,
            "environ": agent_environment(python, spec),
            "argv": [python, *self._agent_command],
            "fork_kernel": fits and list(argv[:3]) == [python, *KERNEL_COMMAND],
        }
        over = self._births[spec.label] = asyncio.Event()
        try:
            return await nursery.fork(request, listener, spec.directory)
        finally:
            del self._births[spec.label]
            over.set()

    async def poll(self, checkpoints: Sequence[Checkpoint]) -> list[JobStatus]:
        """Look at the processes; see :meth:`Provider.poll`."""
        self._reap()
        for child in list(self._children.values()):
            if isinstance(child, ForkedAgent) and child.returncode is None:
                await child.settle()
        unfinished = [item for item in checkpoints if "pid" not in item]
        table = await self._reader.read() if unfinished else None
        found = {item["label"] for item in unfinished if table and table.members(item["label"])}
        # In a thread, because it reads the end of each log.
        return await asyncio.to_thread(
            lambda: [self._status(item, item["label"] in found) for item in checkpoints]
        )

    async def stop(self, checkpoint: Checkpoint, grace_s: float) -> None:
        """End an agent and everything it started; see :meth:`Provider.stop`."""
        if not _is_here(checkpoint):
            raise StopFailed(
                f"the job {checkpoint['label']} runs on the host {checkpoint['host']}",
                reason="other_host",
                hint="Stop it from a process on that host.",
            )
        birth = self._births.get(checkpoint["label"])
        if birth is not None:
            await birth.wait()  # until then the new process cannot be found by its label
        deadline_s = time.monotonic() + grace_s
        agents = await self._agents(checkpoint) if grace_s > 0 else []
        for agent in agents:
            with contextlib.suppress(PermissionError):  # found again below, and told then
                agent.send_signal(signal.SIGTERM)
        if agents:
            await wait_ended(agents, deadline_s - time.monotonic())
        await self._kill(checkpoint)
        self._reap()
        groups = Cgroups.from_json(checkpoint.get("cgroup"))
        if groups is not None:
            await cgroups.remove(groups)
        mounts = [VolumeMount.from_json(item) for item in checkpoint.get("mounts") or ()]
        await asyncio.to_thread(detach, checkpoint["label"], mounts)
        if checkpoint.get("notes"):
            gpus = GpuNotes(Path(checkpoint["notes"]), [])
            await asyncio.to_thread(gpus.give_back, checkpoint["label"])
        self._children.pop(checkpoint["label"], None)

    async def endpoint(self, checkpoint: Checkpoint) -> Endpoint:
        """Tell the agent's address; see :meth:`Provider.endpoint`."""
        if not checkpoint.get("complete"):
            raise ProviderError("the job has not been started completely", reason="job_incomplete")
        if not _is_here(checkpoint):
            raise ProviderUnavailable(
                f"the job runs on the host {checkpoint['host']}", reason="other_host"
            )
        if not is_alive(checkpoint["pid"], checkpoint["identity"]):
            raise ProviderError("the job is over", reason="job_over")
        return Endpoint(f"http://127.0.0.1:{checkpoint['port']}")

    async def recover(
        self, label: str, options: Mapping[str, Any] | None = None
    ) -> list[Checkpoint]:
        """Find a job by the mark in its processes' environment; see :meth:`Provider.recover`."""
        table = await self._reader.read()
        return await asyncio.to_thread(self._rebuild_all, table, label)

    def _rebuild_all(self, table: ProcessTable, label: str) -> list[Checkpoint]:
        members = table.members(label)
        groups = cgroups.find(label, {info.pid for info in members})
        found = [self._rebuild(info) for info in table.roots(members)]
        if groups is not None and not found:
            found = [{"directory": None}]  # an empty group is left, which has to be removed
        agents = [item for item in found if "pid" in item]
        common = {
            "label": label,
            "host": socket.gethostname(),
            "cgroup": groups.to_json() if groups else None,
        }
        # Without its agent a job can still be stopped, by its label.
        return [{**common, **item} for item in agents or found[:1]]

    def _rebuild(self, info: ProcessInfo) -> dict[str, Any]:
        """Return what a checkpoint says about a process, as far as it is an agent."""
        try:
            process = psutil.Process(info.pid)
            arguments = tuple(process.cmdline()[1:])
            directory = process.cwd()
            if arguments[: len(self._agent_command)] != self._agent_command:
                return {"directory": directory}
            listening = {
                connection.laddr.port
                for connection in process.net_connections("tcp4")
                if connection.status == psutil.CONN_LISTEN
            }
        except psutil.Error:
            return {"directory": None}  # it has just ended
        agent: dict[str, Any] = {
            "directory": directory,
            "pid": info.pid,
            "identity": info.identity,
        }
        if len(listening) == 1:
            agent.update(port=listening.pop(), complete=True)
        return agent

    def _status(self, checkpoint: Checkpoint, is_found: bool) -> JobStatus:
        if not _is_here(checkpoint):
            return JobStatus(JobState.UNKNOWN, f"the job runs on the host {checkpoint['host']}")
        tail = _read_tail(checkpoint.get("directory"))
        if "pid" not in checkpoint:
            state = JobState.RUNNING if is_found else JobState.MISSING
            return JobStatus(state, log_tail=tail)
        if is_alive(checkpoint["pid"], checkpoint["identity"]):
            return JobStatus(JobState.RUNNING, log_tail=tail)
        child = self._children.get(checkpoint["label"])
        if child is None or child.pid != checkpoint["pid"] or child.returncode is None:
            return JobStatus(JobState.MISSING, "the agent's process is gone", log_tail=tail)
        if child.returncode == 0:
            return JobStatus(JobState.SUCCEEDED, "the agent has ended", 0, tail)
        return JobStatus(JobState.FAILED, _describe_exit(child.returncode), child.returncode, tail)

    async def _agents(self, checkpoint: Checkpoint) -> list[ProcessInfo]:
        """Return the processes to ask to end by themselves."""
        if "pid" in checkpoint:
            info = look_at(checkpoint["pid"])
            is_ours = info is not None and info.identity == checkpoint["identity"]
            return [info] if info is not None and is_ours and not info.is_over else []
        table = await self._reader.read()
        return table.roots(table.members(checkpoint["label"]))

    async def _kill(self, checkpoint: Checkpoint) -> None:
        """Kill what is left, until a look at all processes finds nothing more.

        Raises
        ------
        StopFailed
            When something stays.
        """
        deadline_s = time.monotonic() + _KILL_LIMIT_S
        while left := await self._members(checkpoint):
            if time.monotonic() > deadline_s:
                pids = ", ".join(str(info.pid) for info in left)
                raise StopFailed(
                    f"processes of the job {checkpoint['label']} could not be ended: {pids}",
                    hint="They may belong to another user, or hang in the operating system.",
                )
            for info in left:
                with contextlib.suppress(PermissionError):  # it stays, and is told then
                    info.send_signal(signal.SIGKILL)
            await wait_ended(left, max(0.0, deadline_s - time.monotonic()))

    async def _members(self, checkpoint: Checkpoint) -> list[ProcessInfo]:
        table = await self._reader.read()
        groups = Cgroups.from_json(checkpoint.get("cgroup"))
        others = groups.list_processes() if groups else set()
        if "pid" in checkpoint:
            known = table.processes.get(checkpoint["pid"])
            if known is not None and known.identity == checkpoint["identity"]:
                others.add(known.pid)
        return table.members(checkpoint["label"], others)

    def _reap(self) -> None:
        """Ask after our children, or they would stay as zombies."""
        for child in self._children.values():
            child.poll()
        self._nurseries.reap()


def _is_here(checkpoint: Checkpoint) -> bool:
    # Another host's processes are unknown to us, which is not the same as gone.
    return checkpoint.get("host") in (None, socket.gethostname())


def _reserve(spec: JobSpec) -> JobSpec:
    """Get the job its volumes and GPUs; returns what its agent has to know."""
    attach(spec.label, spec.volumes)
    count = spec.resources.gpu
    if count is None or spec.notes is None:
        return spec
    devices = GpuNotes(Path(spec.notes)).take(spec.label, count)
    variables = {**spec.agent_settings.get("fixed_env", {}), VARIABLE: ",".join(devices)}
    return replace(spec, agent_settings={**spec.agent_settings, "fixed_env": variables})


def _read_tail(directory: str | None) -> str:
    if directory is None:
        return ""
    try:
        with (Path(directory) / "agent.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_LOG_TAIL_LINES:])


def _describe_exit(code: int) -> str:
    if code > 0:
        return f"the agent ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"the agent was ended by signal {name}"
