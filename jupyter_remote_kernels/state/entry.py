"""What is called in a kernel: one operation over one socket, nothing on the user's output."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.protocol.state_stream import DigestsRecord, JsonRecord
from jupyter_remote_kernels.state.attempts import attempt, explain, paused_collection
from jupyter_remote_kernels.state.capture import Capture
from jupyter_remote_kernels.state.description import describe_kernel
from jupyter_remote_kernels.state.digests import learn
from jupyter_remote_kernels.state.namespace import find_shell
from jupyter_remote_kernels.state.restore import Restore
from jupyter_remote_kernels.state.sending import send_capture
from jupyter_remote_kernels.state.settings import forget_own_sources
from jupyter_remote_kernels.state.wire import Closed, Reader, Writer

if TYPE_CHECKING:
    from collections.abc import Callable

_SOCKET_BUFFER_BYTES = 1 << 20


def serve(address: str, token: str) -> None:
    """Do one operation for whoever listens at an address.

    Parameters
    ----------
    address : str
        Path of a Unix socket.
    token : str
        Said first, so that the listener knows who has come.
    """
    forget_own_sources()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
    with connection:
        try:
            connection.connect(address)
        except (OSError, KeyboardInterrupt):
            # Nobody waits any more: it was cancelled before this kernel came to it.
            return
        writer, reader = Writer(connection), Reader(connection)
        try:
            connection.sendall(token.encode() + b"\n")
            record = reader.record()
            command = record.value if isinstance(record, JsonRecord) else {}
            with paused_collection():
                _, error = attempt(_run, command, reader, writer)
            if error is not None and not isinstance(error, Closed):
                writer.json(_describe(error, command))
        except KeyboardInterrupt:
            # A user who interrupts the kernel wants it back, whatever it was doing.
            attempt(writer.json, _error("cancelled", "The kernel was interrupted."))
        except Closed:
            return


def _run(command: dict[str, Any], reader: Reader, writer: Writer) -> None:
    operations: dict[str, Callable[[dict[str, Any], Reader, Writer], None]] = {
        "describe": _describe_kernel,
        "variables": _plan,
        "plan": _plan,
        "capture": _capture,
        "restore": _restore,
    }
    operation = operations.get(command.get("op", ""))
    if operation is None:
        writer.json(_error("invalid_input", "There is no such operation."))
        return
    operation(command, reader, writer)


def _describe_kernel(_command: dict[str, Any], _reader: Reader, writer: Writer) -> None:
    writer.json({"type": "description", **describe_kernel(find_shell())})


def _plan(command: dict[str, Any], _reader: Reader, writer: Writer) -> None:
    is_list = command["op"] == "variables"
    target = command.get("target")
    capture = Capture(find_shell(), command.get("names"), keeps=False, target=target)
    with contextlib.closing(capture):
        _answer_plan(capture, writer, is_list=is_list)


def _answer_plan(capture: Capture, writer: Writer, *, is_list: bool) -> None:
    capture.probe()
    variables = capture.report(previews=is_list)
    total = sum(each.pickled.total for each in capture.variables if each.pickled)
    kind = "variables" if is_list else "plan"
    writer.json({"type": kind, "variables": variables, "total_bytes": total})


def _capture(command: dict[str, Any], reader: Reader, writer: Writer) -> None:
    known: list[bytes] = []
    while isinstance(record := reader.record(), DigestsRecord):
        known += record.digests
    learn(command.get("after") or "", known)
    send_capture(find_shell(), command, set(known), writer)


def _restore(command: dict[str, Any], reader: Reader, writer: Writer) -> None:
    restore = Restore(find_shell(), reader, command)
    report = restore.run()
    try:
        writer.json(report)
    except BaseException:  # nobody was told that it is there: it was called off
        restore.take_back()
        raise


def _error(reason: str, message: str, hint: str = "") -> dict[str, Any]:
    return {"type": "error", "reason": reason, "message": message, "hint": hint}


def _describe(error: Exception, command: dict[str, Any]) -> dict[str, Any]:
    if isinstance(error, RemoteKernelsError):
        return _error(error.reason, error.message, error.hint)
    name = "restore" if command.get("op") == "restore" else "capture"
    return _error(f"{name}_failed", f"The {name} failed: {explain(error)}")
