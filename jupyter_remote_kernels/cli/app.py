"""``jupyter remote-kernels``: environments, ls, terminate, install."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.application import JupyterApp
from traitlets import Bool, Unicode

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.cli.command import RemoteKernelsCommand
from jupyter_remote_kernels.cli.environments import EnvironmentsCommand
from jupyter_remote_kernels.cli.tables import format_age
from jupyter_remote_kernels.cli.terminate import TerminateCommand
from jupyter_remote_kernels.control import owners
from jupyter_remote_kernels.control.registry import AsyncRegistry
from jupyter_remote_kernels.jupyter.kernelspecs import install
from jupyter_remote_kernels.jupyter.paths import state_directory
from jupyter_remote_kernels.model.phases import FINAL_PHASES

if TYPE_CHECKING:
    from jupyter_remote_kernels.model.records import RuntimeRecord


class ListCommand(RemoteKernelsCommand):
    """List the runtimes of all processes of this user."""

    name = "jupyter-remote-kernels-ls"
    description = "List the runtimes of all your processes; needs no running server."
    all = Bool(False, config=True, help="Also those that have ended.")
    flags = {
        **RemoteKernelsCommand.flags,
        "all": ({"ListCommand": {"all": True}}, "Also show runtimes that have ended."),
    }

    def run(self) -> None:
        directory = state_directory()
        if not (directory / "registry.sqlite3").exists():
            self.show([], _RUNTIME_COLUMNS)
            return
        records = asyncio.run(_read_records(directory))
        rows = [
            _describe(record, directory)
            for record in records
            if self.all or record.phase not in FINAL_PHASES
        ]
        self.show(rows, _RUNTIME_COLUMNS)


class InstallCommand(RemoteKernelsCommand):
    """Install the kernelspecs for clients without a server."""

    name = "jupyter-remote-kernels-install"
    description = (
        "Put the environments' kernelspecs on Jupyter's path, for papermill, nbclient, nbconvert,"
        " jupyter console and VS Code. Our earlier ones that are no environment now are removed."
    )
    directory = Unicode("", config=True, help="A 'kernels' directory; the user's by default.")
    aliases = {**RemoteKernelsCommand.aliases, "directory": "InstallCommand.directory"}

    def run(self) -> None:
        target = Path(self.directory) if self.directory else None
        store = self.open_environments()
        written = install([store[name] for name in sorted(store)], target)
        self.show([{"kernel_name": p.name, "path": str(p)} for p in written], _INSTALL_COLUMNS)


class RemoteKernelsApp(JupyterApp):
    """The command with its subcommands."""

    name = "jupyter-remote-kernels"
    description = "Kernels that run elsewhere and work as if they were local."
    version = __version__
    subcommands = {
        "environments": (EnvironmentsCommand, EnvironmentsCommand.description),
        "ls": (ListCommand, ListCommand.description),
        "terminate": (TerminateCommand, TerminateCommand.description),
        "install": (InstallCommand, InstallCommand.description),
    }

    def start(self) -> None:
        """Called by traitlets."""
        super().start()
        if self.subapp is None:
            self.print_help()
            self.exit(1)


_RUNTIME_COLUMNS = ["id", "name", "environment", "phase", "age", "owner"]
_INSTALL_COLUMNS = ["kernel_name", "path"]


async def _read_records(directory: Path) -> list[RuntimeRecord]:
    registry = await AsyncRegistry.open(directory / "registry.sqlite3")
    try:
        return await registry.list()
    finally:
        await registry.close()


def _describe(record: RuntimeRecord, directory: Path) -> dict[str, Any]:
    owner = "none"
    if record.owner is not None:
        alive = owners.is_alive(directory, record.owner)
        state = {True: "", False: " (gone)", None: " (other host)"}[alive]
        owner = f"{record.owner.host}:{record.owner.pid}{state}"
    return {
        "id": record.id,
        "name": record.name,
        "environment": record.environment.name,
        "provider": record.environment.provider,
        "phase": record.phase.value,
        "age": format_age(time.time() - record.created_s),
        "owner": owner,
    }


def main() -> None:
    """Run the command line."""
    RemoteKernelsApp.launch_instance()


if __name__ == "__main__":
    main()
