"""A snapshot on its way into a kernel: whole or in parts, and without what is damaged in it."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from jupyter_remote_kernels.control.launch import Change
from jupyter_remote_kernels.errors import Conflict, LinkError, SnapshotDamaged
from jupyter_remote_kernels.protocol.state_stream import encode_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Sequence

    from jupyter_remote_kernels.control.endpoints import StateClient, StateEndpoint
    from jupyter_remote_kernels.control.snapshots import Snapshots
    from jupyter_remote_kernels.protocol.state_stream import Buffer
    from jupyter_remote_kernels.snapshots.reader import DamagedGroup, SnapshotReader

Progress: TypeAlias = "Callable[[int, int], None]"

_TELL_S = 0.25
ON_CONFLICT = ("refuse", "replace", "keep", "rename")
_DAMAGED = "Damaged in the snapshot store."


@dataclass(frozen=True)
class Choice:
    """What a kernel that lives is to get of a snapshot.

    Attributes
    ----------
    names : sequence of str, optional
        The variables; all by default.
    on_conflict : str
        What becomes of a variable whose name is taken: ``refuse``, ``replace``, ``keep`` or
        ``rename``.
    """

    names: Sequence[str] | None = None
    on_conflict: str = "refuse"


class Restoring:
    """Gives one kernel what is in one snapshot.

    Parameters
    ----------
    reader : SnapshotReader
        The snapshot.
    client : StateClient
        The kernel's agent, or the calls of an ordinary kernel.
    progress : callable
        Told the bytes that have gone, and how many there are.
    may_map : bool
        Whether the kernel sees the files of this machine.
    """

    def __init__(
        self, reader: SnapshotReader, client: StateClient, progress: Progress, *, may_map: bool
    ) -> None:
        self._reader = reader
        self._client = client
        self._progress = progress
        self._may_map = may_map
        self.is_damaged = False

    async def restore_all(self) -> dict[str, Any]:
        """Give a new kernel everything that is whole; returns what the kernel says about it.

        Raises
        ------
        SnapshotDamaged, StoreUnavailable
            When nothing of it can be read.
        LinkError, StateError
            When the kernel does not take it.
        """
        command = {"op": "restore", "names": None, "on_conflict": "replace"}
        try:
            return self._mark_news(await self._send(command, None, ()))
        except (SnapshotDamaged, LinkError) as error:
            # Where the kernel reads the files itself, it is the one who finds it.
            is_damage = isinstance(error, SnapshotDamaged) or error.reason in _FOUND_BY_KERNEL
            damaged = await self._reader.check() if is_damage else ()
            if not damaged:
                raise
        # Once more from the beginning, which replaces what has come before the damaged part.
        return self._mark_news(await self._send_rest(command, None, damaged))

    async def restore_into(self, choice: Choice) -> dict[str, Any]:
        """Give a kernel that lives what was chosen; returns what the kernel says about it.

        What is damaged is found before anything is sent: a kernel that lives must not be left
        with half of it.

        Parameters
        ----------
        choice : Choice
            What, and what becomes of names that are taken.

        Raises
        ------
        Conflict
            When names are taken and nothing is to be replaced. Nothing has changed then.
        InvalidInput
            When the snapshot has no such variables.
        """
        whole = self._list_names("carried", "carried_without_links")
        wanted = sorted(whole if choice.names is None else choice.names)
        # A module that is there under the same name is no conflict, and need not be restored.
        modules = (await self._client.describe()).get("modules", {})
        same = [name for name in wanted if name in modules and self._is_module(name)]
        names = [name for name in wanted if name not in same]
        damaged = await self._reader.check(names)
        command = {
            "op": "restore",
            "names": names,
            "on_conflict": choice.on_conflict,
            "session": False,
        }
        try:
            told = await self._send_rest(command, names, damaged)
        except LinkError as error:
            if error.reason == "name_conflict":
                raise Conflict(error.message, reason=error.reason, hint=error.hint) from error
            raise
        asked = {*names, *([] if choice.names else self._list_names("refused"))}
        lost = {item["name"]: item for item in self._describe_refused() if item["name"] in asked}
        lost.update({item["name"]: item for item in told["lost"] if item["name"] in asked})
        return {**told, "lost": list(lost.values()), "kept": [*told.get("kept", ()), *same]}

    def _is_module(self, name: str) -> bool:
        end: dict[str, Any] = self._reader.manifest.end
        return any(
            item["name"] == name and item.get("type") == "module"
            for item in end.get("variables", ())
        )

    def _list_names(self, *statuses: str) -> set[str]:
        """Return the names of variables of the snapshot; without what is only saved like one."""
        end: dict[str, Any] = self._reader.manifest.end
        return {
            item["name"]
            for item in end.get("variables", ())
            if item.get("status") in statuses and item["name"].isidentifier()
        }

    def _mark_news(self, told: dict[str, Any]) -> dict[str, Any]:
        """Say which losses are news to whoever has seen the report of the pause."""
        known = self._list_names("refused")
        news = [item for item in told.get("lost", ()) if item["name"] not in known]
        return {**told, "news": news}

    def _describe_refused(self) -> list[dict[str, Any]]:
        end: dict[str, Any] = self._reader.manifest.end
        return [
            {key: item.get(key) for key in ("name", "reason", "path")}
            for item in end.get("variables", ())
            if item.get("status") == "refused"
        ]

    async def _send_rest(
        self,
        command: dict[str, Any],
        names: Sequence[str] | None,
        damaged: Collection[DamagedGroup],
    ) -> dict[str, Any]:
        told = await self._send(command, names, damaged)
        self.is_damaged = bool(damaged)
        # Damage to what is no variable would else be named by nobody.
        if names is None and any(not item.names for item in damaged):
            entry = {"name": "session", "reason": _DAMAGED, "path": None}
            told = {**told, "lost": [*told.get("lost", ()), entry]}
        return told

    async def _send(
        self,
        command: dict[str, Any],
        names: Sequence[str] | None,
        damaged: Collection[DamagedGroup],
    ) -> dict[str, Any]:
        total = self._reader.manifest.total_bytes

        async def body() -> AsyncGenerator[Buffer, None]:
            sent = 0
            yield encode_json(command)
            outputs = self._reader.stream(names, may_map=self._may_map, without=damaged)
            async with aclosing(outputs) as stream:
                async for data in stream:
                    yield data
                    sent = min(total, sent + len(data))
                    self._progress(sent, total)

        async with aclosing(body()) as stream:
            return await self._client.restore(stream)


_FOUND_BY_KERNEL = ("bad_chunk", "restore_failed")


class RestoreInto:
    """One restore into a kernel of this server that lives; used once, on the control plane's loop.

    Parameters
    ----------
    target : StateEndpoint
        The kernel, a runtime's or an ordinary one.
    snapshots : Snapshots
        Has the snapshot.
    tell : callable
        Called with a change whenever there is progress to tell.
    may_map : bool
        Whether the kernel sees the files of this machine.

    Attributes
    ----------
    progress : tuple of int
        Bytes that have gone, and how many there are.
    step : str
        What is going on.
    """

    def __init__(
        self,
        target: StateEndpoint,
        snapshots: Snapshots,
        tell: Callable[[Change], None],
        *,
        may_map: bool,
    ) -> None:
        self._target = target
        self._snapshots = snapshots
        self._tell = tell
        self._may_map = may_map
        self._told_s = 0.0
        self.progress = (0, 0)
        self.step = "restoring variables"

    async def run(self, snapshot_id: str, choice: Choice) -> dict[str, Any]:
        """Do it; returns what was restored, what not and why, and what became of taken names.

        Raises
        ------
        Conflict
            When there is no kernel, its state is being moved already, or names are taken.
        SnapshotNotFound, SnapshotDamaged, SnapshotUntrusted, StoreUnavailable
            When the snapshot cannot be read.
        LinkError, NotSupported
            When the kernel does not take it.
        """
        told = await self._snapshots.restore_into(
            self._target.connect(), snapshot_id, choice, self._count, may_map=self._may_map
        )
        lost = [{key: item.get(key) for key in ("name", "reason", "path")} for item in told["lost"]]
        return {
            "restored": [*told.get("restored", ())],
            "lost": lost,
            "renamed": dict(told.get("renamed", {})),
            "kept": [*told.get("kept", ())],
            "notes": dict(told.get("notes", {})),
        }

    def _count(self, done: int, total: int) -> None:
        self.progress = (done, total)
        now_s = time.monotonic()
        if now_s - self._told_s > _TELL_S:
            self._told_s = now_s
            data = {"phase": "", "done_bytes": done, "total_bytes": total}
            self._tell(Change(self._target.id, "progress", data))
