"""A real kernel whose state is captured and restored: plays the agent's part of the socket."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from queue import Empty

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from jupyter_remote_kernels.protocol.state_stream import (
    ChunkRecord,
    JsonRecord,
    KnownRecord,
    StreamReader,
    encode_digests,
    encode_json,
)
from jupyter_remote_kernels.state.injection import make_call

TIMEOUT_S = 120
# Imports what every kernel needs, and then becomes a kernel in a child for each line it reads.
MOTHER = """
import os, sys
import ipykernel.kernelapp, ipykernel.ipkernel
print("ready", flush=True)
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        sys.stdin = open(os.devnull)
        out = os.open(os.devnull, os.O_WRONLY)
        os.dup2(out, 1)
        ipykernel.kernelapp.launch_new_instance(argv=["-f", line.strip()])
        os._exit(0)
    print(pid, flush=True)
    while True:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                break
        except ChildProcessError:
            break
"""
PIECE_BYTES = 1 << 20


class CellFailed(Exception):
    """A cell raised."""


class Mother:
    """Starts kernels by forking, each as fresh as one that was spawned."""

    def __init__(self, python=sys.executable):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            [python, "-Wignore", "-c", MOTHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tempfile.gettempdir(),
            env=environment,
        )
        assert self._process.stdout.readline() == "ready\n"

    def start(self, file):
        self._process.stdin.write(f"{file}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(TIMEOUT_S)


class StateKernel:
    """One kernel with a client, and the listening side of state operations."""

    def __init__(self, mother):
        self._folder = tempfile.TemporaryDirectory()
        file = str(Path(self._folder.name) / "kernel.json")
        write_connection_file(file, ip=str(Path(self._folder.name) / "k"), transport="ipc")
        self._pid = mother.start(file)
        self.client = BlockingKernelClient(connection_file=file)
        self.client.load_connection_file()
        self.client.start_channels(hb=False)
        self.client.wait_for_ready(timeout=TIMEOUT_S)

    def close(self):
        self.client.stop_channels()
        self.client.context.destroy(linger=0)
        os.kill(self._pid, signal.SIGKILL)
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def run(self, code):
        """Run a cell as a user does, and return what it printed."""
        printed = []

        def hook(message):
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self.client.execute_interactive(code, timeout=TIMEOUT_S, output_hook=hook)
        if reply["content"]["status"] != "ok":
            error = reply["content"]
            raise CellFailed(f"{error['ename']}: {error['evalue']}")
        return "".join(printed)

    def evaluate(self, expression):
        """Return what an expression is, by way of JSON, without a trace in the history."""
        reply = self.client.execute(
            "", silent=True, user_expressions={"it": f"__import__('json').dumps({expression})"}
        )
        while True:
            message = self.client.get_shell_msg(timeout=TIMEOUT_S)
            if message["parent_header"]["msg_id"] == reply:
                found = message["content"]["user_expressions"]["it"]
                if found["status"] != "ok":
                    raise CellFailed(f"{found['ename']}: {found['evalue']}")
                return json.loads(eval(found["data"]["text/plain"]))  # noqa: S307 - a repr of ours

    def connect(self):
        """Let the kernel call back; return the connection and the request's id."""
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            path = str(Path(folder) / "s")
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(TIMEOUT_S)
            token = secrets.token_hex(16)
            request = self.client.execute(make_call(path, token), silent=True, store_history=False)
            connection, _ = listener.accept()
        connection.settimeout(TIMEOUT_S)
        said = b""
        while not said.endswith(b"\n"):
            said += connection.recv(1)
        assert said == token.encode() + b"\n"
        return connection, request

    def finish(self, request):
        """Wait for the end of the request; nothing of it may have reached the user's output."""
        reply = self.client.get_shell_msg(timeout=TIMEOUT_S)
        while reply["parent_header"].get("msg_id") != request:
            reply = self.client.get_shell_msg(timeout=TIMEOUT_S)
        assert reply["content"]["status"] == "ok", reply["content"]
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") != request:
                continue
            assert message["msg_type"] == "status", message["content"]
            if message["content"]["execution_state"] == "idle":
                return

    def ask(self, command):
        """Do an operation that has a short answer."""
        connection, request = self.connect()
        with connection:
            connection.sendall(encode_json(command))
            answer = read_json(connection)
        self.finish(request)
        return answer

    def capture(self, names=None, hashing="none", known=(), **others):
        """Return the bytes of a state stream."""
        connection, request = self.connect()
        command = {"op": "capture", "names": names, "hash": hashing, **others}
        with connection:
            connection.sendall(encode_json(command))
            for buffer in encode_digests(known):
                connection.sendall(buffer)
            connection.sendall(encode_json({"op": "go"}))
            data = bytearray()
            while piece := connection.recv(PIECE_BYTES):
                data += piece
        self.finish(request)
        return bytes(data)

    def restore(self, stream, names=None, on_conflict="replace", **others):
        """Feed a state stream; return the report."""
        connection, request = self.connect()
        command = {"op": "restore", "names": names, "on_conflict": on_conflict, **others}
        with connection:
            # A kernel that refuses a stream does not read it to its end.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(encode_json(command) + stream)
            answer = read_json(connection)
        self.finish(request)
        return answer

    def drain(self):
        """Forget messages that nobody read."""
        try:
            while True:
                self.client.get_iopub_msg(timeout=0)
        except Empty:
            return


def read_json(connection):
    reader = StreamReader()
    while piece := connection.recv(PIECE_BYTES):
        for record in reader.feed(piece):
            assert isinstance(record, JsonRecord)
            return record.value
    raise AssertionError("the kernel closed the connection without an answer")


def read_stream(stream):
    """Return a state stream's JSON records, and the chunks among them."""
    records = StreamReader().feed(stream)
    texts = [record.value for record in records if isinstance(record, JsonRecord)]
    chunks = [record for record in records if isinstance(record, (ChunkRecord, KnownRecord))]
    return texts, chunks


def read_report(stream):
    """Return name -> entry of what the end of a stream reports."""
    texts, _ = read_stream(stream)
    assert texts[-1]["type"] == "end", texts[-1]
    return {entry["name"]: entry for entry in texts[-1]["variables"]}
