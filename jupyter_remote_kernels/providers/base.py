"""The provider interface: five verbs and four facts.

::

    start(spec)  ──checkpoint──▶ committed ──checkpoint──▶ committed … the last one is complete
    poll([checkpoint, …])        what the engine says, batched
    endpoint(checkpoint)         where the agent can be reached
    stop(checkpoint, grace_s)    idempotent, verified, loud when it cannot know
    recover(label, options)      checkpoints rebuilt from the engine's ground truth
"""

from __future__ import annotations

import abc
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from jupyter_remote_kernels.errors import ProviderError
from jupyter_remote_kernels.model.endpoints import Endpoint
from jupyter_remote_kernels.model.environments import Environment, Resources
from jupyter_remote_kernels.providers.mounts import VolumeMount

Checkpoint = Mapping[str, Any]

__all__ = [
    "Checkpoint",
    "Endpoint",
    "JobSpec",
    "JobState",
    "JobStatus",
    "Provider",
    "VolumeMount",
]


class JobState(str, Enum):
    """What an engine can say about a job."""

    QUEUED = "queued"  # accepted, not running yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"  # ended by itself with success
    FAILED = "failed"  # ended by itself with an error
    CANCELLED = "cancelled"  # somebody stopped it
    TIMEOUT = "timeout"  # the engine ended it because its time was over
    MISSING = "missing"  # the engine answers, and does not know the job
    UNKNOWN = "unknown"  # the engine could not be asked: this is not an end

    @property
    def is_over(self) -> bool:
        """Whether the job has surely ended."""
        return self in _OVER


_OVER = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.TIMEOUT,
        JobState.MISSING,
    }
)


@dataclass(frozen=True)
class JobStatus:
    """The engine's answer about one job.

    Attributes
    ----------
    state : JobState
        The answer in our vocabulary.
    message : str
        The engine's own words, for the user.
    exit_code : int or None
        Exit code of the job, where the engine tells.
    log_tail : str
        The last lines of the job's own output.
    ending : mapping or None
        What the agent wrote down about its end (``ended.json``), where the provider can read
        that and its caller cannot.
    """

    state: JobState
    message: str = ""
    exit_code: int | None = None
    log_tail: str = ""
    ending: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class JobSpec:
    """What a provider gets to start a job.

    Attributes
    ----------
    label : str
        Unique name; ``recover`` finds the job by it.
    runtime_id : str
        The runtime's id, for the engine's own listing.
    directory : str
        An owner-only directory of this runtime on this host; removed by the caller.
    agent_settings : mapping
        What the agent reads on its standard input (JSON). Holds the token: it must never be
        put on a command line, into a log or into a checkpoint.
    resources : Resources
        Limits of the job.
    options : mapping
        The environment's provider options.
    fork : bool
        Whether the provider may fork the agent and a Python kernel from a warm process.
    volumes : sequence of VolumeMount
        What the job is to see; only for providers with the capability ``volumes``.
    notes : str or None
        A directory for what a provider notes across jobs, shared by all processes of the user.
    """

    label: str
    runtime_id: str
    directory: str
    agent_settings: Mapping[str, Any] = field(repr=False)
    resources: Resources = field(default_factory=Resources)
    options: Mapping[str, Any] = field(default_factory=dict)
    fork: bool = True
    volumes: Sequence[VolumeMount] = ()
    notes: str | None = None


class Provider(abc.ABC):
    """Gets and stops jobs of one engine. One instance serves a whole process.

    All methods are called on the control plane's loop and must not block it. Facts are class
    attributes. A provider raises :class:`~jupyter_remote_kernels.errors.ProviderUnavailable`
    when the engine cannot be asked, and ``ProviderError`` when it refuses.
    """

    name: ClassVar[str]
    capabilities: ClassVar[frozenset[str]] = frozenset()
    poll_interval_s: ClassVar[float] = 10.0
    # The environment's ``options`` as a JSON Schema of an object, checked when an environment is
    # read. Empty says nothing, so anything is taken. A property with ``"x-launch": true`` is one
    # that a launch may choose; it is offered in the kernelspec's ``metadata.parameters``.
    options_schema: ClassVar[Mapping[str, Any]] = {}

    @abc.abstractmethod
    def start(self, spec: JobSpec) -> AsyncGenerator[Checkpoint, None]:
        """Start a job. Called once per launch, for a label that is not in use.

        Yields
        ------
        mapping
            JSON-able checkpoints, one *before* each side effect that has to be undone and one
            at the end. The caller commits each before it asks for the next; after a crash the
            last committed one is given to ``stop``. The last one is complete: it has
            ``"complete": True`` and is enough for ``poll``, ``stop`` and ``endpoint``.

        Raises
        ------
        ProviderError
            When the engine refuses; nothing may be left running that ``stop`` with the last
            checkpoint would not find.
        """

    async def check(self, resources: Resources, notes: str) -> None:
        """Refuse what cannot be had now; called before a launch is committed.

        By default nothing is refused: most engines queue what they cannot give yet.

        Parameters
        ----------
        resources : Resources
            What the job would ask for.
        notes : str
            As in :class:`JobSpec`.

        Raises
        ------
        LimitExceeded
            Names the limit, with the scope ``provider``.
        """
        del resources, notes

    @abc.abstractmethod
    async def poll(self, checkpoints: Sequence[Checkpoint]) -> list[JobStatus]:
        """Ask the engine about several jobs, in one go where it can.

        Returns
        -------
        list of JobStatus
            One per checkpoint, in the same order. A job that cannot be asked about is
            ``UNKNOWN``; this method does not raise for a single job.
        """

    @abc.abstractmethod
    async def stop(self, checkpoint: Checkpoint, grace_s: float) -> None:
        """Stop a job and everything it started, and verify that it is gone.

        Idempotent: a job that is gone already is a success. Also called with incomplete
        checkpoints, after a crash or a cancelled launch.

        Parameters
        ----------
        checkpoint : mapping
            The last committed checkpoint.
        grace_s : float
            How long the job may take to end by itself, in seconds; 0 kills at once.

        Raises
        ------
        StopFailed
            When the job is still there, or when it cannot be known.
        """

    @abc.abstractmethod
    async def endpoint(self, checkpoint: Checkpoint) -> Endpoint:
        """Tell where the agent of a running job can be reached.

        Raises
        ------
        ProviderError
            When the checkpoint is not complete or the job is over.
        """

    def read_left(self, checkpoint: Checkpoint, name: str) -> AsyncGenerator[bytes, None]:
        """Read a file from the directory of a job that has ended and was not stopped yet.

        Only for providers whose jobs do not have that directory on this machine.

        Parameters
        ----------
        checkpoint : mapping
            The job.
        name : str
            The file's name.

        Yields
        ------
        bytes
            Its content, in order; no faster than it is taken.

        Raises
        ------
        ProviderUnavailable
            When the engine or the host cannot be asked now.
        ProviderError
            When there is no such file.
        """
        del checkpoint
        raise ProviderError(f"the job has left no {name}", reason="nothing_left")

    @abc.abstractmethod
    async def recover(
        self, label: str, options: Mapping[str, Any] | None = None
    ) -> list[Checkpoint]:
        """Find jobs by label from the engine's own listing, not from memory.

        Parameters
        ----------
        label : str
            The job's label.
        options : mapping, optional
            The environment's provider options, where they say whom to ask.

        Returns
        -------
        list of mapping
            Checkpoints good for ``stop``; empty when the engine has no such job.

        Raises
        ------
        ProviderUnavailable
            When the engine cannot be asked.
        """

    async def prepare(self, environments: Sequence[Environment]) -> None:
        """Make ready for launches of these environments, and give up what was for others.

        Called by a server at its start, whenever its environments change, and with none at its
        end; programs that launch once do not call it. It only begins: nothing may wait for it,
        and what fails makes later launches slower, not impossible. Does nothing by default.

        Parameters
        ----------
        environments : sequence of Environment
            All environments of this provider that the server offers.
        """
        del environments

    async def close(self) -> None:  # noqa: B027 - most providers hold nothing
        """Let go of what this process holds, such as connections; the jobs go on.

        Called once, at the end of the control plane, on its loop. Does nothing by default.
        """
