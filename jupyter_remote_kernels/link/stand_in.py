"""The stand-in: answers on a kernel's local sockets while no kernel can.

It serves every situation without a kernel alike: queued, starting, restarting, unreachable, paused.
Questions are answered from memory; what only a kernel can do is held and delivered later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.messages import PROTOCOL_VERSION, Composer, unpack

if TYPE_CHECKING:
    from jupyter_remote_kernels.protocol.frames import Buffer

_PYTHON = {
    "name": "python",
    "version": "3",
    "mimetype": "text/x-python",
    "codemirror_mode": {"name": "ipython", "version": 3},
    "pygments_lexer": "ipython3",
    "nbconvert_exporter": "python",
    "file_extension": ".py",
}


class Tap(Protocol):
    """A client in this very process that reads and writes framed messages."""

    def deliver(self, data: Buffer) -> None:
        """Take a message; called on the bridge's loop, must not block."""

    def close(self) -> None:
        """Nothing comes any more; called on the bridge's loop."""


class Client(Protocol):
    """Who made a request and gets its reply."""

    def deliver(
        self, channel: str, parts: Sequence[bytes | memoryview], encoded: Buffer | None
    ) -> None:
        """Send a message to this client; ``encoded`` is the same message framed, if there is."""


@dataclass(frozen=True)
class Request:
    """A message from a local client, on its way to the kernel.

    Attributes
    ----------
    channel : str
        ``shell``, ``control`` or ``stdin``.
    msg_id, msg_type : str
        From its header.
    parts : sequence of buffers
        Header, parent header, metadata, content, buffers.
    client : Client
        Where the reply goes.
    encoded : bytes-like or None
        The message in the framing of a websocket, when it came that way.
    """

    channel: str
    msg_id: str
    msg_type: str
    parts: Sequence[bytes | memoryview]
    client: Client
    encoded: Buffer | None = None


Reply = Callable[[Request, list[bytes]], None]
Publish = Callable[[list[bytes]], None]


def describe_kernel(language: str) -> dict[str, Any]:
    """Return a ``kernel_info_reply`` for a kernel that has never been seen."""
    info = _PYTHON if language == "python" else {"name": language, "file_extension": ""}
    return {
        "status": "ok",
        "protocol_version": PROTOCOL_VERSION,
        "implementation": "jupyter_remote_kernels",
        "implementation_version": "",
        "language_info": dict(info),
        "banner": "",
        "help_links": [],
    }


class StandIn:
    """Answers and holds requests of one kernel.

    Parameters
    ----------
    kernel_info : mapping
        The last real ``kernel_info_reply`` of this environment, or a guess.
    reply : callable
        Sends a reply to the client that made the request.
    publish : callable
        Sends a message on the output channel.

    Attributes
    ----------
    hold_info : bool
        Whether a kernel is about to come up that answers ``kernel_info_request`` itself.
    wake : callable or None
        Called when somebody runs a cell. Set while a kernel comes up for nothing else.
    """

    def __init__(self, kernel_info: Mapping[str, Any], reply: Reply, publish: Publish) -> None:
        self.kernel_info = dict(kernel_info)
        self._reply = reply
        self._publish = publish
        self._composer = Composer()
        self._held: list[Request] = []
        self._refusal: tuple[str, str] | None = None
        self.hold_info = False
        self.wake: Callable[[], None] | None = None

    @property
    def held_executes(self) -> int:
        """How many execute requests are held."""
        return sum(request.msg_type == "execute_request" for request in self._held)

    @property
    def held_ids(self) -> set[str]:
        """The ids of the requests that are held."""
        return {request.msg_id for request in self._held}

    def handle(self, request: Request) -> None:
        """Answer a request from memory, or hold it."""
        if request.msg_type == "kernel_info_request" and self.hold_info:
            # A kernel that is about to come up answers this better than memory can.
            self._held.append(request)
            return
        content = self._answer(request)
        if content is None:
            self._hold(request)
            return
        if request.msg_type == "interrupt_request":
            self.abort_held()
        reply_type = request.msg_type.replace("_request", "_reply")
        self._status("busy", request)
        self._reply(request, self._composer.compose(reply_type, content, request.parts[0]))
        self._status("idle", request)

    def answer_held_info(self) -> None:
        """Answer held ``kernel_info_request`` from memory: the kernel takes too long."""
        self.hold_info = False
        waiting = [r for r in self._held if r.msg_type == "kernel_info_request"]
        self._held = [r for r in self._held if r.msg_type != "kernel_info_request"]
        for request in waiting:
            self.handle(request)

    def take_held(self) -> list[Request]:
        """Return what was held, in order, and forget it: the kernel is there."""
        held, self._held = self._held, []
        return held

    def greet(self) -> None:
        """Publish ``iopub_welcome`` (JEP 65) for a subscriber that has just arrived."""
        self._publish(self._composer.compose("iopub_welcome", {"subscription": ""}))

    def repeat_busy(self) -> None:
        """Say again that a held request is being worked on, for a client that came later."""
        for request in self._held:
            if request.msg_type == "execute_request":
                self._status("busy", request)

    def warn_held(self, text: str) -> None:
        """Put a warning into the outputs of the first cell that waits, if one does."""
        for request in self._held:
            if request.msg_type == "execute_request":
                content = {"name": "stderr", "text": text}
                self._publish(self._composer.compose("stream", content, request.parts[0]))
                return

    def publish_status(self, state: str) -> None:
        """Publish an execution state that answers no request, such as ``starting``."""
        self._publish(self._composer.compose("status", {"execution_state": state}))

    def abort_held(self) -> None:
        """Abort held execute requests because the user interrupted them."""
        self._finish_held(None)

    def accept(self) -> None:
        """Hold requests again: there will be a kernel to take them."""
        self._refusal = None

    def refuse(self, message: str, hint: str) -> None:
        """Answer held requests with an error, and from now on every later one too.

        Parameters
        ----------
        message : str
            Why there is no kernel, and will be none by itself.
        hint : str
            What the user can do.
        """
        self.reject_held(message, hint)
        self._refusal = (message, hint)

    def reject_held(self, message: str, hint: str) -> None:
        """Answer held requests with an error: no kernel will ever take them.

        Parameters
        ----------
        message : str
            What happened.
        hint : str
            What the user can do.
        """
        self._finish_held(_describe_error(message, hint))
        # No kernel will take anything else either, such as a widget's messages.
        self._held = [r for r in self._held if r.msg_type == "kernel_info_request"]
        self.answer_held_info()

    def tell_lost(self, parent: bytes) -> list[bytes]:
        """Tell that a request was lost with the process that held it.

        Parameters
        ----------
        parent : bytes
            The packed header of the request.

        Returns
        -------
        list of bytes
            The reply, for who still waits for it.
        """
        error = _describe_error(
            "the server ended before this cell could be sent to the kernel", "Run it again."
        )
        self._publish(self._composer.compose("error", error, parent))
        self._publish(self._composer.compose("status", {"execution_state": "idle"}, parent))
        content = {"status": "error", "execution_count": 0, **error}
        return self._composer.compose("execute_reply", content, parent)

    def _finish_held(self, error: dict[str, Any] | None) -> None:
        executes = [r for r in self._held if r.msg_type == "execute_request"]
        self._held = [r for r in self._held if r.msg_type != "execute_request"]
        self._finish(executes, error)

    def _finish(self, executes: Sequence[Request], error: dict[str, Any] | None) -> None:
        content: dict[str, Any] = {"status": "aborted"}
        if error is not None:
            content = {"status": "error", "execution_count": 0, **error}
        for request in executes:
            parent = request.parts[0]
            if error is not None:
                self._publish(self._composer.compose("error", error, parent))
            self._reply(request, self._composer.compose("execute_reply", content, parent))
            self._status("idle", request)

    def _hold(self, request: Request) -> None:
        # The views belong to ZMQ's buffers, which are fine to keep: they are ours alone.
        self._held.append(request)
        if request.msg_type == "execute_request":
            self._status("busy", request)
        if self._refusal is not None:
            self.reject_held(*self._refusal)
        elif self.wake is not None and request.msg_type == "execute_request":
            if _read_content(request).get("silent"):
                # A page asks such things by itself: they are no reason to start a machine.
                self._held.pop()
                error = _describe_error("the kernel is paused", "Resume it, or run a cell.")
                self._finish([request], error)
            else:
                self.wake()

    def _status(self, state: str, request: Request) -> None:
        content = {"execution_state": state}
        self._publish(self._composer.compose("status", content, request.parts[0]))

    def _answer(self, request: Request) -> dict[str, Any] | None:
        """Return the reply's content, or None when only a kernel can answer."""
        kind = request.msg_type
        if kind == "kernel_info_request":
            return self.kernel_info
        if kind == "history_request":
            return {"status": "ok", "history": []}
        if kind == "comm_info_request":
            return {"status": "ok", "comms": {}}
        if kind == "is_complete_request":
            return {"status": "unknown"}
        if kind == "inspect_request":
            return {"status": "ok", "found": False, "data": {}, "metadata": {}}
        if kind == "complete_request":
            position = _read_content(request).get("cursor_pos", 0)
            return {
                "status": "ok",
                "matches": [],
                "cursor_start": position,
                "cursor_end": position,
                "metadata": {},
            }
        if kind == "debug_request":
            content = _read_content(request)
            # A kernel that is about to come up can take this itself.
            is_for_kernel = self.hold_info and content.get("command") != "debugInfo"
            return None if is_for_kernel else _refuse_debugging(content)
        if kind in ("interrupt_request", "shutdown_request"):
            return {"status": "ok", "restart": False}
        return None


def _describe_error(message: str, hint: str) -> dict[str, Any]:
    return {
        "ename": "RuntimeUnavailable",
        "evalue": message,
        "traceback": [line for line in (message, hint) if line],
    }


def _read_content(request: Request) -> dict[str, Any]:
    try:
        return unpack(request.parts[3])
    except InvalidInput:
        return {}  # a kernel would not understand it either


def _refuse_debugging(content: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a debug request in the debugger's own protocol: no kernel, nothing to debug."""
    command = content.get("command", "")
    reply: dict[str, Any] = {
        "seq": 0,
        "type": "response",
        "request_seq": content.get("seq", 0),
        "command": command,
        "success": command == "debugInfo",
    }
    if command == "debugInfo":
        reply["body"] = {
            "isStarted": False,
            "hashMethod": "Murmur2",
            "hashSeed": 0,
            "tmpFilePrefix": "",
            "tmpFileSuffix": "",
            "breakpoints": [],
            "stoppedThreads": [],
            "richRendering": False,
            "exceptionPaths": [],
        }
    else:
        reply["message"] = "the kernel is not there yet"
    return reply
