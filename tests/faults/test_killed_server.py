"""A real Jupyter server is killed while kernels run in it, and started again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from datetime import datetime

import psutil
import websocket

from jupyter_remote_kernels.model.phases import FINAL_PHASES, Phase
from tests.faults.support import wait_until

TOKEN = "test-token"


class JupyterServer:
    """``python -m jupyter_server`` with our extension, over a home's directories."""

    def __init__(self, home, **settings: object):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        root = home.folder / "notebooks"
        config = home.folder / "config"
        for path in (root, config):
            path.mkdir(exist_ok=True)
        sections = {
            "ServerApp": {
                "jpserver_extensions": {"jupyter_remote_kernels": True, "jupyterlab": False},
                "port": self.port,
                "port_retries": 0,
                "open_browser": False,
                "allow_root": True,
                "root_dir": str(root),
            },
            "IdentityProvider": {"token": TOKEN},
            "RemoteKernels": settings,
        }
        (config / "jupyter_server_config.json").write_text(json.dumps(sections))
        with (home.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_server"],
                env=home.environ,
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ask(self, method, path, body=None):
        """Send one request and return its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"token {TOKEN}"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        assert response.status < 300, content
        return json.loads(content) if content else None

    def wait_up(self):
        """Wait until it answers; nothing tells a stranger when it does."""

        def answers():
            assert self.process.poll() is None, "the server has ended"
            try:
                return self.ask("GET", "/api")
            except ConnectionRefusedError:
                return None

        wait_until(answers, 60)

    @contextmanager
    def open(self, kernel_id):
        """Open the websocket of a kernel."""
        channel = websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/api/kernels/{kernel_id}/channels",
            header=[f"Authorization: token {TOKEN}"],
            timeout=60,
        )
        try:
            yield channel
        finally:
            channel.shutdown()  # without a farewell, which the server may not live to hear


@contextmanager
def serving(home, **settings: object):
    server = JupyterServer(home, **settings)
    try:
        server.wait_up()
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def execute(channel, code):
    """Send a cell."""
    msg_id = uuid.uuid4().hex
    header = {"msg_id": msg_id, "msg_type": "execute_request", "session": "s", "username": "u"}
    header.update(version="5.3", date="2000-01-01T00:00:00Z")
    content = {"code": code, "silent": False, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    channel.send(json.dumps({**message, "channel": "shell", "buffers": []}))
    return msg_id


def wait_for_output(channel, msg_id, msg_type):
    """Return the content of the first message of a type that answers a cell."""
    while True:
        message = json.loads(channel.recv())
        if message["parent_header"].get("msg_id") == msg_id and message["msg_type"] == msg_type:
            return message["content"]


def start_busy_kernel(server):
    """Start a kernel that works until it is killed; returns its id."""
    kernel_id = server.ask("POST", "/api/kernels", {"name": "remote-python"})["id"]
    with server.open(kernel_id) as channel:
        msg_id = execute(channel, "print('working', flush=True)\nwhile True: pass")
        assert wait_for_output(channel, msg_id, "stream")["text"] == "working\n"
    return kernel_id


def test_killed_server_with_a_busy_kernel_and_its_next_start(home):
    with serving(home) as server:
        first = start_busy_kernel(server)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    # The kernel goes on with its endless loop, and so does its agent.
    assert len(home.processes()) == 2
    with serving(home) as server:
        wait_until(lambda: not home.processes())
        assert server.ask("GET", "/api/kernels") == []
        kernel_id = server.ask("POST", "/api/kernels", {"name": "remote-python"})["id"]
        with server.open(kernel_id) as channel:
            msg_id = execute(channel, "6 * 7")
            assert wait_for_output(channel, msg_id, "execute_reply")["status"] == "ok"
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=30)
    phases = {record.id: record.phase for record in home.records()}
    assert phases == {first: Phase.STOPPED, kernel_id: Phase.STOPPED}


def test_kernel_of_a_killed_server_ends_by_itself(home):
    with serving(home, silence_timeout_s=0.5) as server:
        start_busy_kernel(server)
        processes = [psutil.Process(pid) for pid in home.processes()]
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive
    home.start_again()
    assert all(record.phase in FINAL_PHASES for record in home.records())


def test_reservation_holds_without_the_server(home):
    with serving(home) as server:
        body = {"environment": "python", "lease_s": 5}
        runtime_id = server.ask("POST", "/api/remote-kernels/runtimes", body)["id"]
        route = f"/api/remote-kernels/runtimes/{runtime_id}"
        wait_until(lambda: server.ask("GET", route)["phase"] == "running")
        with server.open(runtime_id) as channel:
            msg_id = execute(channel, "print('working', flush=True)\nwhile True: pass")
            wait_for_output(channel, msg_id, "stream")
        expires_at = server.ask("GET", route)["expires_at"].replace("Z", "+00:00")
        assert len(home.processes()) == 2
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    left_s = datetime.fromisoformat(expires_at).timestamp() - time.time()
    assert left_s > 0, "the machine was too slow for this test"
    wait_until(lambda: not home.processes(), left_s + 30)
    late_s = time.time() - datetime.fromisoformat(expires_at).timestamp()
    assert 0 <= late_s < 1, late_s
    # The next start finds out why, and charges until the end and not until now.
    home.start_again()
    (record,) = home.records()
    assert record.phase is Phase.STOPPED
    assert record.exit is not None
    assert record.exit.reason == "lease_over"
    (entry,) = home.ledger()
    assert not entry.is_open
    assert abs(entry.seconds - 5) < 1
