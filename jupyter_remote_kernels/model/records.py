"""What is kept about a runtime, and what is said about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.model.phases import Phase, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.model.environments import Environment


@dataclass(frozen=True)
class Owner:
    """The process that drives a runtime. A dead owner's runtimes may be taken over.

    Attributes
    ----------
    id : str
        Random, one per process; names the owner's lock file.
    host : str
        Host name; a lock says nothing about another host.
    pid : int
        Process id.
    started_s : float
        The process's start time, seconds since the epoch: process ids are used again.
    """

    id: str
    host: str
    pid: int
    started_s: float

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"id": self.id, "host": self.host, "pid": self.pid, "started_s": self.started_s}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Owner:
        """Read the JSON form."""
        return cls(data["id"], data["host"], int(data["pid"]), float(data["started_s"]))


@dataclass(frozen=True)
class ExitCause:
    """Why a kernel or a job ended, in words a user can act on.

    Attributes
    ----------
    reason : str
        Code: ``exited``, ``signal``, ``out_of_memory``, ``start_failed``, ``job_ended``, …
    message : str
        One sentence.
    hint : str
        What to do next.
    code, signal : int or None
        Exit code or signal number of the kernel process.
    """

    reason: str
    message: str
    hint: str = ""
    code: int | None = None
    signal: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "reason": self.reason,
            "message": self.message,
            "hint": self.hint,
            "code": self.code,
            "signal": self.signal,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExitCause:
        """Read the JSON form; keys that are missing get their defaults."""
        return cls(
            reason=str(data.get("reason", "unknown")),
            message=str(data.get("message", "")),
            hint=str(data.get("hint", "")),
            code=data.get("code"),
            signal=data.get("signal"),
        )


@dataclass(frozen=True)
class KernelCommand:
    """How the kernel is started on the remote side.

    Attributes
    ----------
    argv : tuple of str
        The command; ``{connection_file}`` stands for the file that the agent writes.
    env : mapping of str to str
        Variables added to what the job has by itself.
    cwd : str or None
        Working directory, when it exists over there.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"argv": list(self.argv), "env": dict(self.env), "cwd": self.cwd}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KernelCommand:
        """Read the JSON form."""
        return cls(tuple(data["argv"]), dict(data.get("env") or {}), data.get("cwd"))


@dataclass(frozen=True)
class Mount:
    """A volume as a runtime sees it.

    Attributes
    ----------
    name : str
        The volume.
    path : str
        Where it appears in the runtime, such as ``~/persistent``.
    """

    name: str
    path: str

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "path": self.path}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Mount:
        """Read the JSON form."""
        return cls(str(data["name"]), str(data["path"]))


@dataclass(frozen=True)
class RuntimeRecord:
    """One row of the registry: everything needed to find, drive and describe a runtime.

    Times are seconds since the epoch, UTC. ``token`` is the secret the agent asks for; it is
    left out of ``repr`` so that it cannot reach a log by accident. ``wanted_lease_s`` is what the
    launch asked for, ``lease_s`` the whole reservation from the start of the job, ``expires_s``
    when it is over by the agent's own count, and ``usage`` what had been used when the runtime
    ended, or when its server let it go. ``job_id`` names its job where that was started before
    anybody asked for the runtime. ``server`` identifies the Jupyter server that launched it, over
    that server's restarts; ``kernel_name`` is the kernelspec that it was launched from.
    ``snapshot_id`` is the snapshot that its next kernel begins with, as long as it has not begun
    with it; ``snapshot_bytes`` is how large that is, and ``parent_snapshot_id`` the one before.
    """

    id: str
    name: str
    environment: Environment
    command: KernelCommand
    token: str = field(repr=False)
    phase: Phase = Phase.SUBMITTED
    target: Target = Target.RUNNING
    owner: Owner | None = None
    checkpoint: Mapping[str, Any] | None = None
    tag: str | None = None
    client_token: str | None = None
    created_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    exit: ExitCause | None = None
    history: tuple[str, ...] = ()
    wanted_lease_s: float | None = None
    lease_s: float | None = None
    expires_s: float | None = None
    volumes: tuple[Mount, ...] = ()
    job_id: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    server: str | None = None
    kernel_name: str | None = None
    snapshot_id: str | None = None
    snapshot_bytes: int | None = None
    parent_snapshot_id: str | None = None

    def changed(self, **fields: Any) -> RuntimeRecord:
        """Return a copy with other values in some fields."""
        return replace(self, **fields)

    @property
    def job_name(self) -> str:
        """The name of the job's directory: a job that was warm had none of a runtime."""
        return self.job_id or self.id

    @property
    def label(self) -> str:
        """The name under which the engine's own listing shows our job."""
        return f"jrk-{self.job_name}"
