"""One client's ZMQ sockets to the kernel, ready only when nothing can be lost."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Callable

import zmq

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.frames import KERNEL_CHANNELS, Buffer
from jupyter_remote_kernels.protocol.messages import Composer, unpack
from jupyter_remote_kernels.protocol.signing import DELIMITER, Signer
from jupyter_remote_kernels.sockets import Message, SocketPump

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_remote_kernels.agent.kernel_process import KernelProcess

_SOCKET_TYPES = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "iopub": zmq.SUB}
# A Unix socket that does not exist yet is tried again at this pace.
_RECONNECT_MS = 5
# The socket belongs to the output thread, which runs what is scheduled on it.
_NO_OUTPUT_LIMIT = (
    "(lambda thread: thread.schedule(lambda: thread.socket.setsockopt("
    "__import__('zmq').SNDHWM, 0)))("
    "__import__('ipykernel.kernelapp').kernelapp.IPKernelApp.instance().iopub_thread)"
)
_READ_AHEAD = 2
_PROBE_FIRST_S = 0.05
_PROBE_LAST_S = 1.0
# A kernel that answers and takes no connection for its questions for so long has none.
_QUESTIONS_S = 1.0
# Kernels whose control channel waits for the answer, too, cannot say where the question belongs.
_QUIET_S = 0.2


class KernelChannels:
    """The four channels of one client to the present generation of the kernel.

    The output channel is a subscription, which loses what comes before it is in place. So
    requests are held until a message on it proves that it works. A question of the kernel's to
    whom is not connected yet is lost as well, so they are also held until it can ask.

    Parameters
    ----------
    kernel : KernelProcess
        The kernel; its current generation is connected to.
    context : zmq.Context
        The agent's context.
    on_message : callable
        ``(channel, parts)`` for everything the kernel says to this client.
    on_ready : callable
        Called once with the content of the kernel's ``kernel_info_reply``.
    """

    def __init__(
        self,
        kernel: KernelProcess,
        context: zmq.Context[zmq.Socket[bytes]],
        on_message: Callable[[str, Message], None],
        on_ready: Callable[[dict[str, Any]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._kernel = kernel
        self._on_message = on_message
        self._on_ready = on_ready
        self._signer = Signer(kernel.key.encode())
        self._composer = Composer(f"{kernel.marker}-{os.urandom(8).hex()}")
        # Our own requests are recognised by their session in the parent header.
        self._marker = self._composer.session.encode()
        self._any_marker = kernel.marker.encode()
        self._held: list[tuple[str, list[bytes]]] = []
        # The kernel's questions, by the id of our own request that shows their place.
        self._questions: dict[bytes, Message] = {}
        self._output_count = 0
        self._subscribed = False
        self._info: dict[str, Any] | None = None
        self._can_ask = False
        self._patience: asyncio.TimerHandle | None = None
        self._monitor: SocketPump | None = None
        self.is_ready = False
        self._probe_timer: asyncio.TimerHandle | None = None
        identity = os.urandom(16).hex().encode()
        self._pumps = {
            channel: self._connect(kernel, context, channel, identity)
            for channel in KERNEL_CHANNELS
        }
        self._probe(_PROBE_FIRST_S)

    def send(self, channel: str, parts: Sequence[Buffer]) -> None:
        """Send a client's message to the kernel, now or as soon as it may go there.

        Raises
        ------
        InvalidInput
            When the channel cannot be written or parts are missing.
        """
        if channel not in self._pumps or channel == "iopub":
            raise InvalidInput(f"no message can be sent on {channel!r}", reason="bad_channel")
        if len(parts) < 4:
            raise InvalidInput("a kernel message has at least 4 parts", reason="bad_frame")
        if self._may_go(channel):
            self._forward(channel, parts)
        else:
            self._held.append((channel, [bytes(part) for part in parts]))

    def release(self) -> None:
        """Send what was held and may go now, in order."""
        held, self._held = self._held, []
        for channel, parts in held:
            self.send(channel, parts)

    def hold_output(self) -> None:
        """Read no more of the kernel's output; it waits in the kernel then."""
        self._pumps["iopub"].pause()

    def release_output(self) -> None:
        """Read on."""
        self._pumps["iopub"].resume()

    def close(self) -> None:
        """Close the sockets."""
        self._stop_looking()
        self._questions = {}
        for pump in self._pumps.values():
            pump.close()

    def _connect(
        self,
        kernel: KernelProcess,
        context: zmq.Context[zmq.Socket[bytes]],
        channel: str,
        identity: bytes,
    ) -> SocketPump:
        socket = context.socket(_SOCKET_TYPES[channel])
        # The kernel routes replies and input requests by identity: the same on all channels.
        socket.setsockopt(zmq.IDENTITY, identity)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, _read_ahead(kernel) if channel == "iopub" else 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        if channel == "iopub":
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        if channel == "stdin":
            self._monitor = self._watch(socket)
        socket.connect(kernel.socket_url(channel))
        return SocketPump(socket, lambda message: self._receive(channel, message), self._loop)

    def _watch(self, socket: zmq.Socket[bytes]) -> SocketPump:
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        return SocketPump(monitor, lambda _: self._take_connected(), self._loop)

    def _take_connected(self) -> None:
        """Take note that the kernel is connected for its questions, and knows whom to ask.

        What it is asked from now on comes after that: only its next answer makes us ready.
        """
        if not self._can_ask:
            self._can_ask = True
            self._info = None
            if self._probe_timer is not None:
                self._probe_timer.cancel()
            self._probe(_PROBE_FIRST_S)

    def _stop_looking(self) -> None:
        for timer in (self._probe_timer, self._patience):
            if timer is not None:
                timer.cancel()
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            self._pumps["stdin"].socket.disable_monitor()
            monitor.close()

    def _receive(self, channel: str, message: Message) -> None:
        try:
            start = message.index(DELIMITER) + 2
        except ValueError:
            return  # not a kernel message at all
        parts = message[start:]
        if len(parts) < 4:
            return
        self._output_count += channel == "iopub"
        if not self.is_ready and self._settle(channel, parts):
            return
        if self._marker in parts[1]:
            if channel == "iopub":
                self._ask(lambda placed: placed in parts[1])
        elif channel == "stdin":
            self._place_question(parts)
        elif channel == "iopub" and self._any_marker in parts[1] and b'"status"' in parts[0]:
            return  # the kernel is busy with another of our own requests
        else:
            self._on_message(channel, parts)

    def _place_question(self, parts: Message) -> None:
        """Hold a question until all that the kernel put out before it has come.

        They come over different sockets, and output that comes after the question clears it from
        the cell, or stands below it. What a request on the control channel makes the kernel put
        out comes after all that it put out before the question.
        """
        request = self._composer.compose("kernel_info_request", {})
        placed = unpack(request[0])["msg_id"].encode()
        self._questions[placed] = parts
        self._forward("control", request)
        self._loop.call_later(_QUIET_S, self._ask_when_quiet, placed, self._output_count)

    def _ask_when_quiet(self, placed: bytes, output_count: int) -> None:
        if self._output_count == output_count:
            self._ask(placed.__eq__)
        elif placed in self._questions:
            self._loop.call_later(_QUIET_S, self._ask_when_quiet, placed, self._output_count)

    def _ask(self, is_due: Callable[[bytes], bool]) -> None:
        """Pass on the questions that are due."""
        for placed in [placed for placed in self._questions if is_due(placed)]:
            self._on_message("stdin", self._questions.pop(placed))

    def _settle(self, channel: str, parts: Message) -> bool:
        """Look for proof that the channels work; return whether the message was for us."""
        ours = self._marker in parts[1]
        welcome = channel == "iopub" and b'"iopub_welcome"' in parts[0]
        if channel == "iopub" and (ours or welcome):
            self._subscribed = True
        if ours and channel in ("shell", "control"):
            content = unpack(parts[3])
            if content.get("status") != "error":
                self._info = content
        if self._subscribed and self._info is not None:
            if self._can_ask:
                self._become_ready(self._info)
            elif self._patience is None:
                self._patience = self._loop.call_later(_QUESTIONS_S, self._take_connected)
        return ours or welcome

    def _become_ready(self, info: dict[str, Any]) -> None:
        self.is_ready = True
        self._stop_looking()
        self._lift_output_limit(info)
        # First say so, then deliver: a client must know the kernel before its answers come.
        self._on_ready(info)
        self.release()

    def _may_go(self, channel: str) -> bool:
        # Requests for another thread of the kernel would be answered in the middle of a capture.
        return self.is_ready and not (channel == "shell" and self._kernel.is_occupied)

    def _lift_output_limit(self, info: dict[str, Any]) -> None:
        """Tell an IPython kernel to drop no output, before it runs anything else.

        ZMQ drops what a publisher has queued beyond 1000 messages, silently, whenever the
        reader is not given the processor for a moment. There is no option of ipykernel for
        that, so it is done by one expression that leaves no name and no history behind.
        """
        kernel = self._kernel
        if info.get("implementation") != "ipython" or kernel.tuned == kernel.generation:
            return
        kernel.tuned = kernel.generation
        request = {
            "code": _NO_OUTPUT_LIMIT,
            "silent": True,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        self._forward("shell", self._composer.compose("execute_request", request))

    def _forward(self, channel: str, parts: Sequence[Buffer]) -> None:
        views = [part if isinstance(part, bytes) else memoryview(part) for part in parts]
        self._pumps[channel].send([DELIMITER, self._signer.sign(views), *views])

    def _probe(self, delay_s: float) -> None:
        """Ask for kernel_info until the channels are ready.

        Kernels that send ``iopub_welcome`` need one question. Others may answer before the
        subscription is in place, and there is no event for that: hence the timer. The control
        channel is asked too, because the shell channel of a busy kernel does not answer.
        """
        for channel in ("shell", "control"):
            self._forward(channel, self._composer.compose("kernel_info_request", {}))
        self._probe_timer = self._loop.call_later(
            delay_s, self._probe, min(delay_s * 2, _PROBE_LAST_S)
        )


def _read_ahead(kernel: KernelProcess) -> int:
    """Return how many messages of output ZMQ may read before we do; 0 is without a limit.

    They are in our memory and not yet where they can spill. Without a limit of its own, as
    :meth:`KernelChannels._lift_output_limit` takes it away, the kernel keeps the rest. Any other
    kernel would drop it.
    """
    is_ipython = any("ipykernel" in word for word in kernel.argv)
    return _READ_AHEAD if is_ipython else 0
