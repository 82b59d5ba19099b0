"""All environments of a process: of the configuration, of the platform's and the user's files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control import environment_files
from jupyter_remote_kernels.errors import InvalidEnvironment, RemoteKernelsError
from jupyter_remote_kernels.model.environments import Environment, check_name
from jupyter_remote_kernels.model.reading import wrong
from jupyter_remote_kernels.providers.registry import load_provider

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SETTING = "c.RemoteKernels.environments"
BUILT_IN = "built in"


@dataclass(frozen=True)
class Problem:
    """What is wrong with one environment. It never keeps the others from being offered.

    Attributes
    ----------
    file : str
        The file's path, a directory's that cannot be read, or the name of the setting.
    name : str
        The environment's name.
    key : str
        The key, with dots into tables; empty when it is none in particular.
    reason : str
        What is wrong with it.
    """

    file: str
    name: str
    key: str
    reason: str

    def __str__(self) -> str:
        """Return one line for a log or a terminal."""
        place = f"environment {self.name!r}" if self.file == SETTING else self.file
        return f"{place}: {self.key}: {self.reason}" if self.key else f"{place}: {self.reason}"

    def to_json(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"file": self.file, "name": self.name, "key": self.key, "reason": self.reason}


@dataclass
class Catalogue:
    """What was found.

    Attributes
    ----------
    environments : dict of str to Environment
        The good ones.
    sources : dict of str to str
        Where each name was found first, the bad ones too: a file's path, the name of the
        setting, or ``built in``.
    problems : list of Problem
        What is wrong with the others.
    """

    environments: dict[str, Environment] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Sources:
    """Where environments are configured.

    Attributes
    ----------
    setting : mapping or None
        What the admin's configuration names; None when it names nothing.
    built_in : mapping
        What there is when the platform, by setting or files, names nothing.
    platform : sequence of Path
        The admin's directories of files; the first one wins.
    user : Path
        The user's own directory.
    """

    setting: Mapping[str, Any] | None
    built_in: Mapping[str, Any]
    platform: Sequence[Path]
    user: Path

    @property
    def directories(self) -> tuple[Path, ...]:
        """All directories."""
        return (*self.platform, self.user)

    def read(self) -> Catalogue:
        """Read everything anew. A name belongs to who uses it first, even wrongly.

        So nobody's environment takes the place of a platform's that has a slip in it.
        """
        found = Catalogue()
        for name, data in (self.setting or {}).items():
            _add(found, name, SETTING, data)
        for directory in self.platform:
            _add_directory(found, directory, "platform")
        if self.setting is None and not found.sources:
            for name, data in self.built_in.items():
                _add(found, name, BUILT_IN, data)
        _add_directory(found, self.user, "user")
        return found


def parse_environment(name: str, data: Any, kind: str) -> Environment:
    """Parse an environment of a file or a request, whose kind comes from its place.

    Raises
    ------
    InvalidEnvironment
        Also when its provider is not there, or does not know its options.
    """
    try:
        if isinstance(data, dict) and data.get("kind", kind) != kind:
            raise wrong("kind", f"is {kind!r} here; it comes from where the environment lies")
        environment = Environment.from_json(name, {**data, "kind": kind})
        check_provider(environment)
    except InvalidEnvironment as error:
        message = error.message.removeprefix(f"environment {name!r}: ")
        raise InvalidEnvironment(
            f"environment {name!r}: {message}", key=error.key, hint=error.hint
        ) from None
    return environment


def check_provider(environment: Environment) -> None:
    """Ask the provider about an environment's options.

    Raises
    ------
    InvalidEnvironment
        When there is no such provider, it cannot be loaded, or an option means nothing to it.
    """
    name = environment.provider
    try:
        schema = load_provider(name).options_schema
        if not schema:
            return
        # Only where there is a schema: it takes as long to import as the rest of this package.
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match

        found = best_match(Draft202012Validator(schema).iter_errors(dict(environment.options)))
    except RemoteKernelsError as error:
        raise wrong("provider", f"{error.message}. {error.hint}".rstrip()) from error
    except Exception as error:  # a provider's own mistake must not stop the server either
        raise wrong("provider", f"{name!r} cannot be loaded: {error!r}") from error
    if found is not None:
        raise wrong(".".join(["options", *map(str, found.absolute_path)]), found.message)


def find_launch_options(environment: Environment) -> dict[str, Any]:
    """Return the schemas of the provider's options that a launch may choose, by name.

    A default is what the environment has, and where neither it nor the provider has one, the
    launch cannot be asked.
    """
    try:
        properties = load_provider(environment.provider).options_schema.get("properties", {})
    except Exception:  # noqa: BLE001 - reading the environment has told already what is wrong
        return {}
    chosen = {}
    for name, schema in properties.items():
        default = environment.options.get(name, schema.get("default"))
        if schema.get("x-launch") is True and default is not None:
            plain = {key: value for key, value in schema.items() if key != "x-launch"}
            chosen[name] = {**plain, "default": default}
    return chosen


def _add(found: Catalogue, name: Any, source: str, data: Any) -> None:
    """Add an environment of the setting, which is offered even if its provider is missing.

    The admin may install it while the server runs; until then a launch says what is missing.
    """
    found.sources[name] = source
    try:
        if isinstance(data, dict) and data.get("kind", "platform") != "platform":
            raise wrong("kind", "environments of the configuration are 'platform' ones")
        environment = Environment.from_json(name, data)
        found.environments[name] = environment
        check_provider(environment)
    except InvalidEnvironment as error:
        found.problems.append(_problem(source, str(name), error))


def _add_directory(found: Catalogue, directory: Path, kind: str) -> None:
    try:
        files = environment_files.list_files(directory)
    except InvalidEnvironment as error:
        found.problems.append(_problem(str(directory), "", error))
        return
    for path in files:
        try:
            _add_file(found, path, kind)
        except InvalidEnvironment as error:
            found.problems.append(_problem(str(path), path.stem, error))
        except FileNotFoundError:
            del found.sources[path.stem]  # deleted since the directory was listed


def _add_file(found: Catalogue, path: Path, kind: str) -> None:
    name = path.stem
    check_name(name)
    if name in found.sources:
        raise wrong("name", f"{name!r} is taken already: {found.sources[name]}")
    found.sources[name] = str(path)
    data = environment_files.read_file(path)
    found.environments[name] = parse_environment(name, data, kind)


def _problem(file: str, name: str, error: InvalidEnvironment) -> Problem:
    reason = error.message.removeprefix(f"environment {name!r}: ")
    return Problem(file, name, error.key, reason.removeprefix(f"{error.key}: "))
