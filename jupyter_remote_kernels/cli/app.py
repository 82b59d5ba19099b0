"""``jupyter remote-kernels``: environments, ls, install."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.application import JupyterApp, NoStart
from traitlets import Bool, Unicode
from traitlets.config import Application

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.cli.tables import format_age, format_table
from jupyter_remote_kernels.control import owners
from jupyter_remote_kernels.control.registry import AsyncRegistry
from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.jupyter.config import RemoteKernelsConfig
from jupyter_remote_kernels.jupyter.kernelspecs import install
from jupyter_remote_kernels.jupyter.paths import state_directory
from jupyter_remote_kernels.model.phases import FINAL_PHASES

if TYPE_CHECKING:
    from jupyter_remote_kernels.model.environments import Environment
    from jupyter_remote_kernels.model.records import RuntimeRecord

_JSON_FLAG = {"json": ({"RemoteKernelsCommand": {"json": True}}, "Print JSON.")}


class RemoteKernelsCommand(JupyterApp):
    """Base of the subcommands: reads the server's configuration too."""

    version = __version__
    json = Bool(False, config=True, help="Print JSON instead of a table.")
    flags = {**JupyterApp.flags, **_JSON_FLAG}
    classes = [RemoteKernelsConfig]

    def load_config_file(self, suppress_errors: bool = True) -> None:  # type: ignore[override]
        """Read jupyter_server_config too: environments are configured for the server."""
        super().load_config_file(suppress_errors=suppress_errors)
        for name in ("jupyter_server_config", "jupyter_remote_kernels_config"):
            # Jupyter's own version of this method reads the command's own files only.
            Application.load_config_file(self, name, path=self.config_file_paths)

    def read_environments(self) -> list[Environment]:
        """Return the environments; what is wrong is logged and left out."""
        # The server's section is named after the extension.
        section = self.config.get("RemoteKernels", {})
        config = RemoteKernelsConfig(**{k: v for k, v in section.items() if k == "environments"})
        good, errors = config.read_environments()
        for error in errors:
            self.log.error("%s. %s", error.message, error.hint)
        return [good[name] for name in sorted(good)]

    def show(self, rows: list[dict[str, Any]], columns: list[str]) -> None:
        """Print rows as a table or as JSON."""
        if self.json:
            print(json.dumps(rows, indent=1))
        else:
            print(format_table(rows, columns))

    def start(self) -> None:
        """Called by traitlets; our own errors become one line and exit status 1."""
        super().start()
        try:
            self.run()
        except RemoteKernelsError as error:
            self.log.error("%s%s", error.message, f" {error.hint}" if error.hint else "")  # noqa: TRY400
            self.exit(1)

    def run(self) -> None:
        """Do what the subcommand is for."""
        raise NoStart


class EnvironmentsCommand(RemoteKernelsCommand):
    """List the environments."""

    name = "jupyter-remote-kernels-environments"
    description = "List the environments that kernels can be started in."

    def run(self) -> None:
        rows = [environment.to_json() for environment in self.read_environments()]
        self.show(rows, ["name", "display_name", "provider", "kernel_name", "kind"])


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
        written = install(self.read_environments(), target)
        self.show([{"kernel_name": p.name, "path": str(p)} for p in written], _INSTALL_COLUMNS)


class RemoteKernelsApp(JupyterApp):
    """The command with its subcommands."""

    name = "jupyter-remote-kernels"
    description = "Kernels that run elsewhere and work as if they were local."
    version = __version__
    subcommands = {
        "environments": (EnvironmentsCommand, EnvironmentsCommand.description),
        "ls": (ListCommand, ListCommand.description),
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
