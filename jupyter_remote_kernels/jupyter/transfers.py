"""The use cases behind the routes that know every kernel of the server, ordinary ones too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from jupyter_remote_kernels.control.endpoints import StateEndpoint, runtime_endpoint
from jupyter_remote_kernels.control.transfers import Transfer
from jupyter_remote_kernels.errors import Conflict, NotFound, NotSupported
from jupyter_remote_kernels.exchange.local import LocalKernel

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from jupyter_remote_kernels.control.operations import Operation, Operations
    from jupyter_remote_kernels.control.plane import ControlPlane
    from jupyter_remote_kernels.control.restoring import Choice


class Transfers:
    """Variables of one server's kernels. Made and used on the server's loop.

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

    async def transfer(self, source_id: str, target_id: str, choice: Choice) -> Operation:
        """Begin to give a kernel variables of another one.

        Raises
        ------
        Conflict
            When one of them is not running.
        InvalidInput
            When they are the same.
        NotFound
            When there is no such kernel.
        NotSupported
            When one is where nobody of us is.
        """
        source, target = await self.find(source_id), await self.find(target_id)
        plane = self._plane
        transfer = Transfer(source, target, choice, plane.services.tell)
        return self._operations.start(
            "transfer",
            target_id,
            plane.run(transfer.run()),
            lambda: plane.run(transfer.wait_ended()),
            source_id=source_id,
            tracker=transfer,
        )

    async def list_variables(self, kernel_id: str) -> dict[str, Any]:
        """Return a kernel's variables; waits until the kernel has time for that.

        Raises
        ------
        Conflict, NotFound, NotSupported
            As for :meth:`transfer`.
        """
        endpoint = await self.find(kernel_id)
        return await self._plane.run(endpoint.connect().variables())

    async def find(self, kernel_id: str) -> StateEndpoint:
        """Return a kernel that lives, a runtime's or an ordinary one.

        Raises
        ------
        Conflict, NotFound, NotSupported
            As for :meth:`transfer`.
        """
        kernels: Any = self._serverapp.kernel_manager
        driver = kernels.get_runtime(kernel_id)
        if driver is not None:
            endpoint = runtime_endpoint(driver)
            endpoint.connect()  # refused at once where there is no kernel
            return endpoint
        if kernel_id not in kernels:
            raise NotFound(f"there is no kernel {kernel_id!r}", reason="unknown_kernel")
        return self._plane.local_kernels.make(await _read_kernel(kernel_id, kernels))


async def _read_kernel(kernel_id: str, kernels: Any) -> LocalKernel:
    manager = kernels.get_kernel(kernel_id)
    provisioner = manager.provisioner
    if provisioner is not None and not isinstance(provisioner, LocalProvisioner):
        raise NotSupported(
            "the kernel runs where its state cannot be reached",
            reason="kernel_not_supported",
            hint="It works with runtimes, and with ordinary kernels of this machine.",
        )
    if provisioner is None or provisioner.pid is None or not await manager.is_alive():
        raise Conflict("no kernel is running", reason="no_kernel", hint="Restart it.")
    info = manager.get_connection_info()
    between = ":" if info["transport"] == "tcp" else "-"
    url = f"{info['transport']}://{info['ip']}{between}{info['shell_port']}"
    curve = None
    if "curve_publickey" in info:
        curve = (info["curve_publickey"].encode(), info["curve_secretkey"].encode())
    return LocalKernel(kernel_id, url, info["key"].decode(), provisioner.pid, curve)
