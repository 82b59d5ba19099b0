"""The sweep: cleans up what processes left behind that are gone.

A record whose owner is dead is taken over by exactly one process. The engine's ground truth
decides what there is to stop: a launch that was killed between a side effect and its commit
has left a job that no checkpoint names.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from jupyter_remote_kernels.control import owners
from jupyter_remote_kernels.control.job import stop_all
from jupyter_remote_kernels.control.job_files import read_ending, remove_directory
from jupyter_remote_kernels.control.warm import discard
from jupyter_remote_kernels.model.phases import FINAL_PHASES, Phase
from jupyter_remote_kernels.model.records import ExitCause, Owner, RuntimeRecord

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_remote_kernels.control.services import Services

_log = logging.getLogger(__name__)


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
        if await _is_abandoned(record, state_directory) and await services.registry.claim(
            record.id, record.owner.id if record.owner else None, owner
        ):
            await _clean_up(services, record)
    for record in await services.registry.warm.list():
        # Two processes may do this at once: a job that is stopped already is no mistake.
        if await _is_abandoned(record, state_directory):
            await discard(record, services)
    await services.registry.prune(services.settings.keep_records_s)
    await asyncio.to_thread(owners.remove_stale, state_directory)


async def _is_abandoned(record: RuntimeRecord, state_directory: Path) -> bool:
    if record.owner is None:
        return True
    # None means another host, where nothing can be known: then it is not abandoned.
    return await asyncio.to_thread(owners.is_alive, state_directory, record.owner) is False


def _has_left_something(services: Services, record: RuntimeRecord) -> bool:
    """Tell whether an ended runtime needs cleaning.

    A failed one stops its job in the background, which its process may not have lived to see,
    and keeps its directory until it is terminated.
    """
    return record.phase is Phase.FAILED and (
        record.checkpoint is not None or services.job_directory(record.job_name).exists()
    )


async def _clean_up(services: Services, record: RuntimeRecord) -> None:
    _log.info("cleaning up runtime %s of a process that is gone", record.id)
    ending = await asyncio.to_thread(read_ending, services.job_directory(record.job_name))
    cause = record.exit or (
        ending.cause
        if ending
        else ExitCause(
            "owner_gone", "the process that had started it is gone", "Start a new runtime."
        )
    )
    try:
        found = await stop_all(record, services.settings.stop_grace_s)
    except Exception as error:  # noqa: BLE001 - a provider's mistake must not spare the others
        # It stays as it is, without a living owner once we end: the next start tries again.
        _log.warning("runtime %s could not be cleaned up yet: %r", record.id, error)
        return
    await _close_account(services, record, was_running=bool(found))
    await asyncio.to_thread(remove_directory, services.job_directory(record.job_name))
    phase = Phase.FAILED if record.phase is Phase.FAILED else Phase.STOPPED
    line = f"{record.phase.value} --owner_gone--> {phase.value}"
    await services.registry.update(
        record.id,
        phase=phase,
        exit=cause,
        checkpoint=None,
        ended_s=record.ended_s or time.time(),
        history=(*record.history, line),
    )


async def _close_account(services: Services, record: RuntimeRecord, *, was_running: bool) -> None:
    """Charge until the end, as exactly as it is known."""
    ledger = services.registry.ledger
    ending = await asyncio.to_thread(read_ending, services.job_directory(record.job_name))
    if was_running:
        await ledger.close(record.id)
    elif ending is not None:
        await ledger.close(record.id, ending.age_s)
    else:
        # Nobody is charged for time of which nobody knows that the job still ran.
        await ledger.close_as_seen(record.id)
