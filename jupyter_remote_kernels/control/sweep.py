"""The sweep: cleans up what processes left behind that are gone.

A record whose owner is dead is taken over by exactly one process. The engine's ground truth
decides what there is to stop: a launch that was killed between a side effect and its commit
has left a job that no checkpoint names. What a Jupyter server has left running is not touched,
as long as it runs: the next server in its place takes it over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from jupyter_remote_kernels.control import owners
from jupyter_remote_kernels.control.job import explain_end, stop_all
from jupyter_remote_kernels.control.job_files import read_ending, remove_directory
from jupyter_remote_kernels.control.left_state import is_state_left
from jupyter_remote_kernels.control.takeover import is_abandoned, is_resumable
from jupyter_remote_kernels.control.warm import discard
from jupyter_remote_kernels.errors import Conflict, NotFound
from jupyter_remote_kernels.model.phases import FINAL_PHASES, Phase
from jupyter_remote_kernels.model.records import ExitCause, Owner, RuntimeRecord
from jupyter_remote_kernels.providers.registry import load_provider

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_remote_kernels.control.services import Services

_log = logging.getLogger(__name__)
# Whether their job is over decides nothing: the next server has a snapshot to go on with.
_WITH_SNAPSHOT = (Phase.PAUSED, Phase.RESUMING)
_OWNER_GONE = ExitCause(
    "owner_gone", "the process that had started it is gone", "Start a new runtime."
)


async def sweep(services: Services, state_directory: Path, owner: Owner) -> None:
    """Take over and clean up the runtimes of dead owners; runs once, at the start.

    Parameters
    ----------
    services : Services
        Registry and settings.
    state_directory : Path
        Where the owner locks lie.
    owner : Owner
        This process.
    """
    for record in await services.registry.list():
        if record.phase in FINAL_PHASES and not _has_left_something(services, record):
            continue
        if not await is_abandoned(record, state_directory):
            continue
        cause = None
        if is_resumable(record) and record.phase is not Phase.FAILED:
            cause = await _find_end(services, record)
            if cause is None:
                continue
        if await services.registry.claim(
            record.id, record.owner.id if record.owner else None, owner
        ):
            _log.info("cleaning up runtime %s of a process that is gone", record.id)
            await _clean_up(services, record, cause)
    for record in await services.registry.warm.list():
        # Two processes may do this at once: a job that is stopped already is no mistake.
        if await is_abandoned(record, state_directory):
            await discard(record, services)
    await services.registry.prune(services.settings.keep_records_s)
    await asyncio.to_thread(owners.remove_stale, state_directory)


async def _find_end(services: Services, record: RuntimeRecord) -> ExitCause | None:
    """Return why a job that a server has left running is over; None when it may still run.

    Also None when it has left its kernel's state: that waits for its server.
    """
    if record.checkpoint is None or record.phase in _WITH_SNAPSHOT:
        return None
    try:
        (status,) = await load_provider(record.environment.provider).poll([record.checkpoint])
    except Exception as error:  # noqa: BLE001 - a provider's mistake must not spare the others
        _log.warning("the job of the runtime %s could not be polled: %r", record.id, error)
        return None
    if not status.state.is_over:
        return None
    ending = read_ending(services.job_directory(record.job_name), status.ending)
    return None if ending and is_state_left(ending.cause) else explain_end(status)


def _has_left_something(services: Services, record: RuntimeRecord) -> bool:
    """Tell whether an ended runtime needs cleaning.

    A failed one stops its job in the background, which its process may not have lived to see,
    and keeps its directory until it is terminated.
    """
    if record.phase is not Phase.FAILED:
        return False
    if record.checkpoint is not None:
        return True
    return not _may_be_shown(services, record) and services.job_directory(record.job_name).exists()


def _may_be_shown(services: Services, record: RuntimeRecord) -> bool:
    """Tell whether a server may come back and show why a runtime has ended, with its log."""
    ended_s = record.ended_s or time.time()
    return record.server is not None and time.time() - ended_s < services.settings.keep_records_s


async def end_abandoned(
    services: Services, state_directory: Path, owner: Owner, runtime_id: str
) -> RuntimeRecord:
    """Terminate a runtime that no process drives, such as a stopped server's.

    Parameters
    ----------
    services : Services
        Registry and settings.
    state_directory : Path
        Where the owner locks lie.
    owner : Owner
        This process.
    runtime_id : str
        Which.

    Raises
    ------
    Conflict
        When somebody drives it.
    NotFound
        When there is none.
    ProviderError
        When its job cannot be stopped.
    """
    record = await services.registry.get(runtime_id)
    if record is None or record.phase is Phase.STOPPED:
        raise NotFound(f"there is no runtime {runtime_id!r}", reason="unknown_runtime")
    earlier = record.owner
    if not await is_abandoned(record, state_directory) or not await services.registry.claim(
        record.id, earlier.id if earlier else None, owner
    ):
        raise Conflict(
            f"the runtime {runtime_id!r} belongs to a process that lives",
            reason="runtime_in_use",
            hint="Terminate it there.",
        )
    return await _end(services, record, record.exit, Phase.STOPPED)


async def _clean_up(services: Services, record: RuntimeRecord, ended: ExitCause | None) -> None:
    ending = await asyncio.to_thread(read_ending, services.job_directory(record.job_name))
    cause = record.exit or (ending.cause if ending else ended or _OWNER_GONE)
    is_failed = record.phase is Phase.FAILED or ended is not None
    try:
        await _end(services, record, cause, Phase.FAILED if is_failed else Phase.STOPPED)
    except Exception as error:  # noqa: BLE001 - a provider's mistake must not spare the others
        # It stays as it is, without a living owner once we end: the next start tries again.
        _log.warning("runtime %s could not be cleaned up yet: %r", record.id, error)


async def _end(
    services: Services, record: RuntimeRecord, cause: ExitCause | None, phase: Phase
) -> RuntimeRecord:
    """Stop the job of a claimed record, and finish the record."""
    found = await stop_all(record, services.settings.stop_grace_s)
    await _close_account(services, record, was_running=bool(found))
    if not (phase is Phase.FAILED and _may_be_shown(services, record)):
        directory = services.job_directory(record.job_name)
        await asyncio.to_thread(remove_directory, directory)
    line = f"{record.phase.value} --owner_gone--> {phase.value}"
    return await services.registry.update(
        record.id,
        phase=phase,
        owner=None,  # its server may come and show it while this process still lives
        exit=cause,
        checkpoint=None,
        ended_s=record.ended_s or time.time(),
        history=(*record.history, line),
    )


async def _close_account(services: Services, record: RuntimeRecord, *, was_running: bool) -> None:
    """Charge until the end, as exactly as it is known."""
    if was_running:
        await services.accounts.close(record.id)
    else:
        ending = await asyncio.to_thread(read_ending, services.job_directory(record.job_name))
        await services.accounts.close_ended(record.id, ending.age_s if ending else None)
