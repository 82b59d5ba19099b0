"""The whole exception tree. The domain knows no HTTP; one table in ``jupyter`` maps it.

::

    RemoteKernelsError
    ├── InvalidInput            a request or configuration that cannot be understood
    │   └── InvalidEnvironment  an environment that is written wrongly (names key and reason)
    ├── NotFound                the named thing does not exist
    │   └── SnapshotNotFound    there is no such snapshot
    ├── Conflict                the thing exists, but its state does not allow this
    │   └── IllegalTransition   a life-cycle event that cannot happen in this phase
    ├── LimitExceeded           asked for more than is allowed
    ├── NotSupported            this provider, platform or peer cannot do it
    ├── ProviderError           the engine refused or failed
    │   ├── ProviderUnavailable the engine cannot be asked now: unknown, not gone
    │   └── StopFailed          a job could not be stopped, or we cannot know
    ├── LinkError               the connection to an agent
    │   ├── LinkRefused         the agent answered and refused us (wrong token, wrong version)
    │   ├── LinkUnavailable     the agent cannot be reached now: unknown, not gone
    │   └── MessageTooLarge     a message over the peer's limit, refused before it is sent
    ├── LaunchFailed            the runtime never came up
    ├── RegistryError           the local database
    ├── StateError              a kernel's state could not be captured or restored
    ├── SnapshotError           something about committed state
    │   ├── SnapshotDamaged     a snapshot is not what was committed (names what is lost)
    │   └── SnapshotUntrusted   a snapshot that another server has signed
    ├── StoreError              something about the place where snapshots lie
    │   ├── StoreUnavailable    the store cannot be used now: unknown, not gone
    │   └── StoreFull           the store has no room left
    └── AgentError              raised inside the agent process
        ├── VersionMismatch     agent and launcher are of different versions
        └── KernelStartFailed   the kernel's command could not be started
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class RemoteKernelsError(Exception):
    """Base of every error of this package.

    Parameters
    ----------
    message : str
        One sentence for the user.
    reason : str, optional
        Machine-readable code in snake case; the class's ``default_reason`` otherwise.
    hint : str, optional
        What the user can do next.
    detail : str, optional
        For the log only; never shown to a stranger.
    """

    default_reason = "error"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        hint: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.hint = hint
        self.detail = detail


class InvalidInput(RemoteKernelsError):
    """A request or a piece of configuration that cannot be understood."""

    default_reason = "invalid_input"


class InvalidEnvironment(InvalidInput):
    """An environment that is written wrongly; the message names the key and why.

    Parameters
    ----------
    message : str
        One sentence for the user, which begins with the key.
    key : str, optional
        The key, with dots into tables (``resources.cpu``); empty when it is none in particular.
    **others
        See :class:`RemoteKernelsError`.
    """

    default_reason = "invalid_environment"

    def __init__(self, message: str, *, key: str = "", **others: Any) -> None:
        super().__init__(message, **others)
        self.key = key


class NotFound(RemoteKernelsError):
    """The named thing does not exist."""

    default_reason = "not_found"


class Conflict(RemoteKernelsError):
    """The thing exists, but its state does not allow what was asked."""

    default_reason = "conflict"


class IllegalTransition(Conflict):
    """A life-cycle event that cannot happen in this phase; carries the runtime's history."""

    default_reason = "illegal_transition"


class LimitExceeded(RemoteKernelsError):
    """More was asked for than is allowed.

    Parameters
    ----------
    message : str
        One sentence for the user.
    limit : mapping, optional
        For programs: ``name``, ``scope``, ``asked``, ``allowed`` and ``used``.
    **others
        See :class:`RemoteKernelsError`.
    """

    default_reason = "limit_exceeded"

    def __init__(
        self, message: str, *, limit: Mapping[str, Any] | None = None, **others: Any
    ) -> None:
        super().__init__(message, **others)
        self.limit = dict(limit or {})


class NotSupported(RemoteKernelsError):
    """This provider, platform or peer cannot do it."""

    default_reason = "not_supported"


class ProviderError(RemoteKernelsError):
    """The engine refused or failed."""

    default_reason = "provider_failed"


class ProviderUnavailable(ProviderError):
    """The engine cannot be asked now. Nothing is known; nothing is gone."""

    default_reason = "provider_unavailable"


class StopFailed(ProviderError):
    """A job could not be stopped, or it is not known whether it stopped."""

    default_reason = "stop_failed"


class LinkError(RemoteKernelsError):
    """Something about the connection to an agent."""

    default_reason = "link_failed"


class LinkRefused(LinkError):
    """The agent answered and refused: wrong token or wrong version. Trying again is useless."""

    default_reason = "link_refused"


class LinkUnavailable(LinkError):
    """The agent cannot be reached now. Nothing is known; nothing is gone."""

    default_reason = "link_unavailable"


class MessageTooLarge(LinkError):
    """A message over the peer's limit. It is refused before it would take the link with it."""

    default_reason = "message_too_large"


class LaunchFailed(RemoteKernelsError):
    """The runtime never came up."""

    default_reason = "launch_failed"


class RegistryError(RemoteKernelsError):
    """The local database cannot be used."""

    default_reason = "registry_failed"


class StateError(RemoteKernelsError):
    """A kernel's state could not be captured or restored; the reason is the kernel's own."""

    default_reason = "state_failed"


class SnapshotNotFound(NotFound):
    """There is no snapshot of this id."""

    default_reason = "snapshot_not_found"


class SnapshotError(RemoteKernelsError):
    """Something about committed state."""

    default_reason = "snapshot_failed"


class SnapshotDamaged(SnapshotError):
    """A snapshot is not what was committed. What is damaged is never given out.

    Parameters
    ----------
    message : str
        One sentence for the user.
    names : sequence of str, optional
        The variables that are lost; empty when nothing of it can be read.
    **others
        See :class:`RemoteKernelsError`.
    """

    default_reason = "snapshot_damaged"

    def __init__(self, message: str, *, names: Sequence[str] = (), **others: Any) -> None:
        super().__init__(message, **others)
        self.names = tuple(names)


class SnapshotUntrusted(SnapshotError):
    """A snapshot that another server has signed. To restore it is to run what it says."""

    default_reason = "snapshot_untrusted"


class StoreError(RemoteKernelsError):
    """Something about the place where snapshots lie."""

    default_reason = "store_failed"


class StoreUnavailable(StoreError):
    """The store cannot be used now. Nothing is known; nothing is gone."""

    default_reason = "store_unavailable"


class StoreFull(StoreError):
    """The store has no room left. What was committed before is untouched."""

    default_reason = "store_full"


class AgentError(RemoteKernelsError):
    """Raised inside the agent process."""

    default_reason = "agent_failed"


class VersionMismatch(AgentError):
    """Agent and launcher are of different versions."""

    default_reason = "version_mismatch"


class KernelStartFailed(AgentError):
    """The kernel's command could not be started."""

    default_reason = "kernel_start_failed"
