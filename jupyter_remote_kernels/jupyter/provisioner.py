"""The kernel provisioner: jupyter_client's hooks, translated into use cases.

jupyter_client never learns that the kernel is remote. It gets local ports at once, and what it
asks of a process is answered from what the control plane knows.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import zmq
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Dict

from jupyter_remote_kernels.control.launch import LaunchRequest
from jupyter_remote_kernels.control.plane import ControlPlane, control_plane
from jupyter_remote_kernels.errors import LaunchFailed
from jupyter_remote_kernels.jupyter.launch_options import LaunchOptions
from jupyter_remote_kernels.jupyter.paths import state_directory
from jupyter_remote_kernels.link.bridge import Address, Keys
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.records import KernelCommand, RuntimeRecord
from jupyter_remote_kernels.model.volumes import plan_mounts

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from jupyter_client.connect import KernelConnectionInfo

    from jupyter_remote_kernels.control.driver import RuntimeDriver

Result = TypeVar("Result")
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
# Serves kernelspecs that name no provisioner, when this one is made the default.
_DEFAULT = {"display_name": "Kernel", "provider": "local"}


class RemoteProvisioner(KernelProvisionerBase):
    """Provisions a kernel as a runtime.

    jupyter_client makes one per kernel manager and keeps it over restarts. Its methods are
    called on whatever loop the user of jupyter_client runs, also on several.
    """

    environment = Dict(
        help="The environment, as the kernelspec carries it; without secrets, since kernelspecs"
        " are served to everybody."
    )

    _driver: RuntimeDriver | None = None
    _used_plane: ControlPlane | None = None
    _running = False
    _cwd: str | None = None

    # -- facts ----------------------------------------------------------------

    @property
    def driver(self) -> RuntimeDriver | None:
        """The driver of our runtime, from the launch to the clean-up."""
        return self._driver

    @property
    def has_process(self) -> bool:
        """Called by the kernel manager everywhere: is there something to talk to."""
        return self._running and self._living is not None

    async def poll(self) -> int | None:
        """Called by the restarter and ``is_alive``: None is alive, and also unknown.

        An answer other than None makes the restarter kill and restart the kernel at once, so
        an unreachable kernel must not give one.
        """
        return self._driver.exit_code if self._driver is not None else 0

    async def wait(self) -> int | None:
        """Called after the end of a kernel was seen or forced; with a timeout around it."""
        code = 0
        if self._living is not None:
            code = await self._run(self._living.wait_exit())
        self._running = False
        return code

    # -- acting on the kernel -------------------------------------------------

    async def send_signal(self, signum: int) -> None:
        """Called by ``interrupt_kernel`` and ``signal_kernel``."""
        if self._living is None:
            return
        if signum == signal.SIGINT:
            # Each shutdown begins with an interrupt. Cells that wait for a dead kernel's
            # successor must outlive it, as they do in the socket of a local kernel.
            if self._is_shutting_down and self._living.kernel_exit is not None:
                return
            await self._run(self._living.kernel.interrupt())
        elif signum:
            await self._run(self._living.kernel.send_signal(signum))

    async def kill(self, restart: bool = False) -> None:
        """Called when the kernel did not end by itself, or at once with ``now``.

        The agent stays: whether this is a restart is known only at the clean-up, because
        jupyter_client does not always say so here.
        """
        if self._living is not None:
            await self._run(self._living.kernel.kill())

    async def terminate(self, restart: bool = False) -> None:
        """Called half-way through the time that a kernel has to end by itself."""
        if self._living is not None:
            await self._run(self._living.kernel.send_signal(signal.SIGTERM))

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Called after the shutdown request went out on the control channel.

        A kernel that is not there cannot answer it. Then the launch is called off; in a restart
        it goes on, keeps its place in the queue, and takes the new command along.
        """
        if self._living is None:
            return
        if self._living.is_settled:
            self._living.is_end_wanted = True
            return
        if restart:
            self._running = False
        else:
            await self._run(self._living.stop())

    async def cleanup(self, restart: bool = False) -> None:
        """Called last, after the kernel has ended; only a real end gives the runtime back."""
        if restart or self._driver is None:
            return
        if self._living is not None:
            await self._run(self._living.stop())
        self._driver = None
        self._running = False

    def abandon(self) -> None:
        """Called when nobody will ever ask for this kernel again; waits for nothing."""
        if self._living is not None:
            self._plane().submit(self._living.stop())

    # -- launching ------------------------------------------------------------

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Called first by ``start_kernel``, also in a restart; must return ``cmd``."""
        self._provide_curve_keys(kwargs.pop("transport_encryption", None))
        command = self._format_command(kwargs.pop("extra_arguments", []))
        prepared: dict[str, Any] = await super().pre_launch(cmd=command, **kwargs)
        return prepared

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Called once per start; returns as soon as the local sockets are bound."""
        self._cwd = os.fspath(kwargs.get("cwd") or Path.cwd())
        command = KernelCommand(
            argv=tuple(cmd),
            env=_differing(kwargs.get("env") or {}),
            cwd=self._cwd,
        )
        plane = self._plane()
        driver = plane.find(self.kernel_id)
        if driver is not None and driver is self._driver:
            await self._run(driver.kernel.restart(command))
            connection = driver.bridge.connection
        else:
            request = self._make_request(command, kwargs.get("runtime_options"))
            connection = await self._run(plane.launch(request))
            self._driver = plane.find(self.kernel_id)
        if self._driver is None:
            raise LaunchFailed("the runtime ended while it was launched")
        self._running = True
        # The base class shares one dictionary among all instances; this one is ours.
        self.connection_info = cast("KernelConnectionInfo", dict(connection))
        return self.connection_info

    # -- over the restarts of a server ----------------------------------------

    def attach(
        self, plane: ControlPlane, record: RuntimeRecord, transport_encryption: str | None
    ) -> KernelConnectionInfo:
        """Called at the start of a server, in the place of ``launch_kernel``.

        Nothing of the kernel arrives before :meth:`resume`.

        Parameters
        ----------
        plane : ControlPlane
            Has claimed the runtime.
        record : RuntimeRecord
            The runtime.
        transport_encryption : str or None
            jupyter_client's policy for the local sockets.
        """
        self._provide_curve_keys(transport_encryption)
        self._used_plane = plane
        work = plane.adopt(record, self._local_address(), self._local_keys())
        self._driver = plane.submit(work).result()
        self._cwd = record.command.cwd
        self._running = True
        self.connection_info = cast("KernelConnectionInfo", dict(self._driver.bridge.connection))
        return self.connection_info

    def resume(self) -> None:
        """Called when everything is in place for what the kernel has to say."""
        if self._driver is not None:
            self._plane().submit(self._driver.handover.resume()).result()

    async def detach(self) -> bool:
        """Called at the end of a server; False when the runtime has to be ended instead."""
        if self._living is None or not await self._run(self._living.detach()):
            return False
        self._driver = None
        self._running = False
        return True

    def resolve_path(self, path_str: str) -> str | None:
        """Called by the contents API to open a file that the kernel names; None is unknown."""
        provider = self._driver.job.provider if self._driver is not None else None
        if provider is None or "same_files" not in provider.capabilities:
            return None
        path = Path(path_str).expanduser()
        if not path.is_absolute() and self._cwd:
            path = (Path(self._cwd) / path).resolve()
        return path.as_posix() if path.exists() else None

    async def get_provisioner_info(self) -> dict[str, Any]:
        """Called by whoever wants to attach later; holds no secret."""
        info: dict[str, Any] = await super().get_provisioner_info()
        info["runtime_id"] = self.kernel_id
        return info

    # -- inside ---------------------------------------------------------------

    @property
    def _living(self) -> RuntimeDriver | None:
        """Our driver, unless its control plane has ended before the user of jupyter_client has.

        At the end of a process it does, and has terminated the runtime.
        """
        is_over = self._used_plane is not None and self._used_plane.is_closed
        return None if is_over else self._driver

    @property
    def _is_shutting_down(self) -> bool:
        return bool(getattr(self.parent, "shutting_down", False))

    def _plane(self) -> ControlPlane:
        # The one that launched also ends it, wherever Jupyter's directories point by then.
        if self._used_plane is None or self._driver is None:
            self._used_plane = control_plane(state_directory())
        return self._used_plane

    async def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return await self._plane().run(work)

    def _make_request(self, command: KernelCommand, options: LaunchOptions | None) -> LaunchRequest:
        data = dict(self.environment) or _DEFAULT
        name = str(data.get("name", "default"))
        known = {key: value for key, value in data.items() if key not in ("name", "kernel_name")}
        environment = Environment.from_json(name, known)
        chosen = options or LaunchOptions(volumes=plan_mounts(environment, None, []))
        return LaunchRequest(
            runtime_id=self.kernel_id,
            name=chosen.name or environment.display_name,
            environment=replace(
                environment,
                resources=chosen.resources or environment.resources,
                lease_policy=chosen.lease_policy or environment.lease_policy,
            ),
            command=command,
            address=self._local_address(),
            keys=self._local_keys(),
            tag=chosen.tag,
            client_token=chosen.client_token,
            lease_s=chosen.lease_s,
            volumes=chosen.volumes,
            kernel_name=getattr(self.parent, "kernel_name", None),
            snapshot_id=chosen.snapshot_id,
        )

    def _local_address(self) -> Address:
        manager = self.parent
        if manager is None:
            return Address()
        ports = {name: getattr(manager, f"{name}_port") for name in _CHANNELS}
        return Address(manager.transport, manager.ip, ports)

    def _local_keys(self) -> Keys:
        manager = self.parent
        if manager is None:
            return Keys(os.urandom(32).hex().encode())
        return Keys(
            key=manager.session.key,
            scheme=manager.session.signature_scheme,
            curve_publickey=getattr(manager, "curve_publickey", None),
            curve_secretkey=getattr(manager, "curve_secretkey", None),
        )

    def _format_command(self, extra_arguments: list[str]) -> list[str]:
        """Fill in the kernelspec's command, but leave the place of the connection file open.

        The agent writes a connection file of its own. Launch arguments win over the manager's
        own values, so the placeholder is passed as one of them, for this call only.
        """
        manager = self.parent
        if manager is None:
            return [*self.kernel_spec.argv, *extra_arguments]
        arguments = manager._launch_args  # noqa: SLF001 - there is no public way to say this
        manager._launch_args = {**(arguments or {}), "connection_file": "{connection_file}"}  # noqa: SLF001
        try:
            command: list[str] = manager.format_kernel_cmd(extra_arguments=extra_arguments)
        finally:
            manager._launch_args = arguments  # noqa: SLF001
        return command

    def _provide_curve_keys(self, policy: str | None) -> None:
        """Encrypt the local sockets when jupyter_client's policy asks for it."""
        manager = self.parent
        if manager is None or not hasattr(manager, "_transport_encryption_policy"):
            return
        policy = manager._transport_encryption_policy(policy)  # noqa: SLF001 - its only way
        wanted = policy == "required" or (
            policy == "auto" and manager._kernel_supports_curve_encryption()  # noqa: SLF001
        )
        if wanted and manager.curve_publickey is None:
            manager.curve_publickey, manager.curve_secretkey = zmq.curve_keypair()


def _differing(env: Mapping[str, str]) -> dict[str, str]:
    """Return what differs from this process's environment.

    Sessions pass a whole copy of the server's environment; only what was added for this kernel
    may leave the machine.
    """
    return {key: value for key, value in env.items() if os.environ.get(key) != value}
