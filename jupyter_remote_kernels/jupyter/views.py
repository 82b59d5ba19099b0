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
    since = driver.unreachable_since_s
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
        "reachability": {
            "state": "ok" if since is None else "unknown",
            "since": format_time(since),
        },
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
        "owner": {
            "this_process": True,
            "host": record.owner.host if record.owner else None,
            "pid": record.owner.pid if record.owner else None,
        },
        "created_by": None,
    }


def describe_operation(operation: Operation, step: str | None) -> dict[str, Any]:
    """Return one operation with what its runtime is doing now."""
    return {
        "id": operation.id,
        "kind": operation.kind,
        "runtime_id": operation.runtime_id,
        "state": operation.state,
        "step": step if operation.state == "running" else None,
        "created_at": format_time(operation.created_s),
        "finished_at": format_time(operation.finished_s),
        "error": describe_problem(operation.error) if operation.error else None,
    }


def _execution_state(driver: RuntimeDriver) -> str:
    if driver.unreachable_since_s is not None and driver.record.phase is Phase.RUNNING:
        return "unknown"
    if driver.record.phase in (Phase.SUBMITTED, Phase.STARTING):
        return "starting"
    if driver.record.phase is not Phase.RUNNING:
        return "dead" if driver.record.phase is Phase.FAILED else "unknown"
    return driver.bridge.activity.execution_state
