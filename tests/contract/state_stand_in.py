"""Stands in for the capture code in a kernel, and misbehaves as it is told.

``python state_stand_in.py -f connection_file`` is an IPython kernel that has it. What it has sent
so far stands in the file ``sent`` of its directory. The names in a command say what to do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import socket
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path

from jupyter_remote_kernels.protocol.state_stream import (
    HEAD_BYTES,
    ChunkRecord,
    JsonRecord,
    StreamReader,
    encode_json,
    parse_head,
    parse_record,
)

CHUNK = bytes(range(256)) * 4096


class Conversation:
    """The kernel's end of one call."""

    def __init__(self, address, token):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address)
        self._socket.sendall(token.encode() + b"\n")
        self._sent = 0

    def serve(self):
        kind, length = parse_head(self._receive(HEAD_BYTES))
        command = parse_record(kind, self._receive(length)).value
        getattr(self, "do_" + command["op"])(*(command.get("names") or ["nothing"]))
        self._socket.close()

    def do_variables(self, *names):
        if names[0] == "fifo":
            Path(names[1]).read_text()  # opened for both at once, and read when it is closed
        if names[0] == "error":
            self._say(type="error", reason="told_so", message="It was told so.", hint="Do not.")
        else:
            self._say(type="variables", variables=[{"name": name} for name in names])

    def do_capture(self, what, *numbers):
        known = 0
        reader = StreamReader()
        while True:
            records = reader.feed(self._socket.recv(1 << 20))
            known += sum(len(getattr(record, "digests", ())) for record in records)
            if records and isinstance(records[-1], JsonRecord):
                break
        getattr(self, "capture_" + what)(*map(int, numbers))
        self._say(type="end", known=known)

    def do_restore(self, what, *numbers):
        if what == "refuse":
            self._receive(10_000)
            self._say(type="error", reason="restore_failed", message="No.", hint="")
            return
        digest = hashlib.sha256()
        size = 0
        reader = StreamReader()
        while True:
            data = self._socket.recv(1 << 20)
            if not data:
                return
            for record in reader.feed(data):
                if isinstance(record, ChunkRecord):
                    digest.update(record.data)
                    size += record.size
                    if what == "die" and size > int(numbers[0]):
                        os.kill(os.getpid(), signal.SIGKILL)
                elif record.value["type"] == "end":
                    self._say(type="restored", size=size, digest=digest.hexdigest())
                    return

    def capture_nothing(self):
        """No chunks at all."""

    def capture_chunks(self, count):
        for _ in range(count):
            for part in ChunkRecord(bytes(32), CHUNK).encode():
                self._socket.sendall(part)
            self._sent += len(CHUNK)
            Path("sent").write_text(str(self._sent))

    def capture_die(self, count):
        self.capture_chunks(count)
        os.kill(os.getpid(), signal.SIGKILL)

    def capture_hang(self, count):
        self.capture_chunks(count)
        while True:
            time.sleep(0.01)  # as somebody's own code may, which a capture calls

    def capture_raise(self):
        raise ValueError("nobody may see this")

    def _receive(self, size):
        data = b""
        while len(data) < size:
            data += self._socket.recv(size - len(data))
        return data

    def _say(self, **value):
        self._socket.sendall(encode_json(value))


def serve(address, token):
    conversation = Conversation(address, token)
    try:
        conversation.serve()
    except (BrokenPipeError, KeyboardInterrupt):
        return  # cancelled


def install():
    """Let ``from _jrk_state import entry`` find this module."""
    package = importlib.util.module_from_spec(ModuleSpec("_jrk_state", None))
    package.entry = sys.modules[__name__]
    sys.modules["_jrk_state"] = package


if __name__ == "__main__":
    from ipykernel.kernelapp import IPKernelApp

    install()
    IPKernelApp.launch_instance()
