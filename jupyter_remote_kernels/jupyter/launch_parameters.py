"""What a launch may choose, as kernelspecs tell it: ``metadata.parameters`` of JEP 87.

The proposal's form is a JSON Schema whose properties are the parameters. A form is made of it
without knowing us, so each has a title, bounds and a default; one that can take any text and has
no default would make the kernelspec insecure in the proposal's sense, and hide it. The names are
those of ``POST /api/remote-kernels/runtimes``, those of ``resources`` without the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.environment_catalogue import find_launch_options
from jupyter_remote_kernels.model.environments import LARGEST_LEASE_S

if TYPE_CHECKING:
    from jupyter_remote_kernels.model.environments import Environment


def describe_parameters(environment: Environment) -> dict[str, Any]:
    """Return the JSON Schema of an environment's launch parameters."""
    usual, most = environment.resources, environment.largest_resources
    # A launch that names no number of devices gets none, however many it may have.
    gpu = 0 if usual.gpu is None and most.gpu is not None else usual.gpu
    properties: dict[str, Any] = {
        "lease_s": {
            "title": "Time reservation",
            "description": "Seconds after which the runtime ends.",
            **_bounded("integer", 1, environment.max_lease_s, environment.lease_s),
        },
        "persistent": {
            "title": "Persistent storage",
            "description": f"Storage that stays, at {environment.volume.path}.",
            "type": "boolean",
            "default": environment.volume.default,
        },
        "cpu": {"title": "Cores", **_bounded("number", 0, most.cpu, usual.cpu)},
        "memory_bytes": {
            "title": "Memory in bytes",
            **_bounded("integer", 1, most.memory_bytes, usual.memory_bytes),
        },
        "gpu": {"title": "GPUs", **_bounded("integer", 0, most.gpu, gpu)},
    }
    if environment.max_lease_s is None:
        properties["lease_s"]["maximum"] = LARGEST_LEASE_S
    for name, option in find_launch_options(environment).items():
        properties.setdefault(name, option)
    return {"type": "object", "properties": properties}


def _bounded(kind: str, least: int, most: float | None, default: float | None) -> dict[str, Any]:
    """Return the schema of a number; without a default it is null, which is no limit of ours."""
    schema: dict[str, Any] = {"type": kind if most is not None else [kind, "null"]}
    schema["minimum" if kind == "integer" else "exclusiveMinimum"] = least
    if most is not None:
        schema["maximum"] = most
    schema["default"] = most if default is None else default
    return schema
