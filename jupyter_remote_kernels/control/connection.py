"""One runtime's way to its agent: found with the engine, opened, watched, closed."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.job import provider_bug
from jupyter_remote_kernels.control.job_files import POSITION_FILE
from jupyter_remote_kernels.errors import ProviderUnavailable, RemoteKernelsError
from jupyter_remote_kernels.link.agent_client import AgentClient
from jupyter_remote_kernels.link.link import Link
from jupyter_remote_kernels.link.position import LinkPosition
from jupyter_remote_kernels.model.phases import Event, Phase
from jupyter_remote_kernels.model.records import ExitCause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.model.endpoints import Endpoint

_log = logging.getLogger(__name__)
_ASKED_ATTEMPTS = 3


class LinkKeeper:
    """Opens and closes the link of one runtime, and passes on what it tells.

    It is the link's listener; see :class:`~jupyter_remote_kernels.link.link.LinkListener`.

    Parameters
    ----------
    driver : RuntimeDriver
        Whose link; it is told everything as events.
    services : Services
        What all drivers share.
    """

    def __init__(self, driver: RuntimeDriver, services: Services) -> None:
        self._driver = driver
        self._services = services
        self._opening: asyncio.Task[None] | None = None
        self.link: Link | None = None
        self._is_ending = False
        self.is_open = False

    def open(self) -> None:
        """Begin to connect; the outcome is told as events."""
        self.is_open = True
        # Beside the driver, because a provider may have to build a tunnel first.
        self._opening = self._services.background.spawn(
            self._open(), f"connect {self._driver.record.id}"
        )

    async def close(self) -> None:
        """Disconnect for good, or stop connecting."""
        await self._close(for_good=True)

    async def detach(self) -> None:
        """Let go of the agent, which goes on and keeps what it has for whoever comes."""
        await self._close(for_good=False)

    # -- what the link tells --------------------------------------------------

    def link_open(self) -> None:
        """The agent is connected, whatever its kernel does."""
        self._reached()

    def link_replays(self) -> None:
        """More of what was missed has come."""
        self._driver.tell("reachability")

    def output_held(self, message: str | None) -> None:
        """Output waits in the kernel because the agent has no room for it; None is over."""
        if message != self._driver.output_held:
            self._driver.output_held = message
            self._driver.tell("kernel")

    def link_ready(self, kernel_info: Mapping[str, Any]) -> None:
        """The kernel answers through the link."""
        driver = self._driver
        driver.kernel_exit = None
        driver.is_end_wanted = False
        self._reached()
        facts: dict[str, Any] = {"exit": None} if driver.record.exit is not None else {}
        if driver.record.started_s is None:
            facts["started_s"] = time.time()
            # Idleness begins now, however long the job was in a queue.
            driver.bridge.activity.last_s = time.time()
        if driver.pausing.has_to_restore:
            driver.pausing.work.restore(facts)
        else:
            driver.post(Event.LINK_READY, **facts)
        self._services.background.spawn(
            self._services.registry.remember_kernel_info(
                driver.record.environment.name, dict(kernel_info)
            ),
            "remember kernel_info",
        )

    def link_lost(self, message: str) -> None:
        """The agent cannot be reached. Unreachable is not dead: only the engine knows."""
        driver = self._driver
        if driver.unreachable_since_s is None:
            driver.unreachable_since_s = time.time()
        driver.tell("reachability")
        driver.post(Event.LINK_LOST)
        # An agent that has died is found out at once; later the engine is asked at its own pace.
        if driver.connection is None or driver.connection.attempt <= _ASKED_ATTEMPTS:
            self._services.background.spawn(driver.job.poll(), "poll after a lost link")

    def link_refused(self, message: str) -> None:
        """The agent does not accept us; this comes only before it ever has."""
        cause = ExitCause("link_refused", message, "Start a new runtime.")
        self._driver.post(Event.START_FAILED, exit=cause)

    def kernel_exited(self, cause: Mapping[str, Any]) -> None:
        """The agent says that its kernel is gone."""
        driver = self._driver
        if self._is_ending:
            return  # it goes with its agent, which has said why
        driver.kernel_exit = ExitCause.from_json(cause)
        self._reached()
        facts = {} if driver.is_end_wanted else {"exit": driver.kernel_exit}
        driver.post(Event.KERNEL_EXITED, **facts)

    def kernel_measured(self, metrics: Mapping[str, Any]) -> None:
        """The agent measured CPU and memory."""
        self._driver.metrics = {key: metrics[key] for key in metrics if key != "event"}
        self._driver.tell("usage")

    def lease_told(self, lease: Mapping[str, Any]) -> None:
        """The agent says how much of its reservation is left, maybe as a warning."""
        self._services.background.spawn(self._driver.lease.take(lease), "take a lease")

    def agent_ending(self, cause: Mapping[str, Any]) -> None:
        """The agent ends, and its kernel with it; that the job is gone is verified then."""
        self._is_ending = True
        self._driver.post(Event.JOB_ENDED, exit=ExitCause.from_json(cause))

    def _reached(self) -> None:
        if self._driver.unreachable_since_s is not None:
            self._driver.unreachable_since_s = None
            self._driver.tell("reachability")

    # -- inside ---------------------------------------------------------------

    async def _open(self) -> None:
        driver = self._driver
        try:
            endpoint: Endpoint | None = await driver.job.endpoint()
        except RemoteKernelsError as error:
            if not self._can_wait(error):
                await self._fail(ExitCause(error.reason, error.message, error.hint))
                return
            endpoint = None
        except Exception as error:  # noqa: BLE001 - see the next line
            # A provider is somebody else's code; its mistakes must not leave a launch hanging.
            _log.exception("runtime %s: the provider knows no endpoint", driver.record.id)
            await self._fail(provider_bug(error))
            return
        driver.bridge.expect_kernel()
        self._is_ending = False
        client = AgentClient(endpoint, driver.record.id, driver.record.token)
        self.link = Link(client, driver.bridge, self, self._open_position(), driver.job.endpoint)
        driver.connection = self.link.state
        self.link.open()

    def _can_wait(self, error: RemoteKernelsError) -> bool:
        """Tell whether an agent whose place is not known now may be found later."""
        is_up = self._driver.record.phase in (Phase.RUNNING, Phase.PAUSING)
        return isinstance(error, ProviderUnavailable) or is_up

    async def _fail(self, cause: ExitCause) -> None:
        # A job that has ended already has no endpoint; its engine knows better why.
        await self._driver.job.poll()
        self._driver.post(Event.START_FAILED, exit=cause)

    def _open_position(self) -> LinkPosition:
        record = self._driver.record
        path = self._services.job_directory(record.job_name) / POSITION_FILE
        try:
            return LinkPosition(path)
        except OSError as error:
            _log.warning("runtime %s: a restart will lose output: %s", record.id, error)
            return LinkPosition(None)

    async def _close(self, *, for_good: bool) -> None:
        self.is_open = False
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        if self.link is not None:
            link, self.link = self.link, None
            await link.close(for_good=for_good)
        self._driver.connection = None
