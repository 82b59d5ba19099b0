"""Which paths the agent answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.agent.handlers import (
    AgentHandler,
    ClaimHandler,
    KernelActionHandler,
    KernelHandler,
    KernelsHandler,
    LeaseHandler,
    LogHandler,
    MetricsHandler,
    SignalHandler,
    StatusHandler,
    StopHandler,
)
from jupyter_remote_kernels.agent.state_handlers import (
    CaptureHandler,
    DescriptionHandler,
    PlanHandler,
    RestoreHandler,
    VariablesHandler,
)

if TYPE_CHECKING:
    from jupyter_remote_kernels.agent.handlers import TokenHandler
    from jupyter_remote_kernels.agent.session import AgentSession


def make_routes(
    session: AgentSession, channels: type[TokenHandler]
) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return the routes of one agent; ``channels`` handles the websocket."""
    kernel = r"/api/kernels/([\w-]+)"
    own = "/api/remote-kernels"
    table: list[tuple[str, Any]] = [
        (r"/api/kernels", KernelsHandler),
        (kernel, KernelHandler),
        (kernel + r"/(interrupt|restart)", KernelActionHandler),
        (kernel + r"/channels", channels),
        (own + "/signal", SignalHandler),
        (own + "/stop-kernel", StopHandler),
        (own + "/status", StatusHandler),
        (own + "/lease", LeaseHandler),
        (own + "/claim", ClaimHandler),
        (own + "/metrics", MetricsHandler),
        (own + "/log", LogHandler),
        (own + "/state/variables", VariablesHandler),
        (own + "/state/describe", DescriptionHandler),
        (own + "/state/plan", PlanHandler),
        (own + "/state/capture", CaptureHandler),
        (own + "/state/restore", RestoreHandler),
        (r"/.*", AgentHandler),
    ]
    return [(pattern, handler, {"session": session}) for pattern, handler in table]
