"""What a provider is told about a job, and its agent with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.control.job_files import (
    POSITION_FILE,
    make_private_directory,
    remove_sockets,
)
from jupyter_remote_kernels.protocol.settings import BUNDLE_FILE, ENDING_FILE, AgentSettings
from jupyter_remote_kernels.providers.base import JobSpec, VolumeMount

if TYPE_CHECKING:
    from jupyter_remote_kernels.control.launch import ControlSettings
    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.control.volumes import VolumeStore
    from jupyter_remote_kernels.model.records import RuntimeRecord

# Nobody comes back for what no runtime has been asked for.
_WARM_SILENCE_S = 600.0
_END = "terminate"


def make_spec(record: RuntimeRecord, services: Services, *, is_warm: bool = False) -> JobSpec:
    """Make a job's directory and return what its provider is told.

    Parameters
    ----------
    record : RuntimeRecord
        The job's runtime.
    services : Services
        What all drivers share.
    is_warm : bool
        Whether it is started for nobody yet.
    """
    settings = services.settings
    directory = services.job_directory(record.job_name)
    make_private_directory(directory)
    remove_sockets(directory)
    for name in (ENDING_FILE, POSITION_FILE, BUNDLE_FILE):
        (directory / name).unlink(missing_ok=True)  # an earlier job's
    silence_s = find_silence(record, settings)
    if is_warm:
        # Only a runtime can be wanted without anybody asking after it.
        silence_s = min(settings.silence_s or _WARM_SILENCE_S, _WARM_SILENCE_S)
    agent = AgentSettings(
        version=__version__,
        runtime_id=record.id,
        token=record.token,
        argv=list(record.command.argv),
        directory=str(directory),
        env={**record.environment.env, **record.command.env},
        cwd=record.command.cwd,
        silence_s=silence_s,
        vacant_s=settings.vacant_s,
        memory_limit_bytes=record.environment.resources.memory_bytes,
        lease_s=record.lease_s,
        warnings_s=list(settings.warnings_s),
        **find_policies(record),
        warm=is_warm,
    )
    return JobSpec(
        label=record.label,
        runtime_id=record.id,
        directory=str(directory),
        agent_settings=agent.to_json(),
        resources=record.environment.resources,
        options=record.environment.options,
        volumes=_find_volumes(record, services.volumes),
        notes=str(services.notes_directory(record.environment.provider)),
        fork=record.environment.fork,
    )


def find_silence(record: RuntimeRecord, settings: ControlSettings) -> float:
    """Return after how many seconds without contact a runtime's agent ends; 0 is never."""
    return 0.0 if record.environment.silence_policy == "wait" else settings.silence_s


def find_policies(record: RuntimeRecord) -> dict[str, Any]:
    """Return what a runtime's agent does when its time is over, or nobody asks after it.

    State is saved for a server that comes back; other programs leave nobody who would.
    """
    environment, may_pause = record.environment, record.server is not None
    return {
        "lease_policy": "pause" if may_pause and environment.lease_policy == "pause" else _END,
        "silence_policy": "pause" if may_pause and environment.silence_policy == "pause" else _END,
    }


def _find_volumes(record: RuntimeRecord, store: VolumeStore) -> tuple[VolumeMount, ...]:
    notes = str(store.mounts_directory)
    return tuple(
        VolumeMount(str(store.find(mount.name)), mount.path, notes) for mount in record.volumes
    )
