"""A runtime into another environment: paused here, resumed there, under the same id.

The record gets the new environment between the two: when the old job is verified gone, and before a
new one is asked for. When the new environment does not take it, it gets the old one back.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.warm import make_argv
from jupyter_remote_kernels.errors import Conflict
from jupyter_remote_kernels.model.phases import Phase
from jupyter_remote_kernels.providers.registry import load_provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.model.environments import Environment
    from jupyter_remote_kernels.model.records import RuntimeRecord

_MOVABLE = (Phase.RUNNING, Phase.PAUSED)


@dataclass(frozen=True)
class Destination:
    """Where a runtime is to go.

    Attributes
    ----------
    environment : Environment
        What it is resumed in.
    lease_s : float or None
        The reservation that is asked for there, in seconds; None is the environment's own.
    """

    environment: Environment
    lease_s: float | None = None


class Move:
    """One move; used once, on the control plane's loop.

    Parameters
    ----------
    driver : RuntimeDriver
        Of the runtime that moves.
    services : Services
        What all drivers share.
    destination : Destination
        Where to.
    """

    def __init__(self, driver: RuntimeDriver, services: Services, destination: Destination) -> None:
        self._driver = driver
        self._services = services
        self._destination = destination
        self._has_begun = False
        self._ended = asyncio.Event()

    def check(self) -> None:
        """Refuse to move what can be neither paused nor resumed.

        Raises
        ------
        Conflict
            When it does neither run nor wait in a snapshot, or moves already.
        """
        driver = self._driver
        if driver.record.phase not in _MOVABLE or driver.exit_code is not None:
            raise Conflict(
                "the runtime has no kernel that could be moved",
                reason="runtime_not_running",
                hint="It can be moved when its kernel runs or is paused.",
            )
        if driver.pausing.is_moving:
            raise Conflict("the runtime is being moved already", reason="state_busy")

    async def run(self) -> Mapping[str, Any]:
        """Do it; returns when the kernel has its state in the other environment.

        Returns
        -------
        mapping
            What could not be carried, what was restored, and what was lost on arrival.

        Raises
        ------
        Conflict
            When it cannot be moved, or somebody has called it off.
        LimitExceeded
            When limits or budget do not allow it; the kernel goes on where it is.
        RemoteKernelsError
            When the pause fails, after which the kernel goes on; or the resume, after which the
            runtime is paused in its old environment.
        """
        self._has_begun = True
        try:
            self.check()
            await self._check_admission()
            self._driver.pausing.is_moving = True
            try:
                return await self._run()
            finally:
                self._driver.pausing.end_move()
        finally:
            self._ended.set()

    async def wait_ended(self) -> None:
        """Wait until everything is taken back, after it was cancelled."""
        if self._has_begun:
            await self._ended.wait()

    # -- inside ---------------------------------------------------------------

    async def _check_admission(self) -> None:
        """Ask whether the other environment would take it, while the kernel still runs."""
        environment, services = self._destination.environment, self._services
        provider = load_provider(environment.provider)
        notes = services.notes_directory(provider.name)
        await provider.check(environment.resources, str(notes))
        await services.accounts.grant(environment, self._destination.lease_s)

    async def _run(self) -> Mapping[str, Any]:
        not_carried = await self._pause()
        await self._driver.job.wait_gone()
        before = self._driver.record
        await self._enter(self._destination.environment, self._destination.lease_s)
        try:
            told = await self._driver.pausing.resume()
        except BaseException:  # whatever it was, a cancel too: it belongs where it came from
            await self._return(before)
            raise
        return {"environment": self._destination.environment.name, **told, **not_carried}

    async def _pause(self) -> dict[str, Any]:
        pausing = self._driver.pausing
        if self._driver.record.phase is Phase.PAUSED:
            return {"not_carried": []}
        try:
            report = await pausing.pause()
        except asyncio.CancelledError:
            await pausing.cancel()
            raise
        return {"not_carried": report["not_carried"]}

    async def _enter(self, environment: Environment, lease_s: float | None) -> None:
        driver, record = self._driver, self._driver.record
        driver.record = await self._services.registry.update(
            record.id,
            environment=environment,
            command=replace(record.command, argv=make_argv(environment)),
            kernel_name=environment.kernel_name,
            wanted_lease_s=lease_s,
        )
        self._services.poll_engine(driver.job.provider)
        driver.tell("renamed")

    async def _return(self, before: RuntimeRecord) -> None:
        driver = self._driver
        await driver.pausing.suspend()
        # Its stop is a matter of the engine that had it.
        await driver.job.wait_gone()
        if driver.record.phase is not Phase.PAUSED:
            return  # terminated meanwhile, or the resume was faster than who called it off
        driver.record = await self._services.registry.update(
            before.id,
            environment=before.environment,
            command=before.command,
            kernel_name=before.kernel_name,
            wanted_lease_s=before.wanted_lease_s,
        )
        driver.tell("renamed")
