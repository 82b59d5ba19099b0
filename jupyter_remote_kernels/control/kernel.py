"""One runtime's kernel, as its user handles it: interrupted, signalled, ended, started anew."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.model.phases import Phase, Target

if TYPE_CHECKING:
    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.model.records import KernelCommand

_log = logging.getLogger(__name__)


class KernelKeeper:
    """Acts on the kernel through its agent, or on what waits for it while there is none.

    Parameters
    ----------
    driver : RuntimeDriver
        Whose kernel.
    services : Services
        What all drivers share.
    """

    def __init__(self, driver: RuntimeDriver, services: Services) -> None:
        self._driver = driver
        self._services = services

    async def interrupt(self) -> None:
        """Interrupt the kernel, or abort what is held while there is none."""
        driver = self._driver
        driver.bridge.stand_in.abort_held()
        # What saves the state is no cell of the user's; what runs before it is.
        is_finishing = driver.record.phase is Phase.PAUSING and bool(driver.bridge.executing)
        if (driver.is_settled or is_finishing) and driver.link is not None:
            await driver.link.interrupt()

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group, if there is a kernel."""
        driver = self._driver
        if driver.is_settled and driver.link is not None:
            await driver.link.client.send_signal(signum)

    async def kill(self) -> None:
        """End the kernel at once; the agent and its allocation stay for a restart.

        Without a kernel there is only the launch to call off.
        """
        driver = self._driver
        if driver.record.phase is Phase.RUNNING and driver.link is not None:
            if driver.kernel_exit is not None:
                return
            driver.is_end_wanted = True
            try:
                await driver.link.client.stop_kernel(0.0)
            except RemoteKernelsError as error:
                _log.warning("runtime %s: %s; stopping its job", driver.record.id, error)
            else:
                await driver.wait_exit()
                return
        await driver.stop()

    async def restart(self, command: KernelCommand) -> None:
        """Start the kernel anew: in place when its agent is there, else with a new job.

        Parameters
        ----------
        command : KernelCommand
            What to start.

        Raises
        ------
        LimitExceeded
            When a new job is needed, and the budget does not allow it.
        """
        driver = self._driver
        driver.bridge.rebind()
        driver.record = await self._services.registry.update(driver.record.id, command=command)
        if driver.record.phase is Phase.FAILED:
            async with driver.applying:
                pass  # the stop of the old job may be about to begin, and must not hit the new one
            await driver.job.clear(await driver.lease.grant_again())
            driver.bridge.stand_in.accept()
            self._begin()
            await driver.want(Target.RUNNING)
            return
        if driver.record.phase is Phase.PAUSED:
            await driver.pausing.begin_anew()
            return
        if driver.record.phase is not Phase.RUNNING or driver.link is None:
            # A launch that is still on its way takes the command along.
            return
        driver.bridge.detach(kernel_gone=True)
        self._begin()
        env = {**driver.record.environment.env, **command.env}
        await driver.link.client.restart(command.argv, env)
        driver.tell("kernel")

    def _begin(self) -> None:
        self._driver.kernel_exit = None
        self._driver.bridge.activity.execution_state = "starting"
