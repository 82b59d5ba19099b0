"""A runtime's record as the JSON document that the registry keeps, and back."""

from __future__ import annotations

import json
from dataclasses import fields as dataclass_fields
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_remote_kernels.errors import RegistryError
from jupyter_remote_kernels.model.environments import Environment, Resources, VolumeDefaults
from jupyter_remote_kernels.model.phases import Phase, Target
from jupyter_remote_kernels.model.records import (
    ExitCause,
    KernelCommand,
    Mount,
    Owner,
    RuntimeRecord,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Known = TypeVar("Known")
_CODED = frozenset(
    {
        "environment",
        "command",
        "phase",
        "target",
        "owner",
        "checkpoint",
        "exit",
        "history",
        "volumes",
    }
)
_PLAIN = tuple(item.name for item in dataclass_fields(RuntimeRecord) if item.name not in _CODED)


def encode(record: RuntimeRecord) -> dict[str, Any]:
    """Return the document of a record."""
    document = {name: getattr(record, name) for name in _PLAIN}
    return {
        **document,
        "environment": {**record.environment.to_json(), "env": dict(record.environment.env)},
        "command": record.command.to_json(),
        "phase": record.phase.value,
        "target": record.target.value,
        "owner": record.owner.to_json() if record.owner else None,
        "checkpoint": None if record.checkpoint is None else dict(record.checkpoint),
        "exit": record.exit.to_json() if record.exit else None,
        "history": list(record.history),
        "volumes": [mount.to_json() for mount in record.volumes],
    }


def decode(runtime_id: str, document: str) -> RuntimeRecord:
    """Read a document; keys it does not know are left aside, missing ones get their defaults.

    Raises
    ------
    RegistryError
        When it cannot be read; the message names the runtime.
    """
    try:
        data = json.loads(document)
        plain = {name: data[name] for name in _PLAIN if name in data}
        return RuntimeRecord(
            **plain,
            environment=_environment(data["environment"]),
            command=KernelCommand.from_json(data["command"]),
            phase=Phase(data["phase"]),
            target=Target(data["target"]),
            owner=_optional(Owner.from_json, data.get("owner")),
            checkpoint=data.get("checkpoint"),
            exit=_optional(ExitCause.from_json, data.get("exit")),
            history=tuple(data.get("history") or ()),
            volumes=tuple(Mount.from_json(item) for item in data.get("volumes") or ()),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RegistryError(
            f"the record of the runtime {runtime_id!r} cannot be read",
            reason="record_unreadable",
            hint="It may come from a newer version of this package.",
            detail=repr(error),
        ) from error


def _optional(parse: Callable[[Mapping[str, Any]], Any], data: Mapping[str, Any] | None) -> Any:
    return None if data is None else parse(data)


def _environment(data: Mapping[str, Any]) -> Environment:
    """Read without checking again: what was good when it was stored still describes the job."""
    known = {item.name for item in dataclass_fields(Environment)}
    values = {key: value for key, value in dict(data).items() if key in known}
    values["argv"] = tuple(values.get("argv") or ())
    values["env_allowed"] = tuple(values.get("env_allowed") or ())
    values["resources"] = _known(Resources, data.get("resources"))
    values["max_resources"] = _known(Resources, data.get("max_resources"))
    values["volume"] = _known(VolumeDefaults, data.get("volume"))
    return Environment(**values)


def _known(kind: type[Known], data: Mapping[str, Any] | None) -> Known:
    """Make one from the keys that it has; a newer version may have stored more."""
    stored = dict(data or {})
    names = {item.name for item in dataclass_fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: stored[key] for key in names if key in stored})
