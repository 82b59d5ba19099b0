"""The server extension: traits and wiring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp

from jupyter_remote_kernels.control.leaving import pause_all
from jupyter_remote_kernels.control.plane import ControlPlane, control_plane
from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.jupyter.config import RemoteKernelsConfig
from jupyter_remote_kernels.jupyter.installation import check_classes, install_classes
from jupyter_remote_kernels.jupyter.kernelspecs import Published, publish
from jupyter_remote_kernels.jupyter.paths import state_directory
from jupyter_remote_kernels.jupyter.routes import make_handlers
from jupyter_remote_kernels.jupyter.runtimes import EVENT_SCHEMA, Runtimes
from jupyter_remote_kernels.jupyter.session_manager import identify_server

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp
    from tornado.ioloop import IOLoop

    from jupyter_remote_kernels.control.launch import Change
    from jupyter_remote_kernels.jupyter.environment_store import EnvironmentStore


class RemoteKernels(RemoteKernelsConfig, ExtensionApp):
    """Kernels that run elsewhere, in this server."""

    name = "jupyter_remote_kernels"
    load_other_extensions = True
    extension_url = "/lab"

    _runtimes: Runtimes | None = None
    _plane: ControlPlane | None = None
    _environments: EnvironmentStore | None = None
    _published: Published | None = None

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Called before the server makes its managers: the only moment to name ours."""
        super()._link_jupyter_server_extension(serverapp)
        install_classes(serverapp)

    def initialize_settings(self) -> None:
        """Called when the server's managers exist and its routes are collected."""
        # What a later configuration file says about us is known only now.
        self.update_config(self._server.config)
        if not check_classes(self._server):
            return
        self._environments = self.open_environments()
        self._offer_kernelspecs()
        self._environments.subscribe(self._take_up_environments)
        schema = Path(__file__).parent / "events" / "runtime.yaml"
        if self._server.event_logger is not None:
            self._server.event_logger.register_event_schema(schema)
        self._plane = control_plane(state_directory(), self.control_settings())
        self._runtimes = Runtimes(self._server, self._plane, self._environments)
        self._plane.subscribe(self._tell)
        self._make_ready()
        self.settings["jupyter_remote_kernels_runtimes"] = self._runtimes
        self.settings["jupyter_remote_kernels_environments"] = self._environments
        # The first thing that the loop does, before it listens: by then the port is known.
        self._loop.add_callback(self._take_back)

    def initialize_handlers(self) -> None:
        """Called after ``initialize_settings``."""
        if self._runtimes is not None:
            self.handlers.extend(make_handlers())

    async def stop_extension(self) -> None:
        """Called when the server stops, before its kernels are shut down."""
        if self._runtimes is not None:
            await self._runtimes.operations.close()
        if self._plane is not None:
            self._plane.unsubscribe(self._tell)
            await self._plane.run(self._plane.warm.close())
            if self.on_server_stop == "pause":
                await self._pause_all(self._plane)
            if self.on_server_stop != "terminate":
                await self._let_go()
        if self._published is not None:
            self._published.close()

    def _take_back(self) -> None:
        """Go on with what the server before this one has left; no request is answered before."""
        if self._plane is None:
            return
        identity = identify_server(self._server)
        try:
            records = self._plane.submit(self._plane.take_over(identity)).result()
        except RemoteKernelsError:
            self.log.exception("jupyter_remote_kernels: what an earlier server left is not known")
            return
        manager: Any = self._server.kernel_manager
        count = manager.attach_runtimes(self._plane, records)
        if count:
            self.log.info(
                "jupyter_remote_kernels: took back %s of the server before.", _count(count)
            )

    async def _pause_all(self, plane: ControlPlane) -> None:
        """Save what runs, and give its machines back."""
        drivers = list(plane.services.drivers.values())
        count = await plane.run(pause_all(drivers, self.pause_limit_s))
        if count:
            self.log.info("jupyter_remote_kernels: %s paused.", _count(count))

    async def _let_go(self) -> None:
        """Leave what runs to the next server, before kernels are shut down."""
        manager: Any = self._server.kernel_manager
        count = await manager.detach_runtimes()
        if count:
            self.log.info(
                "jupyter_remote_kernels: %s will go on without this server. The next server of"
                " this directory and port takes them back;"
                " `jupyter remote-kernels terminate --all` ends them.",
                _count(count),
            )

    def _offer_kernelspecs(self) -> None:
        """Publish the environments as kernelspecs, in place of those that were there before."""
        if self._environments is None:
            return
        for problem in self._environments.problems:
            self.log.error("jupyter_remote_kernels: %s", problem)
        manager: Any = self._server.kernel_spec_manager
        earlier = self._published
        self._published = publish(self._environments.all, state_directory())
        old, new = (str(item.folder) if item else None for item in (earlier, self._published))
        others = [item for item in manager.kernel_dirs if item not in (old, new)]
        manager.kernel_dirs = [*others, new]
        if earlier is not None:
            earlier.close()
        names = {item.kernel_name for item in self._environments.all}
        allowed = manager.allowed_kernelspecs
        hidden = sorted(names - set(allowed)) if allowed else []
        if hidden:
            self.log.warning(
                "jupyter_remote_kernels: KernelSpecManager.allowed_kernelspecs hides %s."
                " Add them to it to offer these environments.",
                ", ".join(hidden),
            )

    def _take_up_environments(self) -> None:
        """Called when an environment was written, deleted, or changed by hand."""
        try:
            self._offer_kernelspecs()
        except (OSError, RemoteKernelsError):
            # What was asked for is done; the earlier kernelspecs are offered until it works.
            self.log.exception("jupyter_remote_kernels: the kernelspecs cannot be written")
        self._make_ready()
        if self._server.event_logger is not None:
            data = {"action": "environments", "runtime_id": "", "phase": ""}
            self._server.event_logger.emit(schema_id=EVENT_SCHEMA, data=data)

    def _make_ready(self) -> None:
        """Keep warm what the environments ask for; nobody waits for it."""
        if self._plane is not None and self._environments is not None:
            self._plane.submit(self._plane.warm.set_environments(self._environments.all))

    def _tell(self, change: Change) -> None:
        """Called on the control plane's thread; events belong to the server's loop."""
        if self._runtimes is not None:
            self._loop.add_callback(self._runtimes.tell, change)

    @property
    def _server(self) -> ServerApp:
        """The server; it is there from the moment of linking on."""
        if self.serverapp is None:
            raise RuntimeError("the extension has not been linked to a server")
        return self.serverapp

    @property
    def _loop(self) -> IOLoop:
        loop: IOLoop = self._server.io_loop
        return loop


def _count(runtimes: int) -> str:
    return "1 runtime" if runtimes == 1 else f"{runtimes} runtimes"
