"""Runtimes over the restarts of a server: put back into their places, and let go at its end."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpec, NoSuchKernel
from jupyter_server.prometheus.metrics import KERNEL_CURRENTLY_RUNNING_TOTAL

from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.jupyter.provisioner import RemoteProvisioner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.plane import ControlPlane
    from jupyter_remote_kernels.model.records import RuntimeRecord

_log = logging.getLogger(__name__)


class ReattachmentMixin:
    """What the server's kernel manager does about runtimes at its start and at its end.

    ``detached`` names the kernels that were let go: their sessions are not over.
    """

    detached: frozenset[str] = frozenset()

    def attach_runtimes(self: Any, plane: ControlPlane, records: Sequence[RuntimeRecord]) -> int:
        """Put runtimes that were claimed into their places, under the ids that they had.

        Called on the server's loop before it listens. One that cannot be put back does not keep
        the others away: it stays claimed, so the next start tries again.

        Parameters
        ----------
        plane : ControlPlane
            Has claimed them.
        records : sequence of RuntimeRecord
            What it has claimed.

        Returns
        -------
        int
            How many are back.
        """
        attached = 0
        for record in records:
            try:
                self._attach_runtime(plane, record)
            except (RemoteKernelsError, OSError, ValueError) as error:
                _log.error("the runtime %s cannot be taken back: %s", record.id, error)
            else:
                attached += 1
        if attached:
            self.initialize_culler()
        return attached

    async def detach_runtimes(self: Any) -> int:
        """Let go of all runtimes that can go on without this server; returns how many.

        The others stay, to be shut down. Called at the end of the server, before its kernels
        are shut down.
        """
        drivers: dict[str, RuntimeDriver] = self.list_runtimes()
        outcomes = await asyncio.gather(*(self._detach_runtime(item) for item in drivers))
        return sum(outcomes)

    def _attach_runtime(self: Any, plane: ControlPlane, record: RuntimeRecord) -> None:
        name = record.kernel_name or record.environment.kernel_name
        kernel, _, kernel_id = self.pre_start_kernel(name, {"kernel_id": record.id})
        kernel.kernel_id = kernel_id
        try:
            kernel.kernel_spec  # noqa: B018 - found now, while it can be replaced
        except NoSuchKernel:
            kernel._kernel_spec = _make_spec(record)  # noqa: SLF001 - upstream reads it there
        provisioner = RemoteProvisioner(
            kernel_id=kernel_id,
            kernel_spec=kernel.kernel_spec,
            parent=kernel,
            environment=record.environment.to_json(),
        )
        kernel.provisioner = provisioner
        policy = getattr(self, "transport_encryption", None)
        kernel._reconcile_connection_info(provisioner.attach(plane, record, policy))  # noqa: SLF001
        # What a start would have left behind; a restart repeats it.
        kernel._attempted_start = True  # noqa: SLF001
        kernel._launch_args = {  # noqa: SLF001
            "env": {**os.environ, **record.command.env},
            "cwd": record.command.cwd,
        }
        kernel.ready.set_result(None)
        kernel.start_restarter()
        kernel._connect_control_socket()  # noqa: SLF001
        self.detached -= {kernel_id}
        self._kernels[kernel_id] = kernel
        self._kernel_connections[kernel_id] = 0
        self._kernel_ports[kernel_id] = kernel.ports
        self.start_watching_activity(kernel_id)
        self.add_restart_callback(kernel_id, lambda: self._handle_kernel_died(kernel_id), "dead")
        self.last_kernel_activity = datetime.now(timezone.utc)
        if self.buffer_offline_messages:
            kernel.begin_collecting()
        provisioner.resume()
        KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=kernel.kernel_name).inc()

    async def _detach_runtime(self: Any, kernel_id: str) -> bool:
        kernel = self._kernels[kernel_id]
        kernel.stop_restarter()
        kernel.drop_tap()
        async with kernel.restarting:
            if not await kernel.provisioner.detach():
                return False
        self.detached |= {kernel_id}
        self.stop_watching_activity(kernel_id)
        self.remove_kernel(kernel_id)
        self._kernel_connections.pop(kernel_id, None)
        self._kernel_ports.pop(kernel_id, None)
        await kernel.cleanup_resources()
        KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=kernel.kernel_name).dec()
        return True


def _make_spec(record: RuntimeRecord) -> KernelSpec:
    """Return what the kernelspec had been that is not there any more."""
    return KernelSpec(
        argv=[*record.command.argv],
        display_name=record.environment.display_name,
        language=record.environment.language,
    )
