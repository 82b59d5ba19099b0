"""The base of the subcommands: configuration, output, errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyter_core.application import JupyterApp, NoStart
from traitlets import Bool
from traitlets.config import Application

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.cli.tables import format_table
from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.jupyter.config import RemoteKernelsConfig

if TYPE_CHECKING:
    from jupyter_remote_kernels.jupyter.environment_store import EnvironmentStore

_JSON_FLAG = {"json": ({"RemoteKernelsCommand": {"json": True}}, "Print JSON.")}


class RemoteKernelsCommand(JupyterApp):
    """Base of the subcommands: reads the server's configuration too."""

    version = __version__
    json = Bool(False, config=True, help="Print JSON instead of a table.")
    flags = {**JupyterApp.flags, **_JSON_FLAG}
    classes = [RemoteKernelsConfig]
    subcommands: dict[str, Any] = {}

    def load_config_file(self, suppress_errors: bool = True) -> None:  # type: ignore[override]
        """Read jupyter_server_config too: environments are configured for the server."""
        super().load_config_file(suppress_errors=suppress_errors)
        for name in ("jupyter_server_config", "jupyter_remote_kernels_config"):
            # Jupyter's own version of this method reads the command's own files only.
            Application.load_config_file(self, name, path=self.config_file_paths)

    def open_environments(self, *, log: bool = True) -> EnvironmentStore:
        """Return the environments; what is wrong is logged, unless it is shown anyway."""
        # The server's section is named after the extension.
        section = self.config.get("RemoteKernels", {})
        named = {key: value for key, value in section.items() if key == "environments"}
        store = RemoteKernelsConfig(config=self.config, **named).open_environments()
        for problem in store.problems if log else ():
            self.log.error("%s", problem)
        return store

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
            self.log.error("%s%s", error.message, f". {error.hint}" if error.hint else "")  # noqa: TRY400
            self.exit(1)

    def run(self) -> None:
        """Do what the subcommand is for."""
        raise NoStart
