"""One runtime's state on its way: between its kernel and a snapshot, in either direction."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import Conflict, LinkUnavailable, RemoteKernelsError
from jupyter_remote_kernels.model.phases import Event, Phase
from jupyter_remote_kernels.model.records import ExitCause

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.link.agent_client import AgentClient
    from jupyter_remote_kernels.snapshots.manifest import Manifest

_log = logging.getLogger(__name__)
_TELL_S = 0.25
_NAMED = 20
_TOLD = ("name", "type", "size_bytes", "status", "reason", "path", "cell")


class StateWork:
    """Moves one runtime's state. What a phase waits for runs beside the driver, as one task.

    Parameters
    ----------
    driver : RuntimeDriver
        Whose; it is told the outcome as an event.
    services : Services
        What all drivers share.

    Attributes
    ----------
    progress : tuple of int
        Bytes that have been moved, and how many it will be.
    report : mapping
        What the last snapshot or the last resume says about the variables.
    failure : RemoteKernelsError or None
        Why the last work has failed.
    """

    def __init__(self, driver: RuntimeDriver, services: Services) -> None:
        self._driver = driver
        self._services = services
        self._task: asyncio.Task[None] | None = None
        self._told_s = 0.0
        self.progress = (0, 0)
        self.report: Mapping[str, Any] = {}
        self.failure: RemoteKernelsError | None = None

    # -- while the kernel runs ------------------------------------------------

    async def list_variables(self) -> dict[str, Any]:
        """Return the kernel's variables, as soon as the kernel has time for that.

        Raises
        ------
        Conflict
            When there is no kernel to ask.
        LinkError, NotSupported
            When it cannot be asked.
        """
        self.check_running()
        return await self._client.variables()

    async def take_snapshot(self, name: str, description: str) -> Mapping[str, Any]:
        """Save the state of a kernel that goes on; returns what :func:`describe_saved` says.

        Parameters
        ----------
        name, description : str
            For people.

        Raises
        ------
        Conflict
            When there is no kernel, or its state is being moved already.
        LinkError, NotSupported, StateError, StoreError
            When it cannot be saved; nothing is left of it then.
        """
        self.check_running()
        driver, self.progress = self._driver, (0, 0)
        manifest = await self._services.snapshots.save(
            self._client,
            driver.record,
            self.count,
            label=(name, description),
            is_near=self._is_near,
        )
        driver.record = await self._services.registry.update(
            driver.record.id, parent_snapshot_id=manifest.id
        )
        driver.tell("snapshots")
        return describe_saved(manifest)

    def check_running(self) -> None:
        """Refuse what needs a kernel where there is none.

        Raises
        ------
        Conflict
            When there is none.
        """
        if not self._driver.is_settled:
            raise Conflict(
                "the runtime has no kernel that could be asked",
                reason="runtime_not_running",
                hint="Resume it, or wait until its kernel runs.",
            )

    # -- what a phase waits for -----------------------------------------------

    def forget(self) -> None:
        """Begin anew: nothing is moved yet, and nothing has failed."""
        self.failure, self.report, self.progress = None, {}, (0, 0)

    def capture(self) -> None:
        """Begin to save the state, or begin anew; the outcome is told as an event."""
        self.stop()
        self._begin(self._capture())

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Begin to put the state back, unless that is under way; told as an event.

        Parameters
        ----------
        facts : mapping
            Fields of the record that change when the kernel is ready.
        """
        if self._task is None or self._task.done():
            # From here on its size decides how long it takes.
            self._driver.clock.stop()
            self._begin(self._restore(dict(facts)))

    def stop(self) -> None:
        """Call off what is under way; the agent takes back what is half done."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def close(self) -> None:
        """Call off what is under way, and wait until it has ended."""
        task = self._task
        self.stop()
        if task is not None:
            await asyncio.wait({task})

    # -- inside ---------------------------------------------------------------

    @property
    def _client(self) -> AgentClient:
        link = self._driver.link
        if link is None:
            raise LinkUnavailable("the agent is not connected")
        return link.client

    @property
    def _is_near(self) -> bool:
        """Whether the kernel sees the files of this machine, and its processes."""
        return "same_files" in self._driver.job.provider.capabilities

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._services.background.spawn(work, f"state of {self._driver.record.id}")

    async def _capture(self) -> None:
        driver = self._driver
        try:
            manifest = await self._save()
            if manifest is None:
                return
            # With the driver standing still: a wish that comes first must find nothing saved.
            async with driver.applying:
                if driver.record.phase is not Phase.PAUSING:
                    return
                driver.record = await self._services.registry.update(
                    driver.record.id, snapshot_id=manifest.id, snapshot_bytes=manifest.total_bytes
                )
        except Exception as error:  # noqa: BLE001 - whatever it was, the kernel has to go on
            self._fail(error)
        else:
            self.report = describe_saved(manifest)
            driver.post(Event.STATE_SAVED)
            if driver.left.is_there:
                await driver.left.forget()

    async def _save(self) -> Manifest | None:
        """Make a snapshot of the kernel's state, or of what was left of it."""
        driver = self._driver
        if driver.left.is_there:
            return await driver.left.take()
        await driver.bridge.executing.wait_quiet()
        return await self._services.snapshots.save(
            self._client, driver.record, self.count, is_near=self._is_near, ends=True
        )

    async def _restore(self, facts: dict[str, Any]) -> None:
        driver = self._driver
        try:
            told, is_damaged = await self._services.snapshots.restore(
                self._client,
                driver.record.snapshot_id or "",
                self.count,
                may_map=self._is_near,
            )
        except Exception as error:  # noqa: BLE001 - whatever it was, the snapshot is whole
            self._fail(error)
        else:
            self.report = describe_restored(told)
            if told.get("news"):
                # Nobody looks at the report of a resume that a cell has asked for.
                driver.bridge.stand_in.warn_held(describe_news(told["news"]))
            if is_damaged:
                # What is written next must not lean on what is lost.
                facts["parent_snapshot_id"] = None
            driver.post(Event.LINK_READY, **facts)

    def _fail(self, error: Exception) -> None:
        driver = self._driver
        if not isinstance(error, RemoteKernelsError):
            _log.error("runtime %s: state could not be moved", driver.record.id, exc_info=error)
            error = RemoteKernelsError(str(error) or type(error).__name__, reason="state_failed")
        self.failure = error
        facts: dict[str, Any] = {}
        if driver.record.phase is not Phase.PAUSING:
            facts["exit"] = ExitCause(error.reason, error.message, error.hint)
        driver.post(Event.STATE_FAILED, **facts)

    def count(self, done: int, total: int) -> None:
        """Note how many bytes of how many have been moved."""
        self.progress = (done, total)
        now_s = time.monotonic()
        if now_s - self._told_s > _TELL_S:
            self._told_s = now_s
            self._driver.tell("progress", done_bytes=done, total_bytes=total)


def describe_news(lost: Sequence[Mapping[str, Any]]) -> str:
    """Return what a cell says about variables that were saved and did not come back."""
    lines = [f"{item['name']} was not restored: {item['reason']}" for item in lost[:_NAMED]]
    if lost[_NAMED:]:
        lines.append(f"… and {len(lost) - _NAMED} more.")
    return "\n".join([*lines, ""])


def describe_saved(manifest: Manifest) -> dict[str, Any]:
    """Return what is told about a snapshot that was taken.

    Parameters
    ----------
    manifest : Manifest
        The snapshot.
    """
    refused = [item for item in manifest.variables if item.get("status") == "refused"]
    return {
        "snapshot_id": manifest.id,
        "size_bytes": manifest.total_bytes,
        "carried": len(manifest.variables) - len(refused),
        "not_carried": [{key: item.get(key) for key in _TOLD} for item in refused],
    }


def describe_restored(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told about a state that was put back.

    Parameters
    ----------
    told : mapping
        The kernel's own words.
    """
    lost = [
        {key: item.get(key) for key in ("name", "reason", "path")} for item in told.get("lost", ())
    ]
    notes = dict(told.get("notes", {}))
    return {"restored": list(told.get("restored", ())), "lost": lost, "notes": notes}
