"""The resumable protocol, without I/O: each message arrives once, over many connections.

Both ends keep what they have sent until the other one is done with it. A connection begins with
a greeting in which each end says what it has received; what is missing is sent again. So a
connection may break at any moment, and an end may even be another process than before: nothing
is lost or doubled.

On the wire are binary websocket messages, all numbers little-endian::

    greeting         G  session (16 bytes)  received (u64)  details (a JSON object)
    frame            M  number (u64)  payload      ends with the end of a message
    piece            P  number (u64)  payload      more of the same message follows
    acknowledgement  A  received (u64)  finished (u64)

The payloads of one direction, joined, are messages with their length (u64) before each. Small
messages that are sent together travel in one frame, a large one in many. ``number`` counts frames
and pieces of one direction from 1 on, over all connections of a session. ``received`` is the
number up to which nothing is missing, and opens the window for more. ``finished`` is the number
up to which nothing will ever be asked for again, also not by a successor of this end. Each
process tells a random name of its own as ``process`` in the details.
"""

from __future__ import annotations

import json
import struct
import uuid
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.sequence import (
    FRAME,
    PIECE,
    MemoryQueue,
    Queue,
    Receiver,
    Sender,
    read_form,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jupyter_remote_kernels.protocol.frames import Buffer

SUBPROTOCOL = "v1.resumable.jupyter-remote-kernels"
SESSION_BYTES = 16
PIECE_BYTES = 1024 * 1024
# How much may be on its way on one connection: bounds what both ends hold in memory.
WINDOW_BYTES = 8 * 1024 * 1024
# How much may arrive before it is acknowledged at once, and not at leisure.
ACKNOWLEDGE_BYTES = WINDOW_BYTES // 2

_GREETING, _ACKNOWLEDGEMENT = b"G", b"A"
_HELLO = struct.Struct("<c16sQ")
_RECEIPT = struct.Struct("<cQQ")


class Endpoint:
    """One end of a session, over all its connections.

    Parameters
    ----------
    session : bytes
        Names the session, 16 bytes; both ends have the same.
    queue : Queue, optional
        Where messages wait; in memory without a limit by default.
    finished : int, optional
        What an earlier process at this end had finished.
    piece_bytes, window_bytes : int, optional
        Size of a frame at most, and how much may be on its way, in bytes.
    """

    def __init__(
        self,
        session: bytes,
        queue: Queue | None = None,
        *,
        finished: int = 0,
        piece_bytes: int = PIECE_BYTES,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        if len(session) != SESSION_BYTES:
            raise InvalidInput(f"a session has {SESSION_BYTES} bytes")
        self.session = session
        self.sender = Sender(MemoryQueue() if queue is None else queue, piece_bytes, window_bytes)
        self.receiver = Receiver(finished, finished)
        self.details: dict[str, Any] = {}
        self._acknowledged = (0, 0)
        self._unacknowledged_bytes = 0
        self._is_greeted = False
        self._process = uuid.uuid4().hex
        self._other_process: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether this connection has been greeted by the other end."""
        return self._is_greeted

    @property
    def is_acknowledgement_due(self) -> bool:
        """Whether so much has arrived that the other end should know at once."""
        return self._unacknowledged_bytes >= ACKNOWLEDGE_BYTES

    def connect(self, details: Mapping[str, Any] | None = None) -> bytes:
        """Begin a connection; returns the greeting, which goes before everything else."""
        self.disconnect()
        return self.greet(details)

    def greet(self, details: Mapping[str, Any] | None = None) -> bytes:
        """Return the greeting of a connection; the second to greet may have read the first's.

        Parameters
        ----------
        details : mapping, optional
            Told to the other end, which has it in ``details`` when it is ready.
        """
        hello = _HELLO.pack(_GREETING, self.session, self.receiver.received)
        return hello + json.dumps({**(details or {}), "process": self._process}).encode()

    def disconnect(self) -> None:
        """End a connection; what is sent from now on waits for the next one."""
        self._is_greeted = False
        self._unacknowledged_bytes = 0
        self._acknowledged = (0, 0)  # the greeting does not say what is finished

    def send(self, message: Sequence[Buffer]) -> None:
        """Take a message, as parts; :meth:`outgoing` gives it back when its time has come."""
        self.sender.append(message, goes_now=self._is_greeted)

    def outgoing(self) -> Iterator[Sequence[Buffer]]:
        """Yield what is to be written to the present connection, as parts of websocket messages.

        To be asked after each :meth:`send` and :meth:`receive`.
        """
        if self._is_greeted:
            yield from self.sender.frames()

    def receive(self, frame: Buffer) -> list[tuple[int, memoryview]]:
        """Take a frame of the present connection.

        Returns
        -------
        list of (int, memoryview)
            Messages that are complete now, each for the first time. Their numbers grow, but not
            by one.

        Raises
        ------
        InvalidInput
            When it cannot be understood, belongs to another session, or something before it is
            missing. The connection has to be ended then; the next one makes it good.
        """
        kind = bytes(memoryview(frame)[:1])
        if kind == _GREETING:
            self._greet(frame)
            return []
        if not self._is_greeted:
            raise InvalidInput("a frame came before the greeting", reason="not_greeted")
        if kind == _ACKNOWLEDGEMENT:
            _, received, finished = read_form(_RECEIPT, frame, exact=True)
            self.sender.confirm(received, finished)
            return []
        if kind not in (FRAME, PIECE):
            raise InvalidInput(f"{kind!r} is no kind of frame", reason="bad_frame")
        self._unacknowledged_bytes += len(frame)
        return self.receiver.take(kind, frame)

    def finish(self) -> None:
        """Say that all messages that were received are dealt with for good."""
        self.receiver.finish()

    def acknowledge(self) -> bytes | None:
        """Return an acknowledgement, if there is anything new to acknowledge."""
        state = (self.receiver.received, self.receiver.finished)
        if not self._is_greeted or state == self._acknowledged:
            return None
        self._acknowledged = state
        self._unacknowledged_bytes = 0
        return _RECEIPT.pack(_ACKNOWLEDGEMENT, *state)

    def _greet(self, frame: Buffer) -> None:
        _, session, received = read_form(_HELLO, frame)
        if session != self.session:
            raise InvalidInput("the greeting is of another session", reason="other_session")
        try:
            details = json.loads(bytes(memoryview(frame)[_HELLO.size :]))
        except ValueError:
            details = None
        if not isinstance(details, dict):
            raise InvalidInput("the greeting's details are no JSON object", reason="bad_frame")
        self.sender.resume(received)
        if details.get("process") != self._other_process:
            # The rest of what its predecessor had begun to send will never come.
            self._other_process = details.get("process")
            self.receiver.drop_pieces()
        self.details = details
        self._is_greeted = True
