"""``python -m jupyter_remote_kernels.agent``: settings on standard input, then one kernel.

The kernel starts before tornado and zmq are imported, so that both come up side by side.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.agent.kernel_process import KernelProcess
from jupyter_remote_kernels.errors import (
    InvalidInput,
    KernelStartFailed,
    RemoteKernelsError,
    VersionMismatch,
)
from jupyter_remote_kernels.protocol.settings import AgentSettings


def check_settings(data: Any) -> AgentSettings:
    """Read settings that a launcher has sent as JSON.

    Raises
    ------
    InvalidInput
        When they are no JSON object or lack something.
    VersionMismatch
        When the launcher is of another version than this agent.
    """
    if not isinstance(data, dict):
        raise InvalidInput("agent settings must be a JSON object", reason="bad_settings")
    settings = AgentSettings.from_json(data)
    if settings.version != __version__:
        raise VersionMismatch(
            f"this agent is {__version__}, but its launcher is {settings.version}",
            hint="Install the same version on both sides.",
        )
    return settings


def reset_signals() -> None:
    """Undo what a launcher may have passed on.

    A blocked or ignored SIGINT survives exec, and a kernel that has it cannot be interrupted.
    A SIGTERM that comes before the server is up must not leave the kernel alone.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored when the server runs under nohup
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def say(text: str) -> None:
    """Write one line to the agent's log."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{stamp} {text}", flush=True)


def main() -> int:
    """Run one agent; return its exit status."""
    os.umask(0o077)
    try:
        settings = check_settings(json.loads(sys.stdin.buffer.read()))
    except (RemoteKernelsError, ValueError) as error:
        say(f"agent refused to start: {error}")
        return 2
    reset_signals()
    kernel = KernelProcess(settings)
    # A kernel that cannot start is reported to whoever connects; nobody reads an exit status.
    with contextlib.suppress(KernelStartFailed):
        kernel.start()
    return keep(settings, kernel)


def keep(settings: AgentSettings, kernel: KernelProcess) -> int:
    """Serve a kernel that was started until the agent is to end; return its exit status."""
    try:
        # Only now, because the kernel comes up meanwhile.
        from jupyter_remote_kernels.agent.server import run

        say(f"agent {__version__} started for runtime {settings.runtime_id}")
        reason = run(settings, kernel)
    finally:
        # However this ends, also before there is a server: no kernel without its agent.
        kernel.kill_group()
    say(f"agent ended: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
