"""Limits: what a launch asks for against what its environment and its user may have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput, LimitExceeded
from jupyter_remote_kernels.model.environments import Environment, Resources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KINDS = ("cpu", "memory_bytes", "gpu")
_WORDS = {"cpu": "cores", "memory_bytes": "of memory", "gpu": "GPUs", "runtimes": "runtimes"}


@dataclass(frozen=True)
class UserLimits:
    """What all living runtimes of a user may have together; None is no limit.

    Attributes
    ----------
    runtimes : int or None
        How many.
    resources : Resources
        How much of each. Where one is limited, a runtime that names no amount of it counts as
        the whole of what is allowed, because it may use that much.
    """

    runtimes: int | None = None
    resources: Resources = field(default_factory=Resources)


def read_user_limits(data: Mapping[str, Any]) -> UserLimits:
    """Read ``{runtimes, cpu, memory | memory_bytes, gpu}``.

    Raises
    ------
    InvalidInput
        When a key is unknown or a value has no meaning.
    """
    runtimes = data.get("runtimes")
    if runtimes is not None and (
        not isinstance(runtimes, int) or isinstance(runtimes, bool) or runtimes < 0
    ):
        raise InvalidInput("runtimes: must be a whole number from 0")
    others = {key: value for key, value in data.items() if key != "runtimes"}
    return UserLimits(runtimes, Resources.from_json(others, "user_limits"))


def choose_resources(environment: Environment, asked: Resources | None) -> Resources:
    """Return what a launch gets.

    Parameters
    ----------
    environment : Environment
        Says what a launch gets by itself, and what it may ask for.
    asked : Resources or None
        What was asked for; a None in it leaves that one to the environment.

    Raises
    ------
    LimitExceeded
        When it is more than the environment allows; names the limit.
    """
    if asked is None:
        return environment.resources
    most = environment.largest_resources
    chosen = {}
    for kind in _KINDS:
        own, allowed = getattr(environment.resources, kind), getattr(most, kind)
        wanted = getattr(asked, kind)
        if wanted is not None and allowed is not None and wanted > allowed:
            raise _exceeded(kind, "environment", wanted, allowed, 0)
        chosen[kind] = own if wanted is None else wanted
    return Resources(**chosen)


def check_user(limits: UserLimits, living: Sequence[Resources], asked: Resources) -> None:
    """Refuse a launch that would take its user over a limit.

    Parameters
    ----------
    limits : UserLimits
        The limits.
    living : sequence of Resources
        What the user's living runtimes have.
    asked : Resources
        What the launch would add.

    Raises
    ------
    LimitExceeded
        Names the limit, what was asked for, what is allowed, and what is used already.
    """
    if limits.runtimes is not None and len(living) >= limits.runtimes:
        raise _exceeded("runtimes", "user", 1, limits.runtimes, len(living))
    for kind in _KINDS:
        allowed = getattr(limits.resources, kind)
        if allowed is None:
            continue
        used = sum(_counted(item, kind, allowed) for item in living)
        wanted = _counted(asked, kind, allowed)
        if used + wanted > allowed:
            raise _exceeded(kind, "user", wanted, allowed, used)


def _counted(resources: Resources, kind: str, allowed: float) -> float:
    amount: float | None = getattr(resources, kind)
    if amount is None:
        # No GPU is given to who does not ask for one; of the others everybody uses some.
        return 0 if kind == "gpu" else allowed
    return amount


def _exceeded(kind: str, scope: str, asked: float, allowed: float, used: float) -> LimitExceeded:
    name = "memory" if kind == "memory_bytes" else kind
    whose = "the environment allows" if scope == "environment" else "you may have"
    used_words = f", and {_amount(kind, used)} are in use" if scope == "user" else ""
    limit: dict[str, Any] = {
        "name": name,
        "scope": scope,
        "asked": asked,
        "allowed": allowed,
        "used": used,
    }
    return LimitExceeded(
        f"{_amount(kind, asked)} {_WORDS[kind]} asked for,"
        f" {whose} {_amount(kind, allowed)}{used_words}",
        hint="Ask for less, or terminate a runtime." if scope == "user" else "Ask for less.",
        limit=limit,
    )


def _amount(kind: str, value: float) -> str:
    return f"{value / 2**30:.4g} GiB" if kind == "memory_bytes" else f"{value:g}"
