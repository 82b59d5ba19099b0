"""What an agent is told at its start, as JSON on its standard input.

Standard input and not the command line or the environment, because it holds the token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

# In a runtime's directory: leads to the folder of its sockets, where the directory's own path
# is too long for them. Who removes the directory removes that folder too.
SOCKET_LINK = "sockets"
# In the same place: why the agent ended, written by itself.
ENDING_FILE = "ended.json"
# In the same place: the kernel's state, sealed, when its time was over with the server away.
BUNDLE_FILE = "state.bundle"
# Why an agent has ended that has left it there.
STATE_LEFT = "state_left"


@dataclass(frozen=True)
class KernelLimits:
    """Limits that the agent puts on the kernel process before it starts.

    Attributes
    ----------
    cgroup_procs : list of str
        ``cgroup.procs`` files that the kernel's process id is written to.
    address_space_bytes : int or None
        Limit of the address space, where no cgroup can be written.
    """

    cgroup_procs: list[str] = field(default_factory=list)
    address_space_bytes: int | None = None


@dataclass(frozen=True)
class AgentSettings:
    """Everything an agent needs to know.

    Attributes
    ----------
    version : str
        Version of the package that launches; the agent refuses another one.
    runtime_id : str
        The kernel id, for ever.
    token : str
        Secret that every request has to present.
    argv : list of str
        The kernel's command with ``{connection_file}``.
    env : mapping
        Variables added for the kernel.
    fixed_env : mapping
        Variables that the provider sets for the kernel; nothing else changes them.
    cwd : str or None
        The kernel's working directory; ignored when it does not exist here.
    directory : str
        Owner-only directory for logs, connection file and sockets.
    host : str
        Address to listen on when there is no ``listen_fd``.
    port : int
        Port to listen on; 0 picks a free one.
    listen_fd : int or None
        A listening socket inherited from the launcher.
    silence_s : float
        The agent ends when no link was there for so long, in seconds; 0 is for ever.
    vacant_s : float
        The agent ends when it had no kernel for so long, in seconds.
    lease_s : float or None
        The agent ends this long after its start, in seconds; None is for ever.
    warnings_s : list of float
        How long before that end to warn, in seconds.
    lease_policy : str
        ``terminate``, or ``pause``: the state is saved before the end.
    silence_policy : str
        The same for the end of the silence.
    warm : bool
        Whether it is started for nobody yet, and waits for one claim.
    limits : KernelLimits
        Limits of the kernel process.
    cgroup : mapping
        Where accounting can be read: ``version``, ``memory``, ``cpu``.
    memory_limit_bytes : int or None
        The kernel's memory limit, as the user knows it.
    """

    version: str
    runtime_id: str
    token: str = field(repr=False)
    argv: list[str]
    directory: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    fixed_env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    listen_fd: int | None = None
    silence_s: float = 600.0
    vacant_s: float = 120.0
    lease_s: float | None = None
    warnings_s: list[float] = field(default_factory=lambda: [300.0, 60.0])
    lease_policy: str = "terminate"
    silence_policy: str = "terminate"
    warm: bool = False
    limits: KernelLimits = field(default_factory=KernelLimits)
    cgroup: Mapping[str, Any] = field(default_factory=dict)
    memory_limit_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form. It holds the token."""
        data = dict(vars(self))
        data["limits"] = dict(vars(self.limits))
        data["env"] = dict(self.env)
        data["fixed_env"] = dict(self.fixed_env)
        data["cgroup"] = dict(self.cgroup)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AgentSettings:
        """Read the JSON form; unknown keys are ignored.

        Raises
        ------
        InvalidInput
            When something needed is missing.
        """
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        missing = {"version", "runtime_id", "token", "argv", "directory"} - set(known)
        if missing:
            raise InvalidInput(f"agent settings lack {sorted(missing)}", reason="bad_settings")
        limits = dict(known.get("limits") or {})
        known["limits"] = KernelLimits(
            cgroup_procs=list(limits.get("cgroup_procs") or []),
            address_space_bytes=limits.get("address_space_bytes"),
        )
        return cls(**known)
