"""Environments: named recipes for a runtime, parsed and checked in one place."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any

from jupyter_remote_kernels.errors import InvalidEnvironment
from jupyter_remote_kernels.model.reading import (
    check_keys,
    parse_size_bytes,
    read_amount,
    read_choice,
    read_flag,
    read_list,
    read_options,
    read_positive,
    read_table,
    read_text,
    read_variables,
    read_whole,
    wrong,
)

__all__ = ["KERNEL_PREFIX", "Environment", "Resources", "VolumeDefaults", "parse_size_bytes"]

KERNEL_PREFIX = "remote-"
LARGEST_LEASE_S = 10 * 365 * 86_400
LARGEST_WARM = 16
LEASE_POLICIES = ("terminate", "pause")
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")
_DESCRIPTION_LENGTH = 10_000
_PATH_LENGTH = 4096


@dataclass(frozen=True)
class Resources:
    """What a runtime may use. ``None`` means no limit of ours.

    Attributes
    ----------
    cpu : float or None
        Cores.
    memory_bytes : int or None
        Memory of the kernel and its children, in bytes.
    gpu : int or None
        Devices.
    """

    cpu: float | None = None
    memory_bytes: int | None = None
    gpu: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], table: str = "resources") -> Resources:
        """Parse ``{cpu, memory | memory_bytes, gpu}``.

        Parameters
        ----------
        data : mapping
            The table.
        table : str, optional
            Its name, for the error.

        Raises
        ------
        InvalidEnvironment
            When a key is unknown or a value has no meaning.
        """
        check_keys(data, ("cpu", "memory", "memory_bytes", "gpu"), table)
        memory, size_bytes = data.get("memory"), data.get("memory_bytes")
        if "memory" in data and "memory_bytes" in data:
            raise wrong(f"{table}.memory", "there is memory_bytes already")
        if memory is not None:
            size_bytes = parse_size_bytes(memory, f"{table}.memory")
        return cls(
            cpu=read_positive(data, f"{table}.cpu"),
            memory_bytes=read_whole({"memory": size_bytes}, f"{table}.memory", 1),
            gpu=read_whole(data, f"{table}.gpu", 0),
        )


@dataclass(frozen=True)
class VolumeDefaults:
    """The volume that a launch gets when it asks for persistent storage and names none.

    Attributes
    ----------
    path : str
        Under which name it appears in the runtime.
    default : bool
        Whether launches get it unless they say otherwise.
    """

    path: str = "~/persistent"
    default: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VolumeDefaults:
        """Parse ``{path, default}``.

        Raises
        ------
        InvalidEnvironment
            When a key is unknown or a value has no meaning.
        """
        check_keys(data, ("path", "default"), "volume")
        path = read_text(data, "volume.path", cls.path, _PATH_LENGTH)
        parts = PurePosixPath(path).parts
        # A whole home or a whole machine is no volume.
        if path[0] not in "~/" or len(parts) < 2 or ".." in parts or parts[0] not in ("~", "/"):
            raise wrong("volume.path", "must be a path below '~/' or '/', without '..'")
        return cls(path, read_flag(data, "volume.default", cls.default))


@dataclass(frozen=True)
class Environment:
    """A named recipe for a runtime.

    Attributes
    ----------
    name : str
        Lower-case letters, digits, ``.``, ``_`` and ``-``; the kernelspec is ``remote-<name>``.
    display_name : str
        What the user sees.
    description : str
        Markdown or plain text, shown where somebody chooses an environment.
    provider : str
        The provider's entry point name.
    language : str
        The kernel's language.
    kind : str
        ``platform`` (the admin's) or ``user``; comes from where it is configured.
    argv : sequence of str
        The kernel's command with ``{connection_file}``; ipykernel's when it is empty.
    options : mapping
        The provider's own options.
    resources : Resources
        What a runtime gets unless it asks for something else.
    max_resources : Resources
        What a launch may ask for at most. For a key that is not there it is the value of
        ``resources``; where that has none either, there is no limit.
    env : mapping of str to str
        Environment variables of the kernel.
    env_allowed : sequence of str
        Names of environment variables that a launch may set, with ``*`` and ``?``. By default
        all (``["*"]``) for environments of kind ``user``, and none for platform ones.
    credits_per_hour : float
        What an hour of a runtime costs.
    paused_credits_per_hour : float
        What an hour costs while a runtime is paused: its storage only.
    default_lease_s : int or None
        Time reservation of a launch that names none, in seconds. Without it, and without
        ``max_lease_s``, a runtime has no end.
    max_lease_s : int or None
        The longest time reservation, in seconds. Each runtime then has one.
    lease_policy : str
        What happens at its end. ``terminate``: the runtime ends. ``pause``: its state is saved
        before, and it is paused.
    silence_policy : str
        What a runtime does that nobody has contacted for ``silence_timeout_s``. ``terminate``:
        it ends. ``wait``: it goes on until its time is over. ``pause``: its state is saved, and it
        is paused.
    idle_pause_s : int or None
        After how many seconds without anything to do a runtime is paused: its state is saved and
        its machine given back. Jupyter's culler then leaves it alone. Without it, never.
    example_notebook : str or None
        A notebook that a launch can open: a path below the server's root directory, or an
        absolute path.
    warm : int
        How many runtimes are kept ready, 0 to 16.
    fork : bool
        Whether Python kernels are forked from a parent that has imported everything already,
        where the platform allows it.
    volume : VolumeDefaults
        The volume of launches that ask for persistent storage and name none.
    """

    name: str
    display_name: str
    description: str = ""
    provider: str = "local"
    language: str = "python"
    kind: str = "platform"
    argv: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    max_resources: Resources = field(default_factory=Resources)
    env: Mapping[str, str] = field(default_factory=dict)
    env_allowed: Sequence[str] = ()
    credits_per_hour: float = 0.0
    paused_credits_per_hour: float = 0.0
    default_lease_s: int | None = None
    max_lease_s: int | None = None
    lease_policy: str = "terminate"
    silence_policy: str = "terminate"
    idle_pause_s: int | None = None
    example_notebook: str | None = None
    warm: int = 0
    fork: bool = True
    volume: VolumeDefaults = field(default_factory=VolumeDefaults)

    def __post_init__(self) -> None:
        # The registry restores what it has stored without checking it again: tables are tables.
        tables: Any = (("max_resources", Resources), ("volume", VolumeDefaults))
        for name, kind in tables:
            stored = getattr(self, name)
            if not isinstance(stored, kind):
                object.__setattr__(self, name, kind(**stored))
        object.__setattr__(self, "env_allowed", tuple(self.env_allowed))

    @property
    def kernel_name(self) -> str:
        """The name of the kernelspec."""
        return KERNEL_PREFIX + self.name

    @property
    def lease_s(self) -> int | None:
        """The time reservation of a launch that names none; None is no end."""
        return self.max_lease_s if self.default_lease_s is None else self.default_lease_s

    @property
    def largest_resources(self) -> Resources:
        """What a launch may ask for at most; None is no limit."""
        most, usual = self.max_resources, self.resources
        return Resources(
            cpu=usual.cpu if most.cpu is None else most.cpu,
            memory_bytes=usual.memory_bytes if most.memory_bytes is None else most.memory_bytes,
            gpu=usual.gpu if most.gpu is None else most.gpu,
        )

    def allows_variable(self, name: str) -> bool:
        """Tell whether a launch may set this environment variable."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.env_allowed)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, as REST serves it and kernelspecs carry it."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **plain,
            "kernel_name": self.kernel_name,
            "argv": list(self.argv),
            "options": dict(self.options),
            "resources": self.resources.to_json(),
            "max_resources": self.max_resources.to_json(),
            "env": dict(self.env),
            "env_allowed": list(self.env_allowed),
            "volume": self.volume.to_json(),
        }

    @classmethod
    def from_json(cls, name: str, data: Any) -> Environment:
        """Parse one environment.

        Parameters
        ----------
        name : str
            The environment's name.
        data : mapping
            Its table, as in a configuration file.

        Raises
        ------
        InvalidEnvironment
            The message names the environment, the key and the reason.
        """
        try:
            check_name(name)
            environment = _parse(name, data)
            _check_bounds(environment)
        except InvalidEnvironment as error:
            raise InvalidEnvironment(
                f"environment {name!r}: {error.message}",
                key=error.key,
                hint="Correct this key; the other environments are not affected.",
            ) from None
        return environment


ENVIRONMENT_KEYS = frozenset(item.name for item in fields(Environment)) - {"name"}


def check_name(name: object) -> None:
    """Refuse what cannot be the name of an environment.

    Raises
    ------
    InvalidEnvironment
        When it cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise wrong("name", "use 1 to 64 lower-case letters, digits, and '.', '_', '-' inside")


def _parse(name: str, data: Any) -> Environment:
    if not isinstance(data, Mapping):
        raise InvalidEnvironment("must be a table of keys")
    check_keys(data, ENVIRONMENT_KEYS)
    kind = read_choice(data, "kind", ("platform", "user"))
    return Environment(
        name=name,
        display_name=read_text(data, "display_name", f"{name} (remote)"),
        description=read_text(data, "description", "", _DESCRIPTION_LENGTH, lines=True),
        provider=read_text(data, "provider", "local"),
        language=read_text(data, "language", "python"),
        kind=kind,
        argv=_argv(data),
        options=read_options(data, "options"),
        resources=Resources.from_json(read_table(data, "resources")),
        max_resources=Resources.from_json(read_table(data, "max_resources"), "max_resources"),
        env=read_variables(data, "env"),
        env_allowed=_patterns(data, kind),
        credits_per_hour=read_amount(data, "credits_per_hour"),
        paused_credits_per_hour=read_amount(data, "paused_credits_per_hour"),
        default_lease_s=read_whole(data, "default_lease_s", 1, LARGEST_LEASE_S),
        max_lease_s=read_whole(data, "max_lease_s", 1, LARGEST_LEASE_S),
        lease_policy=read_choice(data, "lease_policy", LEASE_POLICIES),
        silence_policy=read_choice(data, "silence_policy", ("terminate", "wait", "pause")),
        idle_pause_s=read_whole(data, "idle_pause_s", 1, LARGEST_LEASE_S),
        example_notebook=_notebook(data),
        warm=read_whole(data, "warm", 0, LARGEST_WARM) or 0,
        fork=read_flag(data, "fork", True),
        volume=VolumeDefaults.from_json(read_table(data, "volume")),
    )


def _check_bounds(environment: Environment) -> None:
    """Refuse what is more than its own maximum: no launch could have it."""
    lease_s, most_s = environment.default_lease_s, environment.max_lease_s
    if lease_s is not None and most_s is not None and lease_s > most_s:
        raise wrong("default_lease_s", f"must not be above max_lease_s, which is {most_s}")
    for item in fields(Resources):
        usual = getattr(environment.resources, item.name)
        most = getattr(environment.max_resources, item.name)
        if usual is not None and most is not None and usual > most:
            key = item.name.partition("_")[0]
            raise wrong(f"max_resources.{key}", f"must not be below resources.{key}")


def _argv(data: Mapping[str, Any]) -> tuple[str, ...]:
    argv = read_list(data, "argv")
    if argv and not any("{connection_file}" in item for item in argv):
        raise wrong("argv", "must contain {connection_file}")
    return argv


def _patterns(data: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    patterns = read_list(data, "env_allowed", ("*",) if kind == "user" else ())
    for pattern in patterns:
        if not re.fullmatch(r"[^\s=]+", pattern):
            raise wrong("env_allowed", f"{pattern!r} is no name or pattern such as 'HF_*'")
    return patterns


def _notebook(data: Mapping[str, Any]) -> str | None:
    if data.get("example_notebook") is None:
        return None
    path = read_text(data, "example_notebook", "a notebook", _PATH_LENGTH)
    if not path.endswith(".ipynb") or ".." in PurePosixPath(path).parts:
        raise wrong("example_notebook", "must be the path of an .ipynb file, without '..'")
    return path
