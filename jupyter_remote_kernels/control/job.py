"""One runtime's job: started checkpoint by checkpoint, polled, stopped and verified."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.job_files import (
    read_ending,
    read_kernel_log,
    remove_directory,
)
from jupyter_remote_kernels.control.job_spec import find_policies, find_silence, make_spec
from jupyter_remote_kernels.errors import LinkError, ProviderError, RemoteKernelsError
from jupyter_remote_kernels.link.agent_client import AgentClient
from jupyter_remote_kernels.model.phases import Event, Phase
from jupyter_remote_kernels.model.records import ExitCause
from jupyter_remote_kernels.providers.base import Checkpoint, JobState, JobStatus, Provider
from jupyter_remote_kernels.providers.registry import load_provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.model.endpoints import Endpoint
    from jupyter_remote_kernels.model.records import RuntimeRecord

_log = logging.getLogger(__name__)
_STOP_RETRY_FIRST_S = 1.0
_STOP_RETRY_LAST_S = 60.0
# Longer than the agent gives its kernel to answer.
_CLAIM_LIMIT_S = 8.0
# Longer than an engine usually takes to take a job in.
_SUBMIT_LIMIT_S = 5.0
# What is not gone by then is stopped again by the next server.
_STOP_LIMIT_S = 5.0


class JobKeeper:
    """Gets, watches and stops the job of one runtime.

    Parameters
    ----------
    driver : RuntimeDriver
        Whose job; it is told everything as events.
    services : Services
        What all drivers share.
    """

    def __init__(self, driver: RuntimeDriver, services: Services) -> None:
        self._driver = driver
        self._services = services
        self._starting: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.status: JobStatus | None = None
        # How long the job had lived, in seconds, if it has left that behind.
        self.age_s: float | None = None

    @property
    def provider(self) -> Provider:
        """The environment's provider.

        Raises
        ------
        NotFound
            When it is not installed.
        """
        return load_provider(self._driver.record.environment.provider)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last committed checkpoint."""
        return self._driver.record.checkpoint

    @property
    def is_submitted(self) -> bool:
        """Whether the engine has the whole job, so that it can be polled."""
        return bool(self.checkpoint and self.checkpoint.get("complete"))

    @property
    def is_stopping(self) -> bool:
        """Whether a stop is under way, whose end is still to be told."""
        return self._stopping is not None and not self._stopping.done()

    def start(self) -> None:
        """Begin to start the job; the outcome is told as an event."""
        self._starting = self._services.background.spawn(
            self._start(), f"start {self._driver.record.id}"
        )

    async def wait_submitted(self) -> None:
        """Wait until the engine has the job, or has refused it; not for ever."""
        if self._starting is not None:
            await asyncio.wait({self._starting}, timeout=_SUBMIT_LIMIT_S)

    async def wait_stopped(self) -> None:
        """Wait until the job is gone, if it is being stopped; not for ever."""
        if self._stopping is not None:
            await asyncio.wait({self._stopping}, timeout=_STOP_LIMIT_S)

    async def wait_gone(self) -> None:
        """Wait until the job is verified gone, if it is being stopped; however long that takes."""
        if self._stopping is not None:
            await asyncio.wait({self._stopping})

    @property
    def is_starting(self) -> bool:
        """Whether the job is being submitted now."""
        return self._starting is not None and not self._starting.done()

    async def poll(self) -> None:
        """Ask the engine about this job now."""
        checkpoint = self.checkpoint
        if not self.is_submitted or checkpoint is None:
            return
        try:
            (status,) = await self.provider.poll([checkpoint])
        except Exception:  # noqa: BLE001 - see the next line
            # The engine could not be asked: nothing is known, so nothing changes.
            _log.exception("runtime %s: its job could not be polled", self._driver.record.id)
            return
        self.take_status(checkpoint, status)

    def take_status(self, checkpoint: Checkpoint, status: JobStatus) -> None:
        """Take the engine's answer about a checkpoint; called by the poller too."""
        if self.checkpoint != checkpoint or self.is_stopping:
            return  # meanwhile the runtime has another job, or none
        before, self.status = self.status, status
        record = self._driver.record
        if record.phase in (Phase.SUBMITTED, Phase.RESUMING) and status.state is JobState.RUNNING:
            self._driver.post(Event.JOB_STARTED)
        elif status.state.is_over and record.phase is not Phase.STOPPING:
            directory = self._services.job_directory(record.job_name)
            ending = read_ending(directory, status.ending)
            self.age_s = ending.age_s if ending else None
            self._driver.post(Event.JOB_ENDED, exit=ending.cause if ending else explain_end(status))
        if before is None or (before.state, before.message) != (status.state, status.message):
            self._driver.tell("engine")

    async def endpoint(self) -> Endpoint:
        """Return where the agent can be reached."""
        if self.checkpoint is None:
            raise ProviderError("the job has not been submitted")
        return await self.provider.endpoint(self.checkpoint)

    async def read_log(self, offset: int, limit: int) -> tuple[bytes, int]:
        """Return a page of the runtime's log and the log's whole size, in bytes.

        From the agent; where that is gone from the file it has left, and else the last lines
        that the engine knows.
        """
        link = self._driver.link
        if link is not None:
            with contextlib.suppress(LinkError):
                return await link.client.read_log(offset, limit)
        directory = self._services.job_directory(self._driver.record.job_name)
        page = await asyncio.to_thread(read_kernel_log, directory, offset, limit)
        if page is not None:
            return page
        whole = (self.status.log_tail if self.status else "").encode()
        return whole[offset : offset + limit], len(whole)

    def stop(self) -> None:
        """Begin to stop the job; its end is told as an event."""
        if not self.is_stopping:
            self._stopping = self._services.background.spawn(
                self._stop(), f"stop {self._driver.record.id}"
            )

    async def _stop(self) -> None:
        """Stop the job, again and again until the engine says that it is gone."""
        if self._starting is not None:
            # Once only: a provider may have to clean up, which must not be cancelled in its turn.
            self._starting.cancel()
            await asyncio.wait({self._starting})
        record = self._driver.record
        with contextlib.suppress(RemoteKernelsError):  # then what we know ourselves has to do
            # A commit that was under way when the start was cancelled is in the registry only.
            record = await self._services.registry.get(record.id) or record
        grace_s = self._services.settings.stop_grace_s
        delay_s = _STOP_RETRY_FIRST_S
        while True:
            try:
                if self._starting is None:
                    # Another process had started it, and may have died before a commit.
                    await stop_all(record, grace_s)
                else:
                    await self.provider.stop(record.checkpoint or {"label": record.label}, grace_s)
            except Exception as error:  # noqa: BLE001 - see the next line
                # A job that is given up would run on, also when its provider has a mistake.
                _log.warning("runtime %s: %r; stopping it again", record.id, error)
                self.status = JobStatus(JobState.UNKNOWN, f"it could not be stopped yet: {error}")
                self._driver.tell("engine")
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _STOP_RETRY_LAST_S)
            else:
                break
        # A failed runtime keeps its log for the user.
        if self._driver.record.phase is Phase.STOPPING:
            await asyncio.to_thread(remove_directory, self._services.job_directory(record.job_name))
        with contextlib.suppress(RemoteKernelsError):  # then the next start forgets it
            await self._forget_paused()
        self._driver.post(Event.JOB_GONE)

    async def clear(self, lease_s: float | None) -> None:
        """Forget an ended job before a new one is started for the same runtime.

        A stop that still runs comes first: it ends everything of this label, and the new job
        has the same one.

        Parameters
        ----------
        lease_s : float or None
            The new job's reservation, in seconds.
        """
        if self._stopping is not None:
            await self._stopping
        self.status = None
        record = self._driver.record
        if record.job_id is not None:
            await asyncio.to_thread(remove_directory, self._services.job_directory(record.job_name))
        self._driver.record = await self._services.registry.update(
            record.id,
            job_id=None,
            checkpoint=None,
            exit=None,
            ended_s=None,
            lease_s=lease_s,
            expires_s=None,
        )

    async def _start(self) -> None:
        try:
            if not await self._end_paused():
                return
            if not await self._claim():
                await self._submit()
            await self.poll()
        except RemoteKernelsError as error:
            cause = ExitCause(error.reason, error.message, error.hint)
            self._driver.post(Event.START_FAILED, exit=cause)
        except Exception as error:  # noqa: BLE001 - see the next line
            # A provider is somebody else's code; its mistakes must not leave a launch hanging.
            _log.exception("the provider failed to start runtime %s", self._driver.record.id)
            self._driver.post(Event.START_FAILED, exit=provider_bug(error))

    async def _end_paused(self) -> bool:
        """Wait until the job of a paused runtime is gone: the new one has the same label.

        Returns
        -------
        bool
            Whether a new job is still wanted then.
        """
        driver = self._driver
        if self._stopping is not None:
            await asyncio.wait({self._stopping})
        if driver.record.phase is Phase.SUBMITTED:
            return True
        if (
            driver.record.phase is not Phase.RESUMING
            or self._starting is not asyncio.current_task()
        ):
            return False
        self.status = None
        await self._forget_paused()
        return True

    async def _forget_paused(self) -> None:
        """Forget the job of a paused runtime, which is not there any more."""
        driver = self._driver
        if driver.record.phase in (Phase.PAUSED, Phase.RESUMING) and self.checkpoint is not None:
            driver.record = await self._services.registry.update(driver.record.id, checkpoint=None)

    async def _claim(self) -> bool:
        """Make a warm job ours; False when there is none, and it has to be a new one."""
        record = self._driver.record
        if record.job_id is None or not self.is_submitted:
            return False
        client = AgentClient(await self.endpoint(), record.job_id, record.token)
        try:
            await asyncio.wait_for(client.claim(self._describe_claim()), _CLAIM_LIMIT_S)
        except (RemoteKernelsError, asyncio.TimeoutError) as error:
            _log.warning("runtime %s: its warm kernel is of no use: %s", record.id, error)
        else:
            return True
        finally:
            client.close()
        await self._drop_warm(record)
        return False

    async def _drop_warm(self, record: RuntimeRecord) -> None:
        """End a warm job that was ours, before it is forgotten."""
        await stop_all(record, 0.0)
        await asyncio.to_thread(remove_directory, self._services.job_directory(record.job_name))
        self._driver.record = await self._services.registry.update(
            record.id, job_id=None, checkpoint=None
        )

    def _describe_claim(self) -> Mapping[str, Any]:
        record = self._driver.record
        return {
            "runtime_id": record.id,
            "env": {**record.environment.env, **record.command.env},
            "cwd": record.command.cwd,
            "lease_s": record.lease_s,
            "silence_s": find_silence(record, self._services.settings),
            **find_policies(record),
        }

    async def _submit(self) -> None:
        registry, record = self._services.registry, self._driver.record
        spec = await asyncio.to_thread(make_spec, record, self._services)
        async with aclosing(self.provider.start(spec)) as checkpoints:
            async for checkpoint in checkpoints:
                self._driver.record = await registry.update(record.id, checkpoint=checkpoint)
        if not self.is_submitted:
            raise ProviderError(
                f"the provider {self.provider.name!r} gave no complete checkpoint",
                reason="provider_bug",
            )


async def stop_all(record: RuntimeRecord, grace_s: float) -> bool:
    """Stop every job of a record's label that the engine knows, and the one in its checkpoint.

    Returns
    -------
    bool
        Whether the engine knew one.
    """
    provider = load_provider(record.environment.provider)
    found = await provider.recover(record.label, record.environment.options)
    known = [record.checkpoint] if record.checkpoint else []
    for checkpoint in [*found, *known] or [{"label": record.label}]:
        await provider.stop(checkpoint, grace_s)
    return bool(found)


def provider_bug(error: Exception) -> ExitCause:
    """Return the cause when a provider raised what it may not raise."""
    return ExitCause("provider_bug", f"the provider failed: {error!r}", "See the server's log.")


def explain_end(status: JobStatus) -> ExitCause:
    """Return why a job is over, in the engine's words."""
    words = {
        JobState.SUCCEEDED: "the job has ended",
        JobState.FAILED: "the job has failed",
        JobState.CANCELLED: "the job was cancelled outside of Jupyter",
        JobState.TIMEOUT: "the job's time is over",
        JobState.MISSING: "the engine does not know the job any more",
    }
    message = words.get(status.state, "the job is over")
    if status.message:
        message = f"{message}: {status.message}"
    last = status.log_tail.strip().splitlines()[-1:] if status.log_tail else []
    hint = f"Last line of its log: {last[0]}" if last else "See the runtime's log."
    return ExitCause(f"job_{status.state.value}", message, hint, code=status.exit_code)
