"""``jupyter remote-kernels terminate``: end what no process drives any more."""

from __future__ import annotations

from traitlets import Bool

from jupyter_remote_kernels.cli.command import RemoteKernelsCommand
from jupyter_remote_kernels.control import owners
from jupyter_remote_kernels.control.plane import control_plane
from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.jupyter.paths import state_directory
from jupyter_remote_kernels.model.phases import FINAL_PHASES


class TerminateCommand(RemoteKernelsCommand):
    """Terminate runtimes of servers that were stopped."""

    name = "jupyter-remote-kernels-terminate"
    description = (
        "Terminate runtimes that a stopped server has left running: terminate ID... or --all."
        " Those of a running server are terminated there."
    )
    all = Bool(False, config=True, help="All that no running process drives.")
    flags = {
        **RemoteKernelsCommand.flags,
        "all": ({"TerminateCommand": {"all": True}}, "All that no running process drives."),
    }

    def run(self) -> None:
        """Called when everything is configured."""
        if bool(self.extra_args) == self.all:
            raise InvalidInput("terminate wants runtime ids, or --all")
        plane = control_plane(state_directory())
        try:
            # What the sweep is cleaning up just now would look as if somebody drove it.
            plane.submit(plane.wait_swept()).result()
            records = plane.submit(plane.list_records()).result()
            named = self.extra_args or [
                record.id
                for record in records
                if record.phase not in FINAL_PHASES
                and (
                    record.owner is None
                    or owners.is_alive(plane.state_directory, record.owner) is False
                )
            ]
            ended = [plane.submit(plane.terminate(name)).result() for name in named]
        finally:
            plane.close()
        self.show([{"id": item.id, "name": item.name} for item in ended], ["id", "name"])
