"""What all drivers of a process share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from jupyter_remote_kernels.control.accounts import Accounts
from jupyter_remote_kernels.control.idle import IdlePauses
from jupyter_remote_kernels.control.snapshots import Snapshots
from jupyter_remote_kernels.control.volumes import VolumeStore
from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.link.journal import Journal
from jupyter_remote_kernels.model.phases import FINAL_PHASES, Phase

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_remote_kernels.control.background import BackgroundLoop
    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.launch import Change, ControlSettings, Listener
    from jupyter_remote_kernels.control.registry import AsyncRegistry
    from jupyter_remote_kernels.providers.base import Checkpoint, Provider

_log = logging.getLogger(__name__)
_MARK_INTERVAL_S = 30.0
_WRITE_DELAY_S = 0.05


class Services:
    """Registry, background loop, settings, and who wants to know about changes.

    Parameters
    ----------
    registry : AsyncRegistry
        The database.
    background : BackgroundLoop
        Owns every task.
    settings : ControlSettings
        Times.
    run_directory : Path
        Below it each runtime has its owner-only directory.
    """

    def __init__(
        self,
        registry: AsyncRegistry,
        background: BackgroundLoop,
        settings: ControlSettings,
        run_directory: Path,
    ) -> None:
        self.registry = registry
        self.background = background
        self.settings = settings
        self.accounts = Accounts(registry, settings.budget)
        self.drivers: dict[str, RuntimeDriver] = {}
        self.idle = IdlePauses(self.drivers, background)
        self.snapshots = Snapshots(run_directory.parent, registry, settings.retention)
        self.volumes = VolumeStore(run_directory.parent / "volumes")
        self._run_directory = run_directory
        self._listeners: list[Listener] = []
        self._waiters: dict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._pollers: dict[str, asyncio.Task[None]] = {}
        self._marking: asyncio.Task[None] | None = None

    def job_directory(self, runtime_id: str) -> Path:
        """Return the directory of one runtime's files."""
        return self._run_directory / runtime_id

    def notes_directory(self, provider: str) -> Path:
        """Return where a provider notes what outlives a job."""
        return self._run_directory.parent / "notes" / provider

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` on the control plane's loop for every change; it must not block."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Stop calling a listener."""
        with contextlib.suppress(ValueError):
            self._listeners.remove(listener)

    def tell(self, change: Change) -> None:
        """Tell everybody about a change."""
        for listener in list(self._listeners):
            listener(change)
        for waiter in self._waiters.pop(change.runtime_id, []):
            if not waiter.done():
                waiter.set_result(None)

    async def changed(self, runtime_id: str) -> None:
        """Wait for the next change of a runtime."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[runtime_id].append(waiter)
        await waiter

    def watch(self, driver: RuntimeDriver, provider: Provider) -> None:
        """Take a driver in, and see that its engine is polled."""
        self.drivers[driver.record.id] = driver
        driver.bridge.journal = self._open_journal(driver)
        if self._marking is None:
            self._marking = self.background.spawn(self._mark_ledger(), "mark the ledger")
            self.background.spawn(self.idle.watch(), "look for idle runtimes")
        self.poll_engine(provider)

    def poll_engine(self, provider: Provider) -> None:
        """See that an engine is asked about its jobs from now on."""
        if provider.name not in self._pollers:
            self._pollers[provider.name] = self.background.spawn(
                self._poll(provider), f"poll {provider.name}"
            )

    async def forget(self, driver: RuntimeDriver) -> None:
        """Let go of a driver whose runtime has ended."""
        if self.drivers.get(driver.record.id) is driver:
            del self.drivers[driver.record.id]

    def _open_journal(self, driver: RuntimeDriver) -> Journal:
        """Carry on with what is kept of a runtime's outputs, or begin to keep them."""

        def find_directory() -> Path | None:
            record = driver.record
            # Its directory is removed at the end; nothing may make it again.
            is_ending = record.phase in (Phase.STOPPING, Phase.STOPPED)
            return None if is_ending else self.job_directory(record.job_name) / "outputs"

        # The agent keeps what is not written yet, so there is no hurry.
        soon = partial(asyncio.get_running_loop().call_later, _WRITE_DELAY_S)
        return Journal(find_directory, self.settings.kept_outputs_bytes, soon)

    async def _mark_ledger(self) -> None:
        """Write down how far all charged runtimes have come, in case this process is killed."""
        while True:
            await asyncio.sleep(_MARK_INTERVAL_S)
            try:
                await self.registry.ledger.mark([*self.drivers])
            except RemoteKernelsError as error:
                _log.warning("the ledger could not be marked: %s", error)

    async def _poll(self, provider: Provider) -> None:
        """Ask an engine about all its jobs at once, at its own pace."""
        while True:
            await asyncio.sleep(provider.poll_interval_s)
            asked: list[tuple[RuntimeDriver, Checkpoint]] = [
                (driver, driver.job.checkpoint)
                for driver in self.drivers.values()
                if driver.record.environment.provider == provider.name
                and driver.job.is_submitted
                and driver.job.checkpoint is not None
                and driver.record.phase not in FINAL_PHASES | {Phase.STOPPING, Phase.PAUSED}
            ]
            if not asked:
                continue
            try:
                answers = await provider.poll([checkpoint for _, checkpoint in asked])
                for (driver, checkpoint), status in zip(asked, answers, strict=True):
                    driver.job.take_status(checkpoint, status)
            except Exception:  # noqa: BLE001 - see the next line
                # The engine could not be asked: nothing is known, so nothing changes.
                _log.exception("the provider %s could not be polled", provider.name)
