"""Variables from one kernel into another: a stream that passes through, in constant memory.

First both kernels are asked what they are, which also waits until both are free: none is held up
while the other runs a cell. Then what the source says goes to the target as it comes. Whatever
fails or is cancelled, the target has all of it or nothing.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.launch import Change
from jupyter_remote_kernels.errors import Conflict, InvalidInput, StateError
from jupyter_remote_kernels.protocol.state_skim import StreamSkimmer
from jupyter_remote_kernels.protocol.state_stream import encode_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from jupyter_remote_kernels.control.endpoints import StateClient, StateEndpoint
    from jupyter_remote_kernels.control.restoring import Choice
    from jupyter_remote_kernels.protocol.frames import Buffer

_TELL_S = 0.25
_CARRIED = ("name", "type", "size_bytes")
_REFUSED = ("name", "type", "size_bytes", "status", "reason", "path", "cell")
_LOST = ("name", "reason", "path")


class Transfer:
    """One transfer; used once, on the control plane's loop.

    Parameters
    ----------
    source, target : StateEndpoint
        The kernels.
    choice : Choice
        Which variables, and what becomes of names that the target has already.
    tell : callable
        Called with a change whenever there is progress to tell.

    Attributes
    ----------
    progress : tuple of int
        Bytes that have passed, and how many it will be.
    step : str
        What is going on.

    Raises
    ------
    InvalidInput
        When source and target are the same kernel.
    """

    def __init__(
        self,
        source: StateEndpoint,
        target: StateEndpoint,
        choice: Choice,
        tell: Callable[[Change], None],
    ) -> None:
        if source.id == target.id:
            raise InvalidInput("source and target are the same kernel", reason="same_kernel")
        self._source = source
        self._target = target
        self._choice = choice
        self._tell = tell
        self._told_s = 0.0
        self._has_begun = False
        self._ended = asyncio.Event()
        self._end: Mapping[str, Any] | None = None
        self.progress = (0, 0)
        self.step = "waiting for the kernels"

    async def run(self) -> Mapping[str, Any]:
        """Do it; returns when the target has everything.

        Returns
        -------
        mapping
            What was transferred, what could not be and why, and what became of taken names.

        Raises
        ------
        Conflict
            When names are taken and nothing is to become of them, a kernel is not there, or its
            state is being moved already. Nothing has changed then.
        LinkError, NotSupported, StateError
            When one of the kernels ends, fails or cannot be reached. The target is as it was.
        """
        self._has_begun = True
        try:
            return await self._run()
        finally:
            self._ended.set()

    async def wait_ended(self) -> None:
        """Wait until nothing of it is going on any more, after it was cancelled."""
        if self._has_begun:
            await self._ended.wait()

    # -- inside ---------------------------------------------------------------

    async def _run(self) -> Mapping[str, Any]:
        source, target = self._source.connect(), self._target.connect()
        here, there = await source.describe(), await target.describe()
        chosen = self._choice.names
        names = [*(here.get("names", ()) if chosen is None else chosen)]
        # A module that both have under one name is no conflict, and there already.
        same = [name for name in names if _is_same_module(name, here, there)]
        names = [name for name in names if name not in same]
        facts = {key: value for key, value in there.items() if key not in ("type", "names")}
        if self._choice.on_conflict == "refuse":
            await _check_names(source, names, facts, there)
        self.step = "moving variables"
        command = {"op": "capture", "names": names, "hash": "none", "session": False}
        # Reads along only; whoever stops reading ends the source's call as well.
        async with aclosing(self._pass_on(source, {**command, "target": facts})) as body:
            told = await target.restore(body)
        return _describe(told, self._end or {}, same, self.progress[0])

    async def _pass_on(
        self, source: StateClient, command: dict[str, Any]
    ) -> AsyncGenerator[Buffer, None]:
        restore = {
            "op": "restore",
            "names": command["names"],
            "session": False,
            "on_conflict": self._choice.on_conflict,
        }
        yield encode_json(restore)
        skimmer = StreamSkimmer()
        async with aclosing(source.capture(encode_json(command))) as pieces:
            async for piece in pieces:
                for record in skimmer.feed(piece):
                    self._take_record(record)
                yield piece
                self._count(skimmer.chunk_bytes)

    def _take_record(self, record: Mapping[str, Any]) -> None:
        kind = record.get("type")
        if kind == "begin":
            self.progress = (0, int(record.get("total_bytes") or 0))
        elif kind == "end":
            self._end = record
        elif kind == "error":
            raise StateError(
                str(record.get("message") or "the source's state could not be read"),
                reason=str(record.get("reason") or "capture_failed"),
                hint=str(record.get("hint") or ""),
            )

    def _count(self, done: int) -> None:
        # Heads and digests are counted as well, so that it would be a little more than all.
        total = self.progress[1]
        self.progress = (min(done, total), total)
        now_s = time.monotonic()
        if now_s - self._told_s > _TELL_S:
            self._told_s = now_s
            data = {"phase": "", "done_bytes": self.progress[0], "total_bytes": total}
            self._tell(Change(self._target.id, "progress", data))


def _is_same_module(name: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    module = here.get("modules", {}).get(name)
    return module is not None and there.get("modules", {}).get(name) == module


async def _check_names(
    source: StateClient,
    names: Sequence[str],
    facts: Mapping[str, Any],
    there: Mapping[str, Any],
) -> None:
    """Refuse to replace anything; what cannot be carried anyway is in nobody's way."""
    taken = sorted(set(names) & set(there.get("names", ())))
    if not taken:
        return
    plan = await source.plan(taken, facts)
    carried = [item["name"] for item in plan["variables"] if item["status"] != "refused"]
    if carried:
        raise Conflict(
            f"the target has variables of these names already: {', '.join(carried)}",
            reason="name_conflict",
            hint="Say whether to replace them, to keep them, or to give the new ones others.",
        )


def _describe(
    told: Mapping[str, Any], end: Mapping[str, Any], same: Sequence[str], size: int
) -> dict[str, Any]:
    """Return what is told about a transfer."""
    variables = {item["name"]: item for item in end.get("variables", ())}
    refused = [item for item in variables.values() if item["status"] == "refused"]
    named = {item["name"] for item in refused}
    restored = [variables[name] for name in told.get("restored", ()) if name in variables]
    return {
        "transferred": [{key: item.get(key) for key in _CARRIED} for item in restored],
        "not_carried": [{key: item.get(key) for key in _REFUSED} for item in refused],
        "lost": [
            {key: item.get(key) for key in _LOST}
            for item in told.get("lost", ())
            if item["name"] not in named
        ],
        "renamed": dict(told.get("renamed", {})),
        "kept": [*told.get("kept", ()), *same],
        "notes": dict(told.get("notes", {})),
        "bytes": size,
    }
