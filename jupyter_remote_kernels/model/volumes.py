"""Volumes: storage that stays, by name, and where a runtime sees it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import Conflict, InvalidInput
from jupyter_remote_kernels.model.records import Mount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_remote_kernels.model.environments import Environment

# The volume of a launch that asks for storage and names none.
DEFAULT_VOLUME = "persistent"
# Named volumes appear below this one, so that a name never hides anything else in a home.
NAMED_FOLDER = "~/volumes"
LARGEST_COUNT = 16
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


def is_volume_name(name: object) -> bool:
    """Tell whether a volume can have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_volume_name(name: object) -> str:
    """Return a volume's name.

    Raises
    ------
    InvalidInput
        When it is none.
    """
    if not is_volume_name(name):
        raise InvalidInput(
            "volume: use 1 to 64 lower-case letters, digits, '.', '_' and inner '-'",
            reason="bad_volume_name",
        )
    return str(name)


def plan_mounts(
    environment: Environment, persistent: bool | None, named: Sequence[str]
) -> tuple[Mount, ...]:
    """Decide what a launch sees.

    Parameters
    ----------
    environment : Environment
        Says where the default volume appears, and whether a launch gets it by itself.
    persistent : bool or None
        Whether the default volume was asked for; None leaves it to the environment.
    named : sequence of str
        Further volumes: ``name``, or ``name:alias`` to see it under another name.

    Raises
    ------
    InvalidInput
        When a name is none.
    Conflict
        When two would appear in one place.
    """
    if len(named) > LARGEST_COUNT:
        raise InvalidInput(f"volumes: at most {LARGEST_COUNT} can be seen at once")
    mounts = []
    if environment.volume.default if persistent is None else persistent:
        mounts.append(Mount(DEFAULT_VOLUME, environment.volume.path))
    for item in named:
        name, _, alias = item.partition(":")
        place = check_volume_name(alias or name)
        mounts.append(Mount(check_volume_name(name), f"{NAMED_FOLDER}/{place}"))
    paths = [mount.path for mount in mounts]
    if len(set(paths)) < len(paths):
        raise Conflict(
            "volumes: two of them would appear in the same place",
            reason="volume_clash",
            hint="Give one of them another name: volume:name.",
        )
    return tuple(mounts)
