"""Our errors as HTTP: the one table of status codes, and problem details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

# The first class that fits decides, so the special ones come before the general ones.
HTTP_STATUS: Mapping[type[errors.RemoteKernelsError], int] = {
    errors.InvalidInput: 400,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.LimitExceeded: 406,
    errors.NotSupported: 501,
    errors.ProviderUnavailable: 503,
    errors.ProviderError: 502,
    errors.MessageTooLarge: 413,
    errors.LinkUnavailable: 503,
    errors.LinkError: 502,
    errors.LaunchFailed: 502,
    errors.RegistryError: 500,
    errors.StateError: 502,
    errors.SnapshotDamaged: 422,
    errors.SnapshotUntrusted: 409,
    errors.SnapshotError: 500,
    errors.StoreUnavailable: 503,
    errors.StoreFull: 507,
    errors.StoreError: 500,
    errors.AgentError: 502,
    errors.RemoteKernelsError: 500,
}


def http_status(error: errors.RemoteKernelsError) -> int:
    """Return the HTTP status of one of our errors."""
    if error.reason == "body_too_large":
        return 413
    return next(status for kind, status in HTTP_STATUS.items() if isinstance(error, kind))


def describe_problem(error: errors.RemoteKernelsError, status: int | None = None) -> dict[str, Any]:
    """Return an error as RFC 9457 problem details.

    Parameters
    ----------
    error : RemoteKernelsError
        What went wrong; its detail is for the log and not told.
    status : int, optional
        HTTP status; by default what the table says.
    """
    limit = error.limit if isinstance(error, errors.LimitExceeded) else {}
    return {
        "type": f"urn:jupyter-remote-kernels:problem:{error.reason}",
        "title": error.reason.replace("_", " ").capitalize(),
        "status": http_status(error) if status is None else status,
        "detail": error.message,
        "reason": error.reason,
        "hint": error.hint,
        **({"limit": limit} if limit else {}),
    }
