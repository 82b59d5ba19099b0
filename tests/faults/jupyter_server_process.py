"""A real Jupyter server of a home, as a process of its own, to be killed and started again."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager

import websocket

from tests.faults.support import wait_until

TOKEN = "test-token"


class JupyterServer:
    """``python -m jupyter_server`` with our extension, over a home's directories."""

    def __init__(self, home, *command: str, autorestart: bool = True, **settings: object):
        # A server that is started again has the same place, or it would be another one.
        self.port = home.port
        self.home = home
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
            "KernelManager": {"autorestart": autorestart},
            "RemoteKernels": settings,
        }
        (config / "jupyter_server_config.json").write_text(json.dumps(sections))
        with (home.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(command or ("-m", "jupyter_server"))],
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
            except ConnectionError:
                # Before it listens for good, it tries the port and closes it again.
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

    def kill(self):
        """End it as by a power cut."""
        self.process.kill()
        self.process.wait()

    def end(self, signum=signal.SIGTERM):
        """End it as its user does; it has to end well."""
        self.process.send_signal(signum)
        assert self.process.wait(timeout=30) == 0


@contextmanager
def serving(home, *command: str, autorestart: bool = True, **settings: object):
    """Run a server for as long as the block; what is left of it is killed."""
    server = JupyterServer(home, *command, autorestart=autorestart, **settings)
    try:
        server.wait_up()
        yield server
    finally:
        server.kill()


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


def run(server, kernel_id, code):
    """Run a cell; returns what it printed."""
    with server.open(kernel_id) as channel:
        msg_id = execute(channel, code)
        text = ""
        while True:
            message = json.loads(channel.recv())
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            if message["msg_type"] == "stream":
                text += message["content"]["text"]
            if message["msg_type"] == "execute_reply":
                assert message["content"]["status"] == "ok", message["content"]
            if message["content"].get("execution_state") == "idle":
                return text


def end_all(home):
    """Start a server that takes everything back and ends it with itself."""
    with serving(home, on_server_stop="terminate") as server:
        server.end()
