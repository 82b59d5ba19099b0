"""One kernel process: start, signal, wait, and why it ended. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable

from jupyter_remote_kernels.agent.limits import apply_limits, count_oom_kills
from jupyter_remote_kernels.errors import KernelStartFailed
from jupyter_remote_kernels.protocol.settings import SOCKET_LINK

if TYPE_CHECKING:
    from jupyter_remote_kernels.protocol.settings import AgentSettings

# sockaddr_un holds 107 bytes; the longest socket name here needs 12 of them.
_LONGEST_SOCKET_DIRECTORY = 90
CHANNEL_PORTS = {"shell": 1, "iopub": 2, "stdin": 3, "control": 4, "hb": 5}


@dataclass(frozen=True)
class KernelLaunch:
    """Everything with which one generation of the kernel starts.

    Attributes
    ----------
    argv : list of str
        The command, with the path of the connection file.
    env : mapping
        The kernel's whole environment.
    cwd : str or None
        Where it starts; None is where this process is.
    log_path : str
        What its standard output and error are appended to.
    limit : callable or None
        To be called by the new process, before it does anything else.
    """

    argv: list[str]
    env: dict[str, str] = field(repr=False)
    cwd: str | None
    log_path: str
    limit: Callable[[], None] | None


class ForkedProcess:
    """A child of this process that was made without exec."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self) -> int:
        """Wait for its end; returns what ``subprocess`` would: a signal is negative."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class KernelProcess:
    """The kernel of this agent, over all its restarts.

    Parameters
    ----------
    settings : AgentSettings
        The command, environment, directory and limits.
    """

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._directory = _socket_directory(settings.directory)
        self._oom_kills_before = 0
        self.argv: list[str] = list(settings.argv)
        self.env: dict[str, str] = dict(settings.env)
        self.cwd: str | None = settings.cwd
        self.generation = 0
        self.tuned = 0  # the generation that was told to drop no output
        # While its state is read or written, nobody's requests come in between.
        self.is_occupied = False
        self.key = secrets.token_hex(32)
        # In the session of all our own requests, whose traces are nobody else's business.
        self.marker = "agent-" + secrets.token_hex(8)
        self._calls = 0
        self.started_s = 0.0
        self.exit: dict[str, Any] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running kernel."""
        return self._process.pid if self._process is not None and self.exit is None else None

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not been seen to end."""
        return self._process is not None and self.exit is None

    @property
    def log_path(self) -> str:
        """File with everything the process wrote on its standard streams."""
        return os.path.join(self._settings.directory, "kernel.log")

    def socket_url(self, channel: str) -> str:
        """Return the ZMQ address of a channel of the current generation."""
        return f"ipc://{self._socket_prefix()}-{CHANNEL_PORTS[channel]}"

    def state_address(self) -> str:
        """Return a new path for a socket that the current generation connects to."""
        self._calls += 1
        return f"{self._socket_prefix()}-s{self._calls}"

    def start(self) -> None:
        """Start the kernel; called again for each restart, after the last one has ended.

        Raises
        ------
        KernelStartFailed
            When the command cannot be executed. ``exit`` then holds the cause.
        """
        launch = self._prepare()
        with open(launch.log_path, "ab") as log:
            try:
                self._process = subprocess.Popen(
                    launch.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=launch.env,
                    cwd=launch.cwd,
                    # Its own group: an interrupt must reach the kernel's children, not us.
                    start_new_session=True,
                    preexec_fn=launch.limit,
                )
            except (OSError, subprocess.SubprocessError) as error:
                self._process = None
                message = f"the kernel's command could not be started: {error}"
                self.exit = _cause("start_failed", message, "Check the environment's command.")
                raise KernelStartFailed(message) from error
        self.started_s = time.time()

    def fork(self) -> KernelLaunch | None:
        """Make the kernel's process a copy of this one, which must have a single thread.

        Returns
        -------
        KernelLaunch or None
            None in this process. The new one gets what it has to become; it must touch nothing
            else of this object.

        Raises
        ------
        OSError
            When no process can be made; then it can still be started.
        """
        launch = self._prepare()
        pid = os.fork()
        if pid == 0:
            return launch
        self._process = ForkedProcess(pid)
        self.started_s = time.time()
        return None

    def watch(self, on_exit: Callable[[int, dict[str, Any]], None]) -> None:
        """Call ``on_exit(generation, cause)`` from a thread when this generation ends."""
        process, generation = self._process, self.generation
        if process is None:
            return

        def wait() -> None:
            returncode = process.wait()
            on_exit(generation, self._explain(returncode))

        threading.Thread(target=wait, name=f"kernel-{generation}-exit", daemon=True).start()

    def record_exit(self, cause: dict[str, Any]) -> None:
        """Store why the kernel ended; called on the loop, so that readers see one truth."""
        self.exit = cause

    def send_signal(self, signum: int) -> bool:
        """Send a signal to the kernel's whole process group.

        Returns
        -------
        bool
            False when there is no process to signal.
        """
        process = self._process
        if process is None or self.exit is not None:
            return False
        try:
            os.killpg(process.pid, signum)
        except ProcessLookupError:
            # The leader may be gone while its children go on in the group, or all are gone.
            return False
        return True

    def kill_group(self) -> None:
        """Kill what is left of the kernel's process group, after its leader has ended too."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def remove_files(self) -> None:
        """Remove sockets and connection files."""
        for name in os.listdir(self._directory):
            if name.startswith("k"):
                path = os.path.join(self._directory, name)
                if name != "kernel.log":
                    os.unlink(path)
        if self._directory != self._settings.directory:
            os.rmdir(self._directory)
            os.unlink(os.path.join(self._settings.directory, SOCKET_LINK))

    def _prepare(self) -> KernelLaunch:
        """Begin the next generation."""
        self.generation += 1
        self.is_occupied = False
        self.exit = None
        self._oom_kills_before = count_oom_kills(self._settings.cgroup)
        connection_file = self._write_connection_file()
        limits, cwd = self._settings.limits, self.cwd
        return KernelLaunch(
            argv=[part.replace("{connection_file}", connection_file) for part in self.argv],
            env=self._environment(),
            cwd=cwd if cwd and os.path.isdir(cwd) else None,
            log_path=self.log_path,
            # A function between fork and exec costs vfork its speed, so only when it is needed.
            limit=apply_limits(limits) if limits != type(limits)() else None,
        )

    def _socket_prefix(self) -> str:
        return os.path.join(self._directory, f"k{self.generation}")

    def _write_connection_file(self) -> str:
        info: dict[str, Any] = {
            "transport": "ipc",
            "ip": self._socket_prefix(),
            "key": self.key,
            "signature_scheme": "hmac-sha256",
            "kernel_name": "",
        }
        info.update({f"{name}_port": port for name, port in CHANNEL_PORTS.items()})
        path = os.path.join(self._directory, f"k{self.generation}.json")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(info, file)
        return path

    def _environment(self) -> dict[str, str]:
        env = dict(os.environ)
        env.update(self.env)
        env.update(self._settings.fixed_env)
        # ipykernel ends itself when this process is gone: no orphan when the agent is killed.
        env["JPY_PARENT_PID"] = str(os.getpid())
        env.pop("JUPYTER_REMOTE_KERNELS_SETTINGS", None)
        return env

    def _explain(self, returncode: int) -> dict[str, Any]:
        if returncode >= 0:
            message = f"the kernel ended by itself with exit code {returncode}"
            hint = "Restart the kernel." if returncode == 0 else "See the kernel's log."
            return _cause("exited", message, hint, code=returncode)
        signum = -returncode
        if count_oom_kills(self._settings.cgroup) > self._oom_kills_before:
            limit = self._settings.memory_limit_bytes
            size = f" of {limit / 2**20:.0f} MiB" if limit else ""
            return _cause(
                "out_of_memory",
                f"the kernel was killed because it used more than its memory limit{size}",
                "Restart it and use less memory, or pick an environment with more.",
                signal=signum,
            )
        name = _signal_name(signum)
        hint = "The machine may be out of memory." if signum == signal.SIGKILL else ""
        return _cause("signal", f"the kernel was ended by signal {name}", hint, signal=signum)


def _socket_directory(directory: str) -> str:
    if len(os.fsencode(directory)) <= _LONGEST_SOCKET_DIRECTORY:
        return directory
    folder = os.path.join(tempfile.gettempdir(), f"jrk-{secrets.token_hex(8)}")
    link = os.path.join(directory, SOCKET_LINK)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)  # an earlier agent's, which was killed
    # Noted before it is made: an agent that is killed leaves nothing that cannot be found.
    os.symlink(folder, link)
    os.mkdir(folder, 0o700)
    return folder


def _signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return str(signum)


def _cause(
    reason: str,
    message: str,
    hint: str,
    code: int | None = None,
    signal: int | None = None,
) -> dict[str, Any]:
    return {"reason": reason, "message": message, "hint": hint, "code": code, "signal": signal}
