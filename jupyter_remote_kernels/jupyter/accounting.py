"""The use cases behind usage, estimates and volumes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import Conflict, LimitExceeded
from jupyter_remote_kernels.jupyter.problems import describe_problem
from jupyter_remote_kernels.jupyter.views import format_time
from jupyter_remote_kernels.model.credits import charge, summarize_days, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_remote_kernels.control.plane import ControlPlane
    from jupyter_remote_kernels.control.volumes import Volume
    from jupyter_remote_kernels.model.credits import LedgerEntry
    from jupyter_remote_kernels.model.environments import Environment
    from jupyter_remote_kernels.model.records import RuntimeRecord

_DAY_S = 86_400


class Accounting:
    """What has been used, what a launch would cost, and the user's volumes.

    Parameters
    ----------
    plane : ControlPlane
        The process's control plane.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def describe_usage(self, days: int) -> dict[str, Any]:
        """Return the account: budget, and use per runtime and per day (UTC).

        Parameters
        ----------
        days : int
            How many days to go back, today among them.
        """
        accounts = self._plane.services.accounts
        balance = await self._plane.run(accounts.balance())
        today_s = time.time() // _DAY_S * _DAY_S
        entries = await self._plane.run(accounts.list_entries(today_s - (days - 1) * _DAY_S))
        started_s = balance.period_started_s
        return {
            "budget": balance.budget.credits,
            "period": balance.budget.period,
            "period_started_at": format_time(started_s) if started_s else None,
            "used": balance.used,
            "reserved": balance.reserved,
            "left": balance.left,
            "runtimes": _summarize_runtimes(entries),
            "days": summarize_days(entries),
        }

    async def estimate(self, environment: Environment, lease_s: float | None) -> dict[str, Any]:
        """Return what a launch would get and could cost.

        Parameters
        ----------
        environment : Environment
            What would be launched.
        lease_s : float or None
            The reservation that would be asked for, in seconds.
        """
        accounts = self._plane.services.accounts
        problem = None
        granted_s = lease_s if lease_s is not None else environment.lease_s
        try:
            granted_s = await self._plane.run(self._plane.check_launch(environment, None, lease_s))
        except LimitExceeded as error:
            problem = describe_problem(error)
        balance = await self._plane.run(accounts.balance())
        rate = environment.credits_per_hour
        # Without an end it costs nothing for certain only where the rate is nothing.
        credits = 0.0 if rate == 0 else None if granted_s is None else charge(rate, granted_s)
        return {
            "credits": credits,
            "credits_per_hour": rate,
            "left": balance.left,
            "lease_s": granted_s,
            "problem": problem,
        }

    async def describe_volumes(self) -> list[dict[str, Any]]:
        """Return all volumes with the runtimes that see them."""
        volumes = await asyncio.to_thread(self._plane.services.volumes.list)
        living = await self._living()
        return [_describe_volume(volume, living) for volume in volumes]

    async def create_volume(self, name: str) -> dict[str, Any]:
        """Make a volume.

        Raises
        ------
        Conflict
            When it is there already.
        """
        volume = await asyncio.to_thread(self._plane.services.volumes.create, name)
        return _describe_volume(volume, [])

    async def delete_volume(self, name: str) -> None:
        """Remove a volume with everything in it.

        Raises
        ------
        Conflict
            When a living runtime sees it.
        NotFound
            When there is none.
        """
        users = _users(name, await self._living())
        if users:
            raise Conflict(
                f"{len(users)} living runtimes see the volume {name!r}",
                reason="volume_in_use",
                hint="Terminate them first.",
            )
        await asyncio.to_thread(self._plane.services.volumes.delete, name)

    async def _living(self) -> Sequence[RuntimeRecord]:
        return await self._plane.run(self._plane.services.registry.list_living())


def _users(name: str, living: Sequence[RuntimeRecord]) -> list[str]:
    return [record.id for record in living if any(m.name == name for m in record.volumes)]


def _describe_volume(volume: Volume, living: Sequence[RuntimeRecord]) -> dict[str, Any]:
    return {
        "name": volume.name,
        "path": volume.path,
        "size_bytes": volume.size_bytes,
        "created_at": format_time(volume.created_s),
        "used_by": _users(volume.name, living),
    }


def _summarize_runtimes(entries: Sequence[LedgerEntry]) -> list[dict[str, Any]]:
    """Add the entries up by runtime, newest first."""
    groups: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.runtime_id, []).append(entry)
    return [_summarize_runtime(group) for group in groups.values()]


def _summarize_runtime(group: Sequence[LedgerEntry]) -> dict[str, Any]:
    is_living = any(entry.is_open for entry in group)
    return {
        "runtime_id": group[0].runtime_id,
        "name": group[0].name,
        "environment": group[0].environment,
        "started_at": format_time(min(entry.started_s for entry in group)),
        "ended_at": None if is_living else format_time(max(entry.ended_s for entry in group)),
        "seconds": _add_seconds(group, "running"),
        "paused_seconds": _add_seconds(group, "paused"),
        "credits": total(group),
        "living": is_living,
    }


def _add_seconds(group: Sequence[LedgerEntry], kind: str) -> float:
    return round(sum(entry.seconds for entry in group if entry.kind == kind), 3)
