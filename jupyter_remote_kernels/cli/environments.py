"""``jupyter remote-kernels environments``: list, add, remove, check."""

from __future__ import annotations

from pathlib import Path

from traitlets import Unicode

from jupyter_remote_kernels.cli.command import RemoteKernelsCommand
from jupyter_remote_kernels.errors import InvalidInput, NotFound

_COLUMNS = ["name", "display_name", "provider", "kernel_name", "kind", "source"]


class _NamedCommand(RemoteKernelsCommand):
    """A command about one environment, which is its only argument."""

    def read_name(self) -> str:
        """Return the name on the command line."""
        if len(self.extra_args) != 1:
            raise InvalidInput("give the name of one environment")
        return str(self.extra_args[0])


class AddCommand(_NamedCommand):
    """Add an environment of the user's own, or replace it."""

    name = "jupyter-remote-kernels-environments-add"
    description = (
        "Add an environment of your own from a TOML file, or replace it: environments add NAME"
        " --file=FILE. A running server offers it when somebody looks at its environments."
    )
    file = Unicode("", config=True, help="The TOML file; it is copied.")
    aliases = {**RemoteKernelsCommand.aliases, "file": "AddCommand.file"}

    def run(self) -> None:
        name = self.read_name()
        if not self.file:
            raise InvalidInput("give the environment's TOML file with --file")
        path = Path(self.file)
        if not path.exists():
            raise NotFound(f"there is no file {self.file}")
        store = self.open_environments()
        environment, _ = store.put_file(name, path)
        self.show([{**environment.to_json(), "source": store.find_source(name)}], _COLUMNS)


class RemoveCommand(_NamedCommand):
    """Remove an environment of the user's own."""

    name = "jupyter-remote-kernels-environments-remove"
    description = "Remove an environment of your own: environments remove NAME. Runtimes go on."

    def run(self) -> None:
        self.open_environments().delete(self.read_name())


class CheckCommand(RemoteKernelsCommand):
    """Say what is wrong with the environments."""

    name = "jupyter-remote-kernels-environments-check"
    description = (
        "Say what is wrong with the environments, by file and key; with exit status 1 if anything"
        " is."
    )

    def run(self) -> None:
        problems = self.open_environments(log=False).problems
        self.show([item.to_json() for item in problems], ["file", "name", "key", "reason"])
        if problems:
            self.exit(1)


class EnvironmentsCommand(RemoteKernelsCommand):
    """List the environments."""

    name = "jupyter-remote-kernels-environments"
    description = "List the environments that kernels can be started in."
    subcommands = {
        "add": (AddCommand, AddCommand.description),
        "remove": (RemoveCommand, RemoveCommand.description),
        "check": (CheckCommand, CheckCommand.description),
    }

    def run(self) -> None:
        if self.extra_args:
            raise InvalidInput(
                f"there is no command {self.extra_args[0]!r}",
                hint=f"There are: {', '.join(self.subcommands)}.",
            )
        store = self.open_environments()
        rows = [
            {**store[name].to_json(), "source": store.find_source(name)} for name in sorted(store)
        ]
        self.show(rows, _COLUMNS)
