"""The routes below ``/api/remote-kernels``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_remote_kernels.jupyter.accounting_handlers import (
    EstimatesHandler,
    UsageHandler,
    VolumeHandler,
    VolumesHandler,
)
from jupyter_remote_kernels.jupyter.environment_handlers import (
    EnvironmentHandler,
    EnvironmentsHandler,
)
from jupyter_remote_kernels.jupyter.handlers import (
    InterruptHandler,
    LogsHandler,
    OpenApiHandler,
    OperationHandler,
    OperationsHandler,
    RestartHandler,
    RuntimeHandler,
    RuntimesHandler,
    UnknownHandler,
)

if TYPE_CHECKING:
    from jupyter_remote_kernels.jupyter.rest_handler import RemoteKernelsHandler


def make_handlers() -> list[tuple[str, type[RemoteKernelsHandler]]]:
    """Return the routes."""
    base = r"/api/remote-kernels"
    runtime = base + r"/runtimes/([^/]+)"
    return [
        (base + r"/environments", EnvironmentsHandler),
        (base + r"/environments/([^/]+)", EnvironmentHandler),
        (base + r"/runtimes", RuntimesHandler),
        (runtime, RuntimeHandler),
        (runtime + r"/interrupt", InterruptHandler),
        (runtime + r"/restart", RestartHandler),
        (runtime + r"/logs", LogsHandler),
        (base + r"/operations", OperationsHandler),
        (base + r"/operations/([^/]+)", OperationHandler),
        (base + r"/usage", UsageHandler),
        (base + r"/estimates", EstimatesHandler),
        (base + r"/volumes", VolumesHandler),
        (base + r"/volumes/([^/]+)", VolumeHandler),
        (base + r"/openapi\.json", OpenApiHandler),
        (base + r"(?:/.*)?", UnknownHandler),
    ]
