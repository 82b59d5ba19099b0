"""The use cases behind the routes of state: pause, resume, variables, snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.restoring import RestoreInto
from jupyter_remote_kernels.control.snapshot_files import read_pieces
from jupyter_remote_kernels.jupyter import views

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.endpoints import StateEndpoint
    from jupyter_remote_kernels.control.operations import Operation, Operations
    from jupyter_remote_kernels.control.plane import ControlPlane
    from jupyter_remote_kernels.control.restoring import Choice
    from jupyter_remote_kernels.control.snapshot_files import Upload
    from jupyter_remote_kernels.control.snapshots import Snapshots
    from jupyter_remote_kernels.protocol.state_stream import Buffer


class States:
    """States of one server's runtimes. Made and used on the server's loop.

    Parameters
    ----------
    plane : ControlPlane
        The process's control plane.
    operations : Operations
        What users wait for.
    find : callable
        Returns a runtime's driver, or raises ``NotFound``.
    tell_all : callable
        Called with what has changed and belongs to no runtime.
    """

    def __init__(
        self,
        plane: ControlPlane,
        operations: Operations,
        find: Callable[[str], RuntimeDriver],
        tell_all: Callable[[str], None],
    ) -> None:
        self._plane = plane
        self._operations = operations
        self._find = find
        self._tell_all = tell_all

    def pause(self, runtime_id: str) -> Operation:
        """Begin to pause a runtime, unless that is under way.

        Raises
        ------
        Conflict
            When it has no kernel that could be saved.
        """
        pausing = self._find(runtime_id).pausing
        earlier = self._operations.find_running("pause", runtime_id)
        if earlier is not None:
            return earlier
        pausing.check_pause()
        return self._operations.start(
            "pause",
            runtime_id,
            self._plane.run(pausing.pause()),
            lambda: self._plane.run(pausing.cancel()),
        )

    def resume(self, runtime_id: str) -> Operation:
        """Begin to resume a runtime, unless that is under way.

        Raises
        ------
        Conflict
            When it is neither paused nor running.
        """
        pausing = self._find(runtime_id).pausing
        earlier = self._operations.find_running("resume", runtime_id)
        if earlier is not None:
            return earlier
        pausing.check_resume()
        return self._operations.start(
            "resume",
            runtime_id,
            self._plane.run(pausing.resume()),
            lambda: self._plane.run(pausing.suspend()),
        )

    def take_snapshot(self, runtime_id: str, name: str, description: str) -> Operation:
        """Begin to take a snapshot of a kernel that goes on.

        Raises
        ------
        Conflict
            When there is no kernel.
        """
        work = self._find(runtime_id).pausing.work
        work.check_running()
        return self._operations.start(
            "snapshot",
            runtime_id,
            self._plane.run(work.take_snapshot(name, description)),
            _nothing_more,
        )

    async def restore_into(
        self, snapshot_id: str, target: StateEndpoint, choice: Choice, *, may_map: bool
    ) -> Operation:
        """Begin to give a kernel that goes on what was chosen of a snapshot.

        Raises
        ------
        Conflict
            When there is no kernel.
        NotFound, SnapshotDamaged, SnapshotUntrusted
            When there is no such snapshot that can be read.
        """
        await self.describe_snapshot(snapshot_id)
        work = RestoreInto(target, self._snapshots, self._plane.services.tell, may_map=may_map)
        return self._operations.start(
            "restore",
            target.id,
            self._plane.run(work.run(snapshot_id, choice)),
            _nothing_more,
            tracker=work,
        )

    def download(self, snapshot_id: str) -> AsyncGenerator[Buffer, None]:
        """Give a snapshot as one file; it is read no faster than it is taken."""
        return read_pieces(self._plane, self._snapshots.export(snapshot_id))

    async def begin_upload(self, *, trust: bool) -> Upload:
        """Begin to take a snapshot's file; to be used with :meth:`ControlPlane.run`."""
        return await self._plane.run(self._snapshots.begin_upload(trust=trust))

    async def feed(self, upload: Upload, data: Buffer) -> bool:
        """Give an upload its next piece; False when it wants no more."""
        return await self._plane.run(upload.feed(data))

    async def finish_upload(self, upload: Upload) -> dict[str, Any]:
        """Return the snapshot that was uploaded."""
        found = (await self._plane.run(upload.finish())).summary()
        self._tell_all("snapshots")
        return {**views.describe_snapshot(found), "variables": views.describe_variables(found)}

    def call_off(self, upload: Upload) -> None:
        """Leave nothing behind of an upload, whose sender is gone."""
        self._plane.submit(upload.cancel())

    async def list_snapshots(self) -> list[dict[str, Any]]:
        """Return all snapshots of the user, newest first."""
        found = await self._plane.run(self._snapshots.list())
        return [views.describe_snapshot(item) for item in found]

    async def describe_snapshot(self, snapshot_id: str) -> dict[str, Any]:
        """Return one snapshot with its variables."""
        found = await self._plane.run(self._snapshots.find(snapshot_id))
        return {**views.describe_snapshot(found), "variables": views.describe_variables(found)}

    async def rename_snapshot(
        self, snapshot_id: str, name: str, description: str | None
    ) -> dict[str, Any]:
        """Give a snapshot a name, which also keeps it; returns it as it is now."""
        found = await self._plane.run(self._snapshots.rename(snapshot_id, name, description))
        self._tell_all("snapshots")
        return {**views.describe_snapshot(found), "variables": views.describe_variables(found)}

    async def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot that no runtime is waiting for."""
        await self._plane.run(self._snapshots.delete(snapshot_id))
        self._tell_all("snapshots")

    @property
    def _snapshots(self) -> Snapshots:
        return self._plane.services.snapshots

    async def list_variables(self, runtime_id: str) -> dict[str, Any]:
        """Return a kernel's variables; waits until the kernel has time for that."""
        return await self._plane.run(self._find(runtime_id).pausing.work.list_variables())


async def _nothing_more() -> None:
    """Cancel an operation that takes back by itself what it has begun."""
