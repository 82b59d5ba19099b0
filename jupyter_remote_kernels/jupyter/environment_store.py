"""The environments of this process: read from where they are configured, changed over REST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.paths import jupyter_config_dir, jupyter_config_path

from jupyter_remote_kernels.control import environment_files
from jupyter_remote_kernels.control.environment_catalogue import Sources, parse_environment
from jupyter_remote_kernels.errors import Conflict, NotFound
from jupyter_remote_kernels.model.environments import check_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_remote_kernels.control.environment_catalogue import Catalogue, Problem
    from jupyter_remote_kernels.model.environments import Environment

_FOLDER = Path("remote_kernels", "environments")


def find_sources(setting: Mapping[str, Any] | None, built_in: Mapping[str, Any]) -> Sources:
    """Return where environments are configured, by Jupyter's own directories."""
    own = Path(jupyter_config_dir())
    others = [Path(item) for item in dict.fromkeys(jupyter_config_path()) if Path(item) != own]
    return Sources(setting, built_in, [item / _FOLDER for item in others], own / _FOLDER)


class EnvironmentStore(Mapping[str, "Environment"]):
    """All environments by name: a mapping that stays current. Used on the server's loop.

    Parameters
    ----------
    sources : Sources
        Where they are configured.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._listeners: list[Callable[[], None]] = []
        self._signature = environment_files.take_signature(sources.directories)
        self._found: Catalogue = sources.read()

    # -- reading --------------------------------------------------------------

    def __getitem__(self, name: str) -> Environment:
        """Return an environment; looks once more before it says that there is none."""
        if name not in self._found.environments:
            self.refresh()
        return self._found.environments[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._found.environments)

    def __len__(self) -> int:
        """Count the environments."""
        return len(self._found.environments)

    @property
    def all(self) -> Sequence[Environment]:
        """All environments: the platform's first, then the user's."""
        return tuple(self._found.environments.values())

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with those that are not offered."""
        return tuple(self._found.problems)

    def find_source(self, name: str) -> str:
        """Return where a name is configured: a file's path, a setting, or ``built in``."""
        return self._found.sources[name]

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every change, before whoever made it gets an answer."""
        self._listeners.append(listener)

    def refresh(self) -> None:
        """Read the files again if one has changed since; the listeners hear what is new."""
        signature = environment_files.take_signature(self.sources.directories)
        if signature != self._signature:
            earlier = self._found
            self._read(signature)
            if self._found != earlier:
                self._tell()

    # -- changing -------------------------------------------------------------

    def put(self, name: str, data: Mapping[str, Any]) -> tuple[Environment, bool]:
        """Write an environment of the user.

        Parameters
        ----------
        name : str
            Its name.
        data : mapping
            Its table.

        Returns
        -------
        environment : Environment
            As it is now.
        created : bool
            Whether it is new.

        Raises
        ------
        InvalidEnvironment
            When something is wrong with it.
        Conflict
            When the platform has an environment of this name, or the file cannot be written.
        """
        check_name(name)
        self.refresh()
        self._check_writable(name)
        environment = parse_environment(name, data, "user")
        return environment, self._write(name, environment_files.make_text(data))

    def put_file(self, name: str, path: Path) -> tuple[Environment, bool]:
        """Write an environment of the user as it is in a file, with its comments; see ``put``."""
        check_name(name)
        self.refresh()
        self._check_writable(name)
        environment = parse_environment(name, environment_files.read_file(path), "user")
        return environment, self._write(name, environment_files.read_text(path))

    def delete(self, name: str) -> None:
        """Delete an environment of the user, also a wrong one. Living runtimes go on.

        Raises
        ------
        NotFound
            When there is none.
        Conflict
            When it is the platform's, or the file cannot be deleted.
        """
        self.refresh()
        known = name in self._found.sources
        if known:
            self._check_writable(name)
        if not known or not environment_files.delete_file(self.sources.user, name):
            raise NotFound(f"there is no environment {name!r}", reason="unknown_environment")
        self._reread()

    def _check_writable(self, name: str) -> None:
        own = str(self._path(name))
        if self._found.sources.get(name, own) != own:
            raise Conflict(
                f"the environment {name!r} belongs to the platform",
                reason="platform_environment",
                hint="Use another name, or ask who runs this server to change it.",
            )

    def _write(self, name: str, text: str) -> bool:
        created = environment_files.write_file(self.sources.user, name, text)
        self._reread()
        return created

    def _path(self, name: str) -> Path:
        return self.sources.user / f"{name}{environment_files.SUFFIX}"

    def _reread(self) -> None:
        self._read(environment_files.take_signature(self.sources.directories))
        self._tell()

    def _read(self, signature: tuple[object, ...]) -> None:
        # The signature is older than what is read: a change in between is seen the next time.
        self._signature = signature
        self._found = self.sources.read()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
