"""What is asked for at a launch, and what is told about runtimes while they live."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.link.journal import KEPT_BYTES
from jupyter_remote_kernels.model.credits import Budget
from jupyter_remote_kernels.model.limits import UserLimits
from jupyter_remote_kernels.model.records import RuntimeRecord
from jupyter_remote_kernels.snapshots.catalogue import Retention

if TYPE_CHECKING:
    from jupyter_remote_kernels.link.bridge import Address, Keys
    from jupyter_remote_kernels.model.environments import Environment
    from jupyter_remote_kernels.model.records import KernelCommand, Mount, Owner


# The one that a kernel began with and the one that it was paused into: the next needs a parent.
KEPT_SNAPSHOTS = Retention(2)


@dataclass(frozen=True)
class LaunchRequest:
    """One launch.

    Attributes
    ----------
    runtime_id : str
        The kernel id, for ever.
    name : str
        What the user calls it.
    environment : Environment
        The recipe, as it is now: a later change does not touch living runtimes.
    command : KernelCommand
        How the kernel is started over there.
    address : Address
        Where the local sockets are to be bound.
    keys : Keys
        Secrets of the local sockets.
    tag : str or None
        A word of the user's, to find runtimes by.
    client_token : str or None
        Makes the launch idempotent.
    lease_s : float or None
        How long it was asked to live, in seconds; None leaves it to the environment.
    volumes : tuple of Mount
        Persistent storage that it is to see.
    kernel_name : str or None
        The kernelspec that it is launched from.
    snapshot_id : str or None
        The state that it begins with.
    """

    runtime_id: str
    name: str
    environment: Environment
    command: KernelCommand
    address: Address
    keys: Keys = field(repr=False)
    tag: str | None = None
    client_token: str | None = None
    lease_s: float | None = None
    volumes: tuple[Mount, ...] = ()
    kernel_name: str | None = None
    snapshot_id: str | None = None


@dataclass(frozen=True)
class Change:
    """Something about a runtime is different now.

    Attributes
    ----------
    runtime_id : str
        Which.
    action : str
        ``phase``, ``reachability``, ``engine``, ``kernel``, ``usage``, ``renamed``, ``lease``.
    data : mapping
        What it is now, without secrets.
    """

    runtime_id: str
    action: str
    data: Mapping[str, Any]


Listener = Callable[[Change], None]


@dataclass(frozen=True)
class ControlSettings:
    """Settings of the control plane.

    Attributes
    ----------
    silence_s : float
        An agent that nobody has contacted for so long ends itself, in seconds.
    vacant_s : float
        An agent without a kernel ends itself after so long, in seconds.
    start_timeout_s : float
        How long a job may run without its kernel answering, in seconds.
    stop_grace_s : float
        How long a job may take to end by itself, in seconds.
    keep_records_s : float
        How long records of ended runtimes are kept, in seconds.
    user_limits : UserLimits
        What all living runtimes may have together.
    budget : Budget
        What they may cost.
    warnings_s : tuple of float
        How long before the end of a reservation to warn, in seconds.
    is_server : bool
        Whether a Jupyter server will take over what an earlier one has left.
    leaves_running : bool
        Whether runtimes go on when the process ends, for its successor.
    kept_outputs_bytes : int
        How much of a runtime's outputs is kept on this machine.
    retention : Retention
        Which snapshots are kept that were taken by a rule.
    auto_resume : bool
        Whether a cell that is run on a paused runtime resumes it.
    """

    silence_s: float = 600.0
    vacant_s: float = 120.0
    start_timeout_s: float = 120.0
    stop_grace_s: float = 3.0
    keep_records_s: float = 7 * 86_400.0
    user_limits: UserLimits = field(default_factory=UserLimits)
    budget: Budget = field(default_factory=Budget)
    warnings_s: tuple[float, ...] = (300.0, 60.0)
    is_server: bool = False
    leaves_running: bool = False
    kept_outputs_bytes: int = KEPT_BYTES
    retention: Retention = KEPT_SNAPSHOTS
    auto_resume: bool = True


def make_record(
    request: LaunchRequest, owner: Owner, server: str | None, lease_s: float | None
) -> RuntimeRecord:
    """Return the first record of a launch.

    Parameters
    ----------
    request : LaunchRequest
        What was asked for.
    owner : Owner
        The process that drives it.
    server : str or None
        The Jupyter server that it belongs to.
    lease_s : float or None
        The reservation that it was granted, in seconds.
    """
    return RuntimeRecord(
        id=request.runtime_id,
        name=request.name,
        environment=request.environment,
        command=request.command,
        token=secrets.token_urlsafe(32),
        owner=owner,
        tag=request.tag,
        client_token=request.client_token,
        created_s=time.time(),
        wanted_lease_s=request.lease_s,
        lease_s=lease_s,
        volumes=request.volumes,
        server=server,
        kernel_name=request.kernel_name,
        snapshot_id=request.snapshot_id,
    )
