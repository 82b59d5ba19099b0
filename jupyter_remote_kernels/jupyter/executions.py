"""The outputs of cells that are kept, as pages ask for them: list, read, forget."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.jupyter.views import format_time
from jupyter_remote_kernels.link.journal_page import read_page
from jupyter_remote_kernels.protocol.frames import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.plane import ControlPlane
    from jupyter_remote_kernels.link.journal import Kept
    from jupyter_remote_kernels.protocol.frames import Buffer

_PARTS = ("header", "parent_header", "metadata", "content")


class Executions:
    """What the journals of this server's runtimes keep. Used on the server's loop.

    Parameters
    ----------
    plane : ControlPlane
        The process's control plane, on whose loop the journals are.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def list_kept(self, driver: RuntimeDriver) -> list[dict[str, Any]]:
        """Return the kept executions of a runtime, oldest first."""
        found: list[Kept] = await self._ask(driver.bridge.journal.list_kept)
        return [_describe(kept) for kept in found]

    async def read(self, driver: RuntimeDriver, msg_id: str, offset: int) -> dict[str, Any]:
        """Return a page of an execution's messages.

        Raises
        ------
        NotFound
            When nothing of this execution is kept.
        """
        journal = driver.bridge.journal
        kept: Kept = await self._ask(lambda: journal.find(msg_id))
        # Beside both loops: a page is large, and kernels and pages go on meanwhile.
        return await asyncio.to_thread(_make_page, kept, offset)

    async def forget(self, driver: RuntimeDriver, msg_id: str) -> None:
        """Remove a finished execution: the saved notebook holds its outputs.

        Raises
        ------
        Conflict
            While it runs.
        NotFound
            When nothing of this execution is kept.
        """
        journal = driver.bridge.journal
        await self._ask(lambda: journal.forget(msg_id))

    async def _ask(self, call: Callable[[], Any]) -> Any:
        async def work() -> Any:
            return call()

        return await self._plane.run(work())


def _describe(kept: Kept) -> dict[str, Any]:
    facts = kept.facts
    return {
        "msg_id": facts.msg_id,
        "cell_id": facts.cell_id,
        "state": _state(kept),
        "started_at": format_time(facts.started_s),
        "finished_at": format_time(facts.finished_s),
        "execution_count": facts.execution_count,
        "messages": max(0, facts.messages - max(kept.first, facts.dropped_messages)),
        "size_bytes": kept.size_bytes,
        "dropped_messages": facts.dropped_messages,
        "pending_input": facts.pending_input,
    }


def _make_page(kept: Kept, offset: int) -> dict[str, Any]:
    page = read_page(kept, offset)
    messages = (_read_message(data) for data in page.messages)
    return {
        "msg_id": kept.facts.msg_id,
        "cell_id": kept.facts.cell_id,
        "state": _state(kept),
        "offset": page.offset,
        "next_offset": page.next_offset,
        "complete": page.is_complete,
        "messages": [message for message in messages if message is not None],
    }


def _state(kept: Kept) -> str:
    return "running" if kept.is_running else "finished"


def _read_message(data: Buffer) -> dict[str, Any] | None:
    """Return a message's JSON form; None for one that no page could read either."""
    try:
        channel, parts = decode(data)
        # NaN is no JSON, but some kernels write it; no browser would take the page then.
        values = [json.loads(bytes(part), parse_constant=lambda _: None) for part in parts[:4]]
    except (InvalidInput, ValueError, RecursionError):
        return None
    if len(values) < len(_PARTS) or not all(isinstance(value, dict) for value in values):
        return None
    return {"channel": channel, **dict(zip(_PARTS, values, strict=False))}
