"""What REST says about environments, runtimes and operations: the JSON forms, in one place."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.jupyter.problems import describe_problem
from jupyter_remote_kernels.model.phases import Phase
from jupyter_remote_kernels.model.volumes import DEFAULT_VOLUME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.operations import Operation
    from jupyter_remote_kernels.snapshots.manifest import SnapshotSummary

_VARIABLE = ("name", "type", "size_bytes", "status", "reason", "path", "cell")
_USAGE = ("cpu_percent", "memory_bytes", "memory_limit_bytes", "cpu_time_s")


def format_time(seconds: float | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def describe_runtime(
    driver: RuntimeDriver, notebooks: Sequence[Mapping[str, Any]], connections: int
) -> dict[str, Any]:
    """Return one runtime.

    Parameters
    ----------
    driver : RuntimeDriver
        The runtime.
    notebooks : sequence of mapping
        The sessions that use it.
    connections : int
        How many websockets are open.
    """
    record, engine, activity = driver.record, driver.engine, driver.bridge.activity
    usage = {key: driver.metrics.get(key) for key in _USAGE}
    if usage["memory_limit_bytes"] is None:
        usage["memory_limit_bytes"] = record.environment.resources.memory_bytes
    return {
        "id": record.id,
        "name": record.name,
        "tag": record.tag,
        "environment": record.environment.name,
        "environment_display_name": record.environment.display_name,
        "kernel_name": record.environment.kernel_name,
        "provider": record.environment.provider,
        "phase": record.phase.value,
        "target": record.target.value,
        "reachability": describe_reachability(driver),
        "replaying": describe_replay(driver),
        "output_held": driver.output_held,
        "execution_state": _execution_state(driver),
        "step": driver.step,
        "engine": {
            "state": engine.state.value if engine else None,
            "message": engine.message or None if engine else None,
        },
        "created_at": format_time(record.created_s),
        "started_at": format_time(record.started_s),
        "last_activity": format_time(activity.last_s),
        "lease_s": record.lease_s,
        "lease_policy": record.environment.lease_policy,
        "expires_at": format_time(record.expires_s),
        "credits_per_hour": record.environment.credits_per_hour,
        "persistent": any(mount.name == DEFAULT_VOLUME for mount in record.volumes),
        "volumes": [mount.to_json() for mount in record.volumes],
        "resources": record.environment.resources.to_json(),
        "usage": usage,
        "executions": activity.executions,
        "connections": connections,
        "notebooks": [dict(notebook) for notebook in notebooks],
        "exit": record.exit.to_json() if record.exit else None,
        "snapshot_id": record.snapshot_id,
        "snapshot_bytes": None if record.snapshot_id is None else record.snapshot_bytes,
        "owner": {
            "this_process": True,
            "host": record.owner.host if record.owner else None,
            "pid": record.owner.pid if record.owner else None,
        },
        "created_by": None,
    }


def describe_reachability(driver: RuntimeDriver) -> dict[str, Any]:
    """Return whether the agent can be reached, and how the link goes about it."""
    since, connection = driver.unreachable_since_s, driver.connection
    tries = connection if since is not None else None
    return {
        "state": "ok" if since is None else "unknown",
        "since": format_time(since),
        "attempt": tries.attempt if tries else None,
        "next_try_at": format_time(tries.next_try_s) if tries else None,
        "message": (tries.message or None) if tries else None,
    }


def describe_replay(driver: RuntimeDriver) -> dict[str, Any] | None:
    """Return how much has come of what was missed; None when nothing is on its way."""
    connection = driver.connection
    if connection is None or connection.replay_done >= connection.replay_total:
        return None
    return {"done": connection.replay_done, "total": connection.replay_total}


def describe_snapshot(summary: SnapshotSummary) -> dict[str, Any]:
    """Return one snapshot, as a list shows it."""
    facts, kernel = summary.facts, summary.kernel or {}
    refused = [item for item in summary.variables if item.get("status") == "refused"]
    return {
        "id": summary.id,
        "name": summary.name or None,
        "description": summary.description or None,
        "created_at": format_time(_read_time(summary.created_at)),
        "runtime_id": facts.runtime_id or None,
        "environment": facts.environment or None,
        "automatic": facts.automatic,
        "python": kernel.get("python"),
        "total_bytes": summary.total_bytes,
        "new_bytes": summary.new_bytes,
        "carried": len(summary.variables) - len(refused),
        "not_carried": [_describe_variable(item) for item in refused],
        "problem": summary.problem or None,
    }


def describe_variables(summary: SnapshotSummary) -> list[dict[str, Any]]:
    """Return what became of each variable in a snapshot."""
    return [_describe_variable(item) for item in summary.variables]


def _read_time(text: str) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def _describe_variable(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item.get(key) for key in _VARIABLE}


def describe_operation(
    operation: Operation, step: str | None, progress: tuple[int, int] | None
) -> dict[str, Any]:
    """Return one operation.

    Parameters
    ----------
    operation : Operation
        The operation.
    step : str or None
        What its runtime is doing now.
    progress : tuple of int or None
        How many bytes of how many it has moved; None where it moves none.
    """
    done, total = progress or (None, None)
    return {
        "id": operation.id,
        "kind": operation.kind,
        "runtime_id": operation.runtime_id,
        "source_id": operation.source_id,
        "state": operation.state,
        "step": step if operation.state == "running" else None,
        "done_bytes": done if operation.state == "running" else None,
        "total_bytes": total if operation.state == "running" else None,
        "created_at": format_time(operation.created_s),
        "finished_at": format_time(operation.finished_s),
        "error": describe_problem(operation.error) if operation.error else None,
        "result": None if operation.result is None else dict(operation.result),
    }


def _execution_state(driver: RuntimeDriver) -> str:
    if driver.unreachable_since_s is not None and driver.record.phase is Phase.RUNNING:
        return "unknown"
    if driver.record.phase in (Phase.SUBMITTED, Phase.STARTING):
        return "starting"
    if driver.record.phase is not Phase.RUNNING:
        return "dead" if driver.record.phase is Phase.FAILED else "unknown"
    return driver.bridge.activity.execution_state
