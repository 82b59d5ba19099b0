"""Taking over: what a Jupyter server has left running goes on with the next one in its place.

A server is in the place of another when both have the same identity, which its records carry.
Records of programs without a server are nobody's to take over: the sweep cleans them up.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING

from jupyter_remote_kernels.control import owners
from jupyter_remote_kernels.model.phases import Phase

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_remote_kernels.control.registry import AsyncRegistry
    from jupyter_remote_kernels.model.records import Owner, RuntimeRecord

_log = logging.getLogger(__name__)
_LEAVING_LIMIT_S = 10.0
_LOOK_AGAIN_S = 0.05


def is_resumable(record: RuntimeRecord) -> bool:
    """Tell whether a server can go on with a runtime that another one had launched.

    An ended one too: its user is to see why it is gone. A launch that was half done is not,
    because nobody knows what there is of its job; what has a snapshot is.
    """
    if record.server is None or record.phase in (Phase.STOPPING, Phase.STOPPED):
        return False
    if record.phase is Phase.SUBMITTED:
        return bool(record.checkpoint and record.checkpoint.get("complete"))
    return True


async def is_abandoned(record: RuntimeRecord, state_directory: Path) -> bool:
    """Tell whether nobody drives a runtime any more."""
    if record.owner is None:
        return True
    # None means another host, where nothing can be known: then it is not abandoned.
    return await asyncio.to_thread(owners.is_alive, state_directory, record.owner) is False


async def claim_all(
    registry: AsyncRegistry, state_directory: Path, owner: Owner, server: str
) -> list[RuntimeRecord]:
    """Make the runtimes of a server's predecessor this process's own.

    A predecessor that is about to end is waited for: its port was free already, or this server
    would not be in its place.

    Parameters
    ----------
    registry : AsyncRegistry
        Where they are.
    state_directory : Path
        Where the owner locks lie.
    owner : Owner
        This process.
    server : str
        The server's identity.

    Returns
    -------
    list of RuntimeRecord
        Those that nobody else has claimed, oldest first.
    """
    claimed: list[RuntimeRecord] = []
    deadline_s = time.monotonic() + _LEAVING_LIMIT_S
    while True:
        held: list[RuntimeRecord] = []
        for record in await registry.list_of_server(server):
            if record.owner == owner or not is_resumable(record):
                continue
            if not await is_abandoned(record, state_directory):
                held.append(record)
            elif await registry.claim(record.id, record.owner.id if record.owner else None, owner):
                claimed.append(record.changed(owner=owner))
        leaving = [item for item in held if item.owner and item.owner.host == socket.gethostname()]
        if not leaving or time.monotonic() > deadline_s:
            break
        # Nothing tells a stranger when a lock is given back.
        await asyncio.sleep(_LOOK_AGAIN_S)
    for record in held:
        _log.warning(
            "the runtime %s stays with the process that drives it: %s", record.id, record.owner
        )
    return claimed
