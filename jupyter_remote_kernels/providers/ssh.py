"""The provider of hosts that are reached over SSH. Nothing has to be installed there but ipykernel.

asyncssh is an optional extra and slow to import, so it is imported at the first use, in a thread.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import ProviderError, ProviderUnavailable, StopFailed
from jupyter_remote_kernels.providers.base import (
    Checkpoint,
    Endpoint,
    JobSpec,
    JobState,
    JobStatus,
    Provider,
)
from jupyter_remote_kernels.providers.ssh_addresses import HostAddress
from jupyter_remote_kernels.providers.ssh_answers import NO_PYTHON, asyncssh_missing, explain
from jupyter_remote_kernels.providers.ssh_command import (
    make_command,
    make_input,
    make_read_command,
    make_script,
    make_search_script,
    make_short_script,
    read_answer,
)
from jupyter_remote_kernels.providers.ssh_options import DIRECTORY, OPTIONS_SCHEMA, check_options
from jupyter_remote_kernels.providers.ssh_polling import Polling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from jupyter_remote_kernels.providers.ssh_hosts import SshHost

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# A prelude may load modules from a slow file system.
_START_LIMIT_S = 120.0
_ASK_LIMIT_S = 20.0
# So long what a launch has answered needs no second look.
_FRESH_S = 0.1
# An agent that has just been started listens.
_LISTENS_S = 2.0
_UNAVAILABLE = (ProviderUnavailable, OSError)


class SshProvider(Provider):
    """Runs agents on hosts that are reached over SSH.

    A job is an agent in a session of its own on the host. It outlives the connection, which is
    shared by all jobs of a host. Its port listens on the host's loopback only and is reached
    through the connection.
    """

    name = "ssh"
    capabilities = frozenset({"logs", "memory_limit", "python"})
    poll_interval_s = 10.0
    options_schema = OPTIONS_SCHEMA

    def __init__(self) -> None:
        self._hosts: dict[HostAddress, SshHost] = {}
        self._polling = Polling(self._ask_all)
        # Launches whose command may still be on its way, also after they were given up.
        self._births: dict[str, asyncio.Task[dict[str, Any]]] = {}
        # When a launch was answered: for the first poll, and for the first tunnel.
        self._answered_s: dict[str, float] = {}
        self._started_s: dict[str, float] = {}
        # Launches that have surely started nothing: the far side has refused, or heard nothing.
        self._refused: set[str] = set()

    async def start(self, spec: JobSpec) -> AsyncGenerator[Checkpoint, None]:
        """Start an agent on a host, with one command; see :meth:`Provider.start`."""
        if not _LABEL.fullmatch(spec.label):
            raise ProviderError(f"{spec.label!r} is no label for a job", reason="bad_label")
        options = check_options(spec.options)
        # A host that cannot be reached must not leave something that would have to be stopped.
        await (await self._find(options)).connect()
        checkpoint: dict[str, Any] = {"label": spec.label, "options": options}
        yield checkpoint
        birth = asyncio.get_running_loop().create_task(self._start(spec, options))
        self._births[spec.label] = birth
        birth.add_done_callback(lambda task: self._born(spec.label, task))
        # Who gives the launch up cannot call the command back; stop waits for its end.
        job = await asyncio.shield(birth)
        self._answered_s[spec.label] = self._started_s[spec.label] = time.monotonic()
        yield {**checkpoint, "job": job, "complete": True}

    async def _start(self, spec: JobSpec, options: Mapping[str, Any]) -> dict[str, Any]:
        memory_bytes = spec.resources.memory_bytes
        settings = {
            **spec.agent_settings,
            "directory": "",  # the far side's own
            "memory_limit_bytes": memory_bytes,
            "limits": {"address_space_bytes": memory_bytes},
        }
        request = {
            "do": "start",
            "label": spec.label,
            "settings": settings,
            "cwd": options.get("cwd"),
        }
        answer = await self._ask(options, request, make_script(options, spec.label))
        return {key: answer[key] for key in ("pid", "identity", "port", "python")}

    def _born(self, label: str, task: asyncio.Task[dict[str, Any]]) -> None:
        self._births.pop(label, None)
        if not task.cancelled():
            task.exception()  # told to the launch, if that still waits

    async def poll(self, checkpoints: Sequence[Checkpoint]) -> list[JobStatus]:
        """Ask each host once about all its jobs; see :meth:`Provider.poll`."""
        return list(await asyncio.gather(*map(self._look, checkpoints)))

    async def _look(self, checkpoint: Checkpoint) -> JobStatus:
        answered_s = self._answered_s.pop(checkpoint["label"], -_FRESH_S)
        if time.monotonic() - answered_s < _FRESH_S:
            return JobStatus(JobState.RUNNING)
        if "options" not in checkpoint:
            return JobStatus(JobState.MISSING, "it was never started")
        return await self._polling.look(checkpoint)

    async def _ask_all(self, checkpoints: Sequence[Checkpoint]) -> Sequence[Mapping[str, Any]]:
        options = checkpoints[0]["options"]
        pythons = sorted({item["job"]["python"] for item in checkpoints if "job" in item})
        jobs = [{"label": item["label"], **item.get("job", {})} for item in checkpoints]
        request = {"do": "poll", "jobs": jobs}
        answer = await self._ask(options, request, make_short_script(options, pythons))
        told: Sequence[Mapping[str, Any]] = answer["jobs"]
        return told

    async def stop(self, checkpoint: Checkpoint, grace_s: float) -> None:
        """End an agent and everything it started; see :meth:`Provider.stop`."""
        label = checkpoint["label"]
        job, options = checkpoint.get("job"), checkpoint.get("options")
        self._answered_s.pop(label, None)
        self._started_s.pop(label, None)
        birth = self._births.get(label)
        if birth is not None:
            await asyncio.wait({birth})
        is_refused = label in self._refused
        self._refused.discard(label)
        # A host is noted before anything is done there.
        if options is None or (job is None and is_refused):
            return
        request = {"do": "stop", "label": label, "job": job, "grace_s": grace_s}
        try:
            await self._ask_about(options, request, _ASK_LIMIT_S + grace_s)
        except ProviderError as error:
            raise StopFailed(
                f"the job {label} could not be stopped: {error.message}",
                reason=error.reason,
                hint=error.hint,
            ) from error
        host = await self._find(options)
        host.close_tunnel(label)

    async def endpoint(self, checkpoint: Checkpoint) -> Endpoint:
        """Open a tunnel to the agent, or see that it is open; see :meth:`Provider.endpoint`."""
        if not checkpoint.get("complete"):
            raise ProviderError("the job has not been started completely", reason="job_incomplete")
        label, options = checkpoint["label"], checkpoint["options"]
        # Once only: who asks again has not reached it.
        since_s = time.monotonic() - self._started_s.pop(label, -_LISTENS_S)
        host = await self._find(options)
        try:
            port = await host.tunnel(
                label, checkpoint["job"]["port"], is_fresh=since_s < _LISTENS_S
            )
        except ProviderError as error:
            if error.reason == "job_over":
                raise
            # Whatever the host has against us now: the job goes on there.
            raise ProviderUnavailable(
                error.message, reason=error.reason, hint=error.hint
            ) from error
        return Endpoint(f"http://127.0.0.1:{port}")

    async def read_left(self, checkpoint: Checkpoint, name: str) -> AsyncGenerator[bytes, None]:
        """Read a file from an ended job's directory on its host; see :meth:`Provider.read_left`."""
        options = checkpoint["options"]
        host = await self._find(options)
        command = make_read_command(
            options.get("directory") or DIRECTORY, checkpoint["label"], name
        )
        async with aclosing(host.read(command)) as pieces:
            async for piece in pieces:
                yield piece

    async def recover(
        self, label: str, options: Mapping[str, Any] | None = None
    ) -> list[Checkpoint]:
        """Ask the host that the options name; see :meth:`Provider.recover`."""
        if not options or "host" not in options:
            return []
        options = check_options(options)
        request = {"do": "recover", "label": label, "job": None}
        job = (await self._ask_about(options, request, _ASK_LIMIT_S))["job"]
        if job is None:
            return []
        checkpoint: dict[str, Any] = {"label": label, "options": options}
        if not job:
            return [checkpoint]
        known = {key: job[key] for key in ("pid", "identity", "port", "python")}
        return [{**checkpoint, "job": known, "complete": True}]

    async def close(self) -> None:
        """Close all connections; see :meth:`Provider.close`."""
        await self._polling.close()
        hosts, self._hosts = list(self._hosts.values()), {}
        await asyncio.gather(*(host.close() for host in hosts))

    async def _ask_about(
        self, options: Mapping[str, Any], request: Mapping[str, Any], limit_s: float
    ) -> dict[str, Any]:
        """Ask about one job, whose Python may not be known or not work any more."""
        known = [request["job"]["python"]] if request["job"] else []
        scripts = [make_short_script(options, known), make_script(options)]
        for script in scripts:
            try:
                return await self._ask(options, request, script, limit_s)
            except ProviderError as error:
                if error.reason not in NO_PYTHON:
                    raise
        script = make_search_script(options.get("directory") or DIRECTORY, request["label"])
        return await self._ask(options, request, script, limit_s)

    async def _ask(
        self,
        options: Mapping[str, Any],
        request: Mapping[str, Any],
        script: str,
        limit_s: float | None = None,
    ) -> dict[str, Any]:
        """Run the far side with a request and return its answer.

        Raises
        ------
        ProviderError
            When the host cannot be asked, or refuses.
        """
        host = await self._find(options)
        is_start = request["do"] == "start"
        data = make_input(
            script,
            {"base": options.get("directory") or DIRECTORY, **request},
            with_agent=is_start,
        )
        limit_s = limit_s or (_START_LIMIT_S if is_start else _ASK_LIMIT_S)
        label = request.get("label", "")
        if is_start:
            self._refused.add(label)
        output, errors = await host.run(
            make_command(options), data, limit_s, lambda: self._refused.discard(label)
        )
        answer = read_answer(output)
        if is_start and (answer is None or "reason" in answer):
            self._refused.add(label)
        if not answer:
            # What a start file prints is of use only when there is nothing else.
            answer = {"reason": "far_failed", "words": " ".join((errors or output).split())}
        if "reason" in answer:
            raise explain({"words": " ".join(errors.split()), **answer}, options)
        return answer

    async def _find(self, options: Mapping[str, Any]) -> SshHost:
        """Return the host of these options; one object for all that share a connection.

        Raises
        ------
        ProviderError
            When asyncssh is not installed.
        """
        try:
            module = await asyncio.to_thread(
                import_module, "jupyter_remote_kernels.providers.ssh_hosts"
            )
        except ImportError as error:
            raise asyncssh_missing() from error

        def find(address: HostAddress) -> SshHost:
            if address not in self._hosts:
                self._hosts[address] = module.SshHost(address, find)
            return self._hosts[address]

        return find(HostAddress.from_options(options))
