"""Environments: named recipes for a runtime, parsed and checked in one place."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyter_remote_kernels.errors import InvalidEnvironment

KERNEL_PREFIX = "remote-"
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")
_SIZE = re.compile(r"\s*(\d{1,15}(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_KEYS = frozenset(
    {"display_name", "language", "provider", "argv", "options", "resources", "kind", "env"}
)


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
        return {"cpu": self.cpu, "memory_bytes": self.memory_bytes, "gpu": self.gpu}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Resources:
        """Parse ``{cpu, memory | memory_bytes, gpu}``.

        Raises
        ------
        InvalidEnvironment
            When a key is unknown or a value has no meaning.
        """
        unknown = set(data) - {"cpu", "memory", "memory_bytes", "gpu"}
        if unknown:
            raise InvalidEnvironment(f"resources: unknown key {sorted(unknown)[0]!r}")
        memory = data.get("memory_bytes")
        if memory is None and data.get("memory") is not None:
            memory = parse_size_bytes(data["memory"])
        return cls(
            cpu=_positive(data.get("cpu"), "resources.cpu"),
            memory_bytes=_positive_int(memory, "resources.memory"),
            gpu=_positive_int(data.get("gpu"), "resources.gpu", zero=True),
        )


@dataclass(frozen=True)
class Environment:
    """A named recipe for a runtime.

    Attributes
    ----------
    name : str
        Lower-case letters, digits, ``.``, ``_`` and ``-``; the kernelspec is ``remote-<name>``.
    display_name : str
        What the user sees.
    provider : str
        The provider's entry point name.
    language : str
        The kernel's language.
    kind : str
        ``platform`` (the admin's) or ``user``.
    argv : sequence of str
        The kernel's command with ``{connection_file}``; ipykernel's when it is empty.
    options : mapping
        The provider's own options.
    resources : Resources
        Limits of a runtime.
    env : mapping of str to str
        Environment variables of the kernel.
    """

    name: str
    display_name: str
    provider: str = "local"
    language: str = "python"
    kind: str = "platform"
    argv: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def kernel_name(self) -> str:
        """The name of the kernelspec."""
        return KERNEL_PREFIX + self.name

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, as REST serves it and kernelspecs carry it."""
        return {
            "name": self.name,
            "display_name": self.display_name,
            "language": self.language,
            "provider": self.provider,
            "argv": list(self.argv),
            "kernel_name": self.kernel_name,
            "kind": self.kind,
            "resources": self.resources.to_json(),
            "options": dict(self.options),
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
            return cls._parse(name, data)
        except InvalidEnvironment as error:
            raise InvalidEnvironment(
                f"environment {name!r}: {error.message}",
                hint="Correct this key; the other environments are not affected.",
            ) from None

    @classmethod
    def _parse(cls, name: str, data: Any) -> Environment:
        if not _NAME.fullmatch(str(name)):
            raise InvalidEnvironment(
                "name: use 1 to 64 lower-case letters, digits, '.', '_' and inner '-'"
            )
        if not isinstance(data, Mapping):
            raise InvalidEnvironment("must be a table of keys")
        unknown = set(data) - _KEYS
        if unknown:
            raise InvalidEnvironment(f"unknown key {sorted(map(str, unknown))[0]!r}")
        env = _mapping(data, "env")
        for key, value in env.items():
            if not all(isinstance(item, str) for item in (key, value)):
                raise InvalidEnvironment("env: names and values must be text")
        return cls(
            name=name,
            display_name=_text(data, "display_name", f"{name} (remote)"),
            provider=_text(data, "provider", "local"),
            language=_text(data, "language", "python"),
            kind=_text(data, "kind", "platform"),
            argv=_argv(data),
            options=_mapping(data, "options"),
            resources=Resources.from_json(_mapping(data, "resources")),
            env=env,
        )


def parse_size_bytes(value: Any) -> int:
    """Parse a size such as ``"16GiB"``, ``"512 MB"`` or a number of bytes.

    Parameters
    ----------
    value : str or int
        The size. ``k``, ``M``, ``G`` and ``T`` are powers of 1000, with ``i`` of 1024.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    InvalidEnvironment
        When it is no size.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise InvalidEnvironment(f"size: {value!r} is no size such as '16GiB'")
    if isinstance(value, int):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise InvalidEnvironment(f"size: {value!r} is no size such as '16GiB'")
    number, prefix, binary = match.groups()
    exponent = " kmgt".index(prefix.lower() or " ")
    return int(float(number) * (1024 if binary else 1000) ** exponent)


def _text(data: Mapping[str, Any], key: str, default: str) -> str:
    value = data.get(key, default)
    if not isinstance(value, str) or not value.strip():
        raise InvalidEnvironment(f"{key}: must be text that is not empty")
    return value


def _argv(data: Mapping[str, Any]) -> tuple[str, ...]:
    value = data.get("argv", [])
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise InvalidEnvironment("argv: must be a list of text")
    if value and not any("{connection_file}" in item for item in value):
        raise InvalidEnvironment("argv: must contain {connection_file}")
    return tuple(value)


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise InvalidEnvironment(f"{key}: must be a table of keys")
    return value


def _positive(value: Any, key: str) -> float | None:
    if value is None:
        return None
    # bool is an int in Python, and "cpu = true" is a slip, not one core.
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise InvalidEnvironment(f"{key}: must be a number above 0")
    return float(value)


def _positive_int(value: Any, key: str, *, zero: bool = False) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < (0 if zero else 1):
        raise InvalidEnvironment(f"{key}: must be a whole number above {'-1' if zero else '0'}")
    return value
