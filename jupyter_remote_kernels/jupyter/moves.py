"""Moves as Jupyter sees them: afterwards the kernel is of another kernelspec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.prometheus.metrics import KERNEL_CURRENTLY_RUNNING_TOTAL

from jupyter_remote_kernels.control.moving import Destination, Move

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_server.serverapp import ServerApp

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.operations import Operation, Operations
    from jupyter_remote_kernels.control.plane import ControlPlane


class Moves:
    """Moves of one server's runtimes. Made and used on the server's loop.

    Parameters
    ----------
    plane : ControlPlane
        The process's control plane.
    operations : Operations
        What users wait for.
    serverapp : ServerApp
        Its kernel manager is ours.
    """

    def __init__(self, plane: ControlPlane, operations: Operations, serverapp: ServerApp) -> None:
        self._plane = plane
        self._operations = operations
        self._serverapp = serverapp

    def move(self, driver: RuntimeDriver, destination: Destination) -> Operation:
        """Begin to move a runtime into another environment.

        Raises
        ------
        Conflict
            When it has no kernel that could be moved.
        """
        plane = self._plane
        move = Move(driver, plane.services, destination)
        move.check()
        return self._operations.start(
            "move",
            driver.record.id,
            self._run(move, driver),
            lambda: plane.run(move.wait_ended()),
        )

    async def _run(self, move: Move, driver: RuntimeDriver) -> Mapping[str, Any]:
        told = await self._plane.run(move.run())
        self._rename(driver)
        return told

    def _rename(self, driver: RuntimeDriver) -> None:
        """Let Jupyter know the kernelspec with which a restart begins."""
        kernels: Any = self._serverapp.kernel_manager
        record = driver.record
        if record.id not in kernels:
            return  # it was shut down at this moment
        manager = kernels.get_kernel(record.id)
        KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=manager.kernel_name).dec()
        manager.kernel_name = record.kernel_name
        KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=manager.kernel_name).inc()
        manager.provisioner.kernel_spec = manager.kernel_spec
        manager.provisioner.environment = record.environment.to_json()
