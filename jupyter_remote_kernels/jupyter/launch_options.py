"""What a launch asks for, read and checked before anything is done."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidEnvironment, InvalidInput
from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.model.environments import (
    LARGEST_LEASE_S,
    LEASE_POLICIES,
    Environment,
    Resources,
)
from jupyter_remote_kernels.model.limits import choose_resources
from jupyter_remote_kernels.model.volumes import plan_mounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.model.records import Mount

LAUNCH_KEYS = frozenset(
    {
        "environment",
        "name",
        "path",
        "tag",
        "client_token",
        "lease_s",
        "lease_policy",
        "persistent",
        "volumes",
        "resources",
        "env",
        "notebook",
        "snapshot",
    }
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_VALUE_LENGTH = 32 * 1024


@dataclass(frozen=True)
class LaunchOptions:
    """How one launch differs from its environment.

    Attributes
    ----------
    name, tag, client_token : str or None
        As the user gave them.
    lease_s : float or None
        The reservation that was asked for, in seconds.
    lease_policy : str or None
        What happens at its end; None is what the environment says.
    resources : Resources or None
        What it gets; None is what the environment gives.
    volumes : tuple of Mount
        Persistent storage that it sees.
    env : mapping of str to str
        Variables of the kernel. They may be secrets, and are left out of ``repr``.
    notebook : bool
        Whether the environment's example notebook is to be copied.
    snapshot_id : str or None
        The state that it begins with.
    """

    name: str | None = None
    tag: str | None = None
    client_token: str | None = None
    lease_s: float | None = None
    lease_policy: str | None = None
    resources: Resources | None = None
    volumes: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    notebook: bool = False
    snapshot_id: str | None = None

    @property
    def environ(self) -> dict[str, dict[str, str]]:
        """The whole environment as jupyter_client's argument; empty leaves it alone."""
        return {"env": {**os.environ, **self.env}} if self.env else {}


def read_launch_options(body: Mapping[str, Any], environment: Environment) -> LaunchOptions:
    """Read a launch request.

    Parameters
    ----------
    body : mapping
        The request.
    environment : Environment
        What is launched; it says what may be asked for.

    Raises
    ------
    InvalidInput
        When something cannot be understood or is not allowed.
    LimitExceeded
        When more is asked for than the environment allows.
    """
    return LaunchOptions(
        name=requests.read_text(body, "name"),
        tag=requests.read_text(body, "tag"),
        client_token=requests.read_client_token(body),
        lease_s=read_lease(body),
        lease_policy=read_lease_policy(body),
        resources=choose_resources(environment, _read_resources(body)),
        volumes=plan_mounts(
            environment, requests.read_flag(body, "persistent"), _read_volumes(body)
        ),
        env=_read_env(body, environment),
        notebook=bool(requests.read_flag(body, "notebook")),
        snapshot_id=requests.read_text(body, "snapshot"),
    )


def read_lease(body: Mapping[str, Any]) -> float | None:
    """Return the reservation in seconds, or None when there is none.

    Raises
    ------
    InvalidInput
        When it is no number, or out of range.
    """
    value = body.get("lease_s")
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 1 <= value <= LARGEST_LEASE_S:
        raise InvalidInput(f"lease_s: must be a number of seconds from 1 to {LARGEST_LEASE_S}")
    return float(value)


def read_lease_policy(body: Mapping[str, Any]) -> str | None:
    """Return what is to happen at the end of a reservation, or None when it is not said.

    Raises
    ------
    InvalidInput
        When it is nothing that can happen.
    """
    if body.get("lease_policy") is None:
        return None
    return requests.read_one_of(body, "lease_policy", LEASE_POLICIES)


def _read_resources(body: Mapping[str, Any]) -> Resources | None:
    value = body.get("resources")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidInput("resources: must be an object")
    try:
        return Resources.from_json(value)
    except InvalidEnvironment as error:
        # It is the request that is wrong here, not an environment.
        raise InvalidInput(error.message) from None


def _read_volumes(body: Mapping[str, Any]) -> list[str]:
    value = body.get("volumes")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInput("volumes: must be a list of names")
    return value


def _read_env(body: Mapping[str, Any], environment: Environment) -> dict[str, str]:
    value = body.get("env")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput("env: must be an object of names and values")
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name):
            raise InvalidInput(f"env: {name[:100]!r} is no name of a variable")
        if not isinstance(text, str) or len(text) > _VALUE_LENGTH or "\0" in text:
            raise InvalidInput(f"env: the value of {name} must be text of up to {_VALUE_LENGTH}")
        if not environment.allows_variable(name):
            allowed = ", ".join(environment.env_allowed) or "none"
            raise InvalidInput(
                f"env: the environment does not let a launch set {name}",
                reason="env_not_allowed",
                hint=f"Allowed: {allowed}.",
            )
    return dict(value)
