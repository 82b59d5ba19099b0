"""The agent's kernel as a call for its state sees it."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import AgentError, Conflict
from jupyter_remote_kernels.exchange.host import KernelHost

if TYPE_CHECKING:
    from jupyter_remote_kernels.agent.session import AgentSession


class AgentHost(KernelHost):
    """The generation of the kernel that is running now.

    Parameters
    ----------
    session : AgentSession
        Whose kernel.

    Raises
    ------
    Conflict
        When none is running.
    """

    def __init__(self, session: AgentSession) -> None:
        if not session.kernel.is_running:
            raise Conflict("no kernel is running", reason="no_kernel", hint="Restart it.")
        self._kernel = session.kernel
        self._generation = session.kernel.generation
        self._exited = session.kernel_exited
        self.context = session.context
        self.shell_url = session.kernel.socket_url("shell")
        self.key = session.kernel.key
        self.session = session.kernel.marker
        self.info = session.info

    def new_path(self) -> str:
        """Return a new path beside the kernel's sockets."""
        return self._kernel.state_address()

    async def wait_exited(self) -> None:
        """Return when this generation has ended."""
        await self._exited.wait()

    def interrupt(self) -> bool:
        """Interrupt the kernel; its children are not in the call."""
        pid = self._kernel.pid
        if pid is None or self._kernel.generation != self._generation:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        return True

    def explain_exit(self) -> AgentError:
        """Return why this generation has ended."""
        cause = self._kernel.exit or {}
        message = cause.get("message") or "the kernel was restarted"
        return AgentError(message, reason="kernel_died", hint=cause.get("hint") or "")
