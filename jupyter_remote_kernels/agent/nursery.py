"""``python -m jupyter_remote_kernels.agent.nursery``: forks agents and kernels that start at once.

It has imported everything that they need, and has exactly one thread: no loop, no ZMQ context,
nothing that a copy of the process would share by mistake. It ends with the process that started
it, which holds the other end of its socket; what it forked lives on.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from jupyter_remote_kernels.agent.nursery_birth import Birth, Inheritance
from jupyter_remote_kernels.agent.nursery_title import Title
from jupyter_remote_kernels.protocol.nursery import FORK, MESSAGE_LIMIT_BYTES

# What an agent and an IPython kernel import by the time they answer. Those that a version of
# IPython does not have are left out.
_NEEDED = ("ipykernel.kernelapp", "jupyter_remote_kernels.agent.server")
_USEFUL = (
    "ipykernel_launcher",
    "ipykernel.debugger",
    "ipykernel.iostream",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "IPython.core.completer",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
)
_DESCRIPTORS = 4


class NurseryFailed(Exception):
    """This process is not fit to be copied."""


def import_all() -> tuple[list[str], dict[str, str]]:
    """Import what is needed.

    Returns
    -------
    read : list of str
        Names of the environment variables that were read.
    written : dict of str to str
        Variables that were set.
    """
    read: set[str] = set()
    before = dict(os.environ)
    kind: Any = type(os.environ)
    original = kind.__getitem__

    def record(self: Any, name: str | bytes) -> Any:
        read.add(os.fsdecode(name))
        return original(self, name)

    kind.__getitem__ = record
    try:
        for name in _NEEDED:
            importlib.import_module(name)
        for name in _USEFUL:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    finally:
        kind.__getitem__ = original
    return sorted(read), {k: v for k, v in os.environ.items() if before.get(k) != v}


def bring_state_code() -> None:
    """Import what reads and writes a kernel's state: else the first pause has to bring it."""
    from jupyter_remote_kernels.state.injection import bring

    # Where something is missing for it, there are kernels all the same.
    with contextlib.suppress(ImportError):
        bring()


def prepare() -> tuple[Inheritance, list[str]]:
    """Make this process worth copying; returns what its children get and what it has read.

    Raises
    ------
    NurseryFailed
        When it cannot be; says why.
    """
    # The folder where we were started is on the path, and nobody shall import from there.
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    package = sys.modules["jupyter_remote_kernels"]
    # The folder by which another interpreter found us goes away with the nursery.
    package.__path__ = [os.path.realpath(path) for path in package.__path__]
    try:
        title = Title()
        read, written = import_all()
        bring_state_code()
    except Exception as error:  # whatever an import raises, it is told
        raise NurseryFailed(f"{type(error).__name__}: {error}") from error
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise NurseryFailed(f"there are {threads} threads after the imports")
    gc.collect()
    # Collections of the copies then do not touch, and so not copy, what they share.
    gc.freeze()
    return Inheritance(title, written), read


class Nursery:
    """Forks on request until the other end of the channel is closed.

    Parameters
    ----------
    channel : socket.socket
        Requests and reports, as datagrams.
    inheritance : Inheritance
        Goes to each child.
    """

    def __init__(self, channel: socket.socket, inheritance: Inheritance) -> None:
        self._channel = channel
        self._inheritance = inheritance
        self._unreported: list[bytes] = []
        # A signal makes the pipe readable, so one wait covers requests and ended children.
        self._wake, wake = os.pipe()
        for descriptor in (self._wake, wake):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> Birth | None:
        """Return in each forked process what it has to live; None when nobody needs us."""
        while True:
            channel = self._channel.fileno()
            writers = [channel] if self._unreported else []
            readable, writable, _ = select.select([channel, self._wake], writers, [])
            if self._wake in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                self._reap()
            if writable:
                self._report()
            if channel in readable:
                message, descriptors = self._receive()
                if not message:
                    return None
                if message == FORK and len(descriptors) == _DESCRIPTORS and self._fork():
                    return self._leave(descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)

    def _receive(self) -> tuple[bytes, list[int]]:
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._channel, MESSAGE_LIMIT_BYTES, _DESCRIPTORS
            )
        except OSError:
            return b"", []  # closed with reports of ours that nobody had read
        return message, descriptors

    def _fork(self) -> bool:
        """Return whether this is the new process; False also when none could be made."""
        try:
            return os.fork() == 0
        except OSError:
            return False  # the cradle is closed unused, which tells it

    def _leave(self, descriptors: list[int]) -> Birth:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._channel.detach()  # closed with the other descriptors
        return Birth(self._inheritance, descriptors)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self._unreported.append(json.dumps({"exited": pid, "code": code}).encode())

    def _report(self) -> None:
        try:
            self._channel.send(self._unreported[0], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:  # nobody is there any more; the next read says so
            self._unreported.clear()
            return
        del self._unreported[0]


def main() -> int:
    """Run a nursery, and whatever it becomes; return the exit status."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(channel.fileno(), False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        inheritance, read = prepare()
    except NurseryFailed as error:
        _tell(channel, {"failed": str(error)})
        return 1
    _tell(channel, {"ready": read})
    birth = Nursery(channel, inheritance).serve()
    return 0 if birth is None else birth.live()


def _tell(channel: socket.socket, report: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # whoever wanted to know is gone; the next read says so
        channel.send(json.dumps(report).encode())


if __name__ == "__main__":
    # By its real name, so that the module is there once and not twice.
    from jupyter_remote_kernels.agent import nursery

    sys.exit(nursery.main())
