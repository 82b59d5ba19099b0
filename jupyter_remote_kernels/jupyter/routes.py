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
from jupyter_remote_kernels.jupyter.execution_handlers import (
    ExecutionHandler,
    ExecutionsHandler,
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
from jupyter_remote_kernels.jupyter.snapshot_handlers import (
    SnapshotContentHandler,
    SnapshotHandler,
    SnapshotRestoreHandler,
    SnapshotRuntimesHandler,
    SnapshotsHandler,
    TakenSnapshotsHandler,
)
from jupyter_remote_kernels.jupyter.state_handlers import (
    MoveHandler,
    PauseHandler,
    ResumeHandler,
    VariablesHandler,
)
from jupyter_remote_kernels.jupyter.transfer_handlers import (
    KernelVariablesHandler,
    TransfersHandler,
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
        (runtime + r"/pause", PauseHandler),
        (runtime + r"/resume", ResumeHandler),
        (runtime + r"/move", MoveHandler),
        (runtime + r"/variables", VariablesHandler),
        (base + r"/kernels/([^/]+)/variables", KernelVariablesHandler),
        (base + r"/transfers", TransfersHandler),
        (runtime + r"/logs", LogsHandler),
        (runtime + r"/executions", ExecutionsHandler),
        (runtime + r"/executions/([^/]+)", ExecutionHandler),
        (runtime + r"/snapshots", TakenSnapshotsHandler),
        (base + r"/snapshots", SnapshotsHandler),
        (base + r"/snapshots/([^/]+)", SnapshotHandler),
        (base + r"/snapshots/([^/]+)/content", SnapshotContentHandler),
        (base + r"/snapshots/([^/]+)/restore", SnapshotRestoreHandler),
        (base + r"/snapshots/([^/]+)/runtimes", SnapshotRuntimesHandler),
        (base + r"/operations", OperationsHandler),
        (base + r"/operations/([^/]+)", OperationHandler),
        (base + r"/usage", UsageHandler),
        (base + r"/estimates", EstimatesHandler),
        (base + r"/volumes", VolumesHandler),
        (base + r"/volumes/([^/]+)", VolumeHandler),
        (base + r"/openapi\.json", OpenApiHandler),
        (base + r"(?:/.*)?", UnknownHandler),
    ]
