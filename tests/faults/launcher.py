"""A program that uses a kernel and dies where it is told to; run as a process of its own.

``launch POINT`` starts a kernel as any user of jupyter_client does, and is killed at the point.
``again`` is the next start over the same directories: it cleans up and ends.
``server POINT`` is a Jupyter server that dies at a point of its takeover, of its end, or of a pause
or resume. The second time that a runtime comes into a phase is another point than the first.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections import Counter
from typing import Any

from jupyter_remote_kernels.control import job
from jupyter_remote_kernels.control.launch import ControlSettings
from jupyter_remote_kernels.control.ledger import Ledger
from jupyter_remote_kernels.control.plane import control_plane
from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.jupyter.paths import state_directory
from jupyter_remote_kernels.jupyter.reattachment import ReattachmentMixin
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.testing.doubles import FailingProvider


def die():
    """End as by a power cut: nothing is told, nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def say(*words: object):
    print(*words, flush=True)


def kill_at(point):
    """Die right before or right after the step that the point names."""
    step, _, side = point.partition(":")
    committed = Counter()

    def name_of(fields):
        if "phase" in fields:
            phase = fields["phase"].value
            committed[phase] += 1
            return phase if committed[phase] == 1 else f"{phase}{committed[phase]}"
        if fields.get("checkpoint") is not None:
            committed["checkpoint"] += 1
            return f"checkpoint{committed['checkpoint']}"
        if fields.get("snapshot_id") is not None:
            return "saved"
        if "owner" in fields:
            return "release"
        return None

    def guard(owner, method, name):
        real = getattr(owner, method)

        @functools.wraps(real)
        def call(*arguments: Any, **fields: Any):
            here = name(fields) == step
            if here and side == "before":
                die()
            result = real(*arguments, **fields)
            if here and side == "after":
                die()
            return result

        setattr(owner, method, call)

    guard(Registry, "insert", lambda fields: "insert")
    guard(Registry, "claim", lambda fields: "claim")
    guard(Registry, "update", name_of)
    guard(job, "remove_directory", lambda fields: "removal")
    guard(Ledger, "open", lambda fields: "charge")
    guard(FileStore, "_put", lambda fields: "manifest")
    guard(ReattachmentMixin, "_attach_runtime", lambda fields: "attach")
    if point == "stop:after":
        real_stop = FailingProvider.stop

        async def stop(*arguments: Any):
            await real_stop(*arguments)
            die()

        FailingProvider.stop = stop


def launch(kernel_name):
    """Use a kernel; what is written to standard input says how it ends."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name=kernel_name)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.execute_interactive("6 * 7", timeout=60, output_hook=lambda message: None)
    say("running", manager.kernel_id)
    command = sys.stdin.readline().strip()
    if command == "shutdown":
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    elif command == "fork":
        # A child that only forks has a copy of everything, and ends in the ordinary way.
        child = os.fork()
        if child == 0:
            sys.exit(0)
        say("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        client.execute_interactive("6 * 7", timeout=60, output_hook=lambda message: None)
        say("alive", manager.is_alive())
        sys.stdin.readline()
    elif command == "fork and stay":
        child = os.fork()
        if child:
            say("child", child)
        signal.pause()
    client.stop_channels()
    if command == "raise":
        raise RuntimeError("told to")


def serve():
    """Be a Jupyter server, with the settings that its user has written."""
    from jupyter_server.serverapp import ServerApp

    ServerApp.launch_instance(argv=[])


def start_again():
    """Take over what is left, as the start of any process does."""
    plane = control_plane(state_directory())
    plane.submit(plane.wait_swept()).result(timeout=60)
    say("swept")


def main():
    # Tests that run below nohup inherit that it is ignored.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    mode, *rest = sys.argv[1:]
    if mode == "again":
        kill_at(os.environ.get("TEST_KILL_AT", "never"))
        start_again()
        return
    if mode == "server":
        kill_at(rest[0])
        serve()
        return
    point, kernel_name = rest
    kill_at(point)
    silence_s = float(os.environ.get("TEST_SILENCE_S", "600"))
    control_plane(state_directory(), ControlSettings(silence_s=silence_s))
    launch(kernel_name)


if __name__ == "__main__":
    main()
