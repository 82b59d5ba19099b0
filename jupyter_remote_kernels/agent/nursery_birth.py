"""How a process that was forked becomes what a spawned one would be."""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_remote_kernels.agent import __main__ as agent
from jupyter_remote_kernels.agent.kernel_process import KernelProcess
from jupyter_remote_kernels.errors import KernelStartFailed, RemoteKernelsError
from jupyter_remote_kernels.protocol.nursery import BirthRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jupyter_remote_kernels.agent.kernel_process import KernelLaunch
    from jupyter_remote_kernels.agent.nursery_title import Title

_DESCRIPTORS = 256


@dataclass(frozen=True)
class Inheritance:
    """What a nursery passes on.

    Attributes
    ----------
    title : Title
        Where the command line and the label are written.
    variables : mapping
        Environment variables that the imports have set, which a spawned kernel has too.
    """

    title: Title
    variables: Mapping[str, str]


class Birth:
    """One forked process on its way to an agent, and to that agent's kernel.

    Parameters
    ----------
    inheritance : Inheritance
        What the nursery passes on.
    descriptors : sequence of int
        The cradle, the agent's listening socket, the file with the request, and the log.
    """

    def __init__(self, inheritance: Inheritance, descriptors: list[int]) -> None:
        self._inheritance = inheritance
        self._cradle, self._listener, self._file, self._log = descriptors

    def live(self) -> int:
        """Be an agent, or its kernel; return the exit status.

        No frame on the way up may catch what the kernel raises: its end has to be the end of
        an interpreter, with everything that is registered for that.
        """
        os.setsid()
        data = json.loads(_read_all(self._file))
        request = BirthRequest.from_json(data)
        # From here on the process is found by its label; only then it is told about.
        self._inheritance.title.label(request.label)
        self._inheritance.title.command(request.argv)
        if not self._tell():
            os._exit(0)  # at once: it has nothing to end, and somebody may be looking for it
        _redirect(self._log)
        _keep_descriptors({self._listener})
        replace_environment(request.environ)
        os.chdir(request.settings.directory)
        os.umask(0o077)
        agent.reset_signals()
        try:
            settings = agent.check_settings({**data["settings"], "listen_fd": self._listener})
        except RemoteKernelsError as error:
            agent.say(f"agent refused to start: {error}")
            return 2
        kernel = KernelProcess(settings)
        launch = _start(kernel, request.fork_kernel)
        if launch is not None:
            become_kernel(launch, self._inheritance)
            return 0
        return agent.keep(settings, kernel)

    def _tell(self) -> bool:
        """Say that we live; return whether somebody still waits for us.

        Whoever has given up has closed the other end first, and started another agent.
        """
        try:
            os.write(self._cradle, str(os.getpid()).encode())
        except OSError:
            return False
        return True


def _start(kernel: KernelProcess, is_forked: bool) -> KernelLaunch | None:
    """Start the kernel; returns something only in a forked kernel's own process."""
    if is_forked:
        with contextlib.suppress(OSError):  # no process could be made this way
            return kernel.fork()
    # A kernel that cannot start is reported to whoever connects.
    with contextlib.suppress(KernelStartFailed):
        kernel.start()
    return None


def become_kernel(launch: KernelLaunch, inheritance: Inheritance) -> None:
    """Run ``python -m ipykernel_launcher`` in this process; returns when the kernel ends."""
    os.setsid()
    if launch.limit is not None:
        launch.limit()
    log = os.open(launch.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _redirect(log)
    _keep_descriptors(())
    _widen_descriptors()
    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    replace_environment({**launch.env, **inheritance.variables})
    if launch.cwd is not None:
        os.chdir(launch.cwd)
    inheritance.title.command(launch.argv)
    _forget_origin()
    sys.argv = list(launch.argv[2:])  # the runner puts the program's path in the first place
    if sys.version_info >= (3, 10):
        sys.orig_argv = list(launch.argv)
    # As `python -m` does; the launcher takes it out again.
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.getcwd())
    from ipykernel.kernelapp import IPKernelApp

    # This variable was read when the class was made, in the nursery.
    IPKernelApp.instance(parent_handle=int(launch.env["JPY_PARENT_PID"]))
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)


def replace_environment(environ: Mapping[str, str]) -> None:
    """Make the environment variables of this process exactly these."""
    library = _library(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    if library is not None and library in sys.path:
        # Another interpreter finds our package in a folder of the runtime's own.
        place = sys.path.index(library)
        new = _library(environ)
        sys.path[place : place + 1] = [] if new is None else [new]
        if new is not None:
            _move_package(library, new)


def _move_package(old: str, new: str) -> None:
    """Let what is imported or read later be found: the nursery's own folder is gone by then."""
    package = __name__.partition(".")[0]
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if name.partition(".")[0] != package or spec is None:
            continue
        spec.origin = (spec.origin or "").replace(old, new, 1)
        if spec.loader is not None and hasattr(spec.loader, "path"):
            spec.loader.path = spec.origin
        if spec.submodule_search_locations is not None:
            places = [place.replace(old, new, 1) for place in spec.submodule_search_locations]
            spec.submodule_search_locations[:] = places
            module.__path__[:] = places


def _library(environ: Mapping[str, str]) -> str | None:
    last = environ.get("PYTHONPATH", "").rpartition(os.pathsep)[2]
    return last if os.path.basename(last) == "library" else None


def _forget_origin() -> None:
    """Undo what modules remember of the process that imported them."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.ORIGINAL_DIR = os.getcwd()  # type: ignore[attr-defined]
        # Siblings must not share the key with which their children prove themselves.
        process.current_process().authkey = os.urandom(32)


def _redirect(log: int) -> None:
    """Read from nowhere, write to a log."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _widen_descriptors() -> None:
    """Have the table of open files grow now, as long as there is one thread.

    Later the system waits for every processor before it lets a thread open the 65th: 5 to 10 ms, of
    each kernel's first pause, since a kernel without anything has 64.
    """
    # Where so many are not allowed, there is no need for them.
    with contextlib.suppress(OSError):
        os.dup2(0, _DESCRIPTORS - 1)
        os.close(_DESCRIPTORS - 1)


def _keep_descriptors(kept: Collection[int]) -> None:
    """Close everything that a spawned process would not have inherited."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor not in kept:
            # The listing itself was one of them.
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


__all__ = ["Birth", "become_kernel", "replace_environment"]
