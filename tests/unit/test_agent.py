"""The agent as a process: who may ask it, what it answers, and when it ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_remote_kernels import __version__

ROOT = Path(__file__).parents[2]
TOKEN = "the-runtimes-own-secret"
RUNTIME = "0123-abcd"
IPYKERNEL = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
# Ends at once, or stays without ever answering: enough where no cell is run.
MUTE = [sys.executable, "-c", "import signal; signal.pause()", "{connection_file}"]
LIMIT_S = 20

ROUTES = [
    ("GET", "/api/kernels"),
    ("POST", "/api/kernels"),
    ("GET", f"/api/kernels/{RUNTIME}"),
    ("DELETE", f"/api/kernels/{RUNTIME}"),
    ("POST", f"/api/kernels/{RUNTIME}/interrupt"),
    ("POST", f"/api/kernels/{RUNTIME}/restart"),
    ("GET", f"/api/kernels/{RUNTIME}/channels"),
    ("POST", "/api/remote-kernels/signal"),
    ("POST", "/api/remote-kernels/stop-kernel"),
    ("GET", "/api/remote-kernels/status"),
    ("GET", "/api/remote-kernels/metrics"),
    ("GET", "/api/remote-kernels/log"),
    ("POST", "/api/remote-kernels/state/variables"),
    ("POST", "/api/remote-kernels/state/capture"),
    ("PUT", "/api/remote-kernels/state/restore"),
    ("GET", "/"),
    ("GET", "/nothing"),
    ("PUT", "/api/kernels"),
]


class Agent:
    """A running agent. Its socket is made here, so nobody has to wait for it."""

    def __init__(self, folder, **changes: Any):
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            settings = {
                "version": __version__,
                "runtime_id": RUNTIME,
                "token": TOKEN,
                "argv": MUTE,
                "directory": str(folder),
                "listen_fd": listener.fileno(),
                **changes,
            }
            self.process = psutil.Popen(
                [sys.executable, "-m", "jupyter_remote_kernels.agent"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                pass_fds=[listener.fileno()],
            )
            self.process.stdin.write(json.dumps(settings).encode())
            self.process.stdin.close()

    def ask(self, method, path, body=None, *, token=TOKEN, headers=None):
        """Send a request; returns status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"token {token}"
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, raw, headers)
        response = connection.getresponse()
        answer = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return answer

    def status(self):
        """What the agent says about itself."""
        return json.loads(self.ask("GET", "/api/remote-kernels/status")[2])

    def kernel(self):
        """The kernel's process."""
        return psutil.Process(self.status()["kernel_pid"])

    def wait(self):
        """Wait until the agent has ended; returns its exit status and its log."""
        status = self.process.wait(LIMIT_S)
        return status, self.process.stdout.read().decode()


@pytest.fixture
def start(tmp_path):
    agents = []

    def make(**changes: Any):
        agents.append(Agent(tmp_path, **changes))
        return agents[-1]

    yield make
    for agent in agents:
        if agent.process.poll() is None:
            agent.process.terminate()
            agent.process.wait(LIMIT_S)
        agent.process.stdout.close()


class TestStrangers:
    @pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "ü"])
    def test_every_route_says_the_same_nothing(self, start, token):
        agent = start()
        answers = set()
        for method, path in ROUTES:
            encoded = None if token is None else token.encode().decode("latin-1")
            status, headers, body = agent.ask(method, path, b"{}", token=encoded)
            for name in ("Date", "Content-Length"):
                headers.pop(name, None)
            answers.add((status, body, tuple(sorted(headers.items()))))
        ((status, body, headers),) = answers
        assert (status, json.loads(body)) == (403, {"reason": "refused", "message": ""})
        assert "Server" not in dict(headers)
        assert agent.kernel().is_running()

    def test_other_ways_to_show_the_token_do_not_count(self, start):
        agent = start()
        path = f"/api/kernels?token={TOKEN}"
        assert agent.ask("GET", path, token=None)[0] == 403
        for headers in (
            {"Cookie": f"token={TOKEN}"},
            {"Authorization": TOKEN},
            {"Authorization": f"Basic {TOKEN}"},
            {"X-Token": TOKEN},
        ):
            assert agent.ask("GET", "/api/kernels", token=None, headers=headers)[0] == 403

    def test_websocket_needs_the_token_the_subprotocol_and_no_browser(self, start):
        agent = start()
        shake = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        }
        known = {**shake, "Sec-WebSocket-Protocol": "v1.kernel.websocket.jupyter.org"}
        path = f"/api/kernels/{RUNTIME}/channels"
        assert agent.ask("GET", path, token=None, headers=known)[0] == 403
        assert agent.ask("GET", path, token="wrong", headers=known)[0] == 403
        assert agent.ask("GET", path, headers=shake)[0] == 400
        origin = {**known, "Origin": "http://localhost"}
        assert agent.ask("GET", path, headers=origin)[0] == 403

    def test_body_of_a_stranger_is_not_taken_into_memory(self, start):
        agent = start()
        with closing(http.client.HTTPConnection("127.0.0.1", agent.port, timeout=5)) as connection:
            connection.putrequest("POST", "/api/kernels")
            connection.putheader("Content-Length", str(2**40))
            connection.endheaders()
            # Answered although not a byte of it was sent.
            assert connection.getresponse().status == 400
        assert agent.status()["kernel_pid"]

    def test_token_is_in_no_command_line_environment_log_or_open_file(self, start, tmp_path):
        agent = start()
        for process in (agent.process, agent.kernel()):
            for name in ("cmdline", "environ"):
                content = Path(f"/proc/{process.pid}/{name}").read_bytes()
                assert TOKEN.encode() not in content
        agent.process.terminate()
        _, log = agent.wait()
        assert TOKEN not in log
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


class TestRoutes:
    def test_it_speaks_jupyter_servers_kernel_api(self, start):
        agent = start()
        (model,) = json.loads(agent.ask("GET", "/api/kernels")[2])
        assert (model["id"], model["execution_state"]) == (RUNTIME, "starting")
        status, _, body = agent.ask("POST", "/api/kernels", {})
        assert (status, json.loads(body)["id"]) == (201, RUNTIME)
        assert agent.ask("GET", f"/api/kernels/{RUNTIME}")[0] == 200
        for path in ("/api/kernels/other", "/api/kernels/..", "/nothing"):
            assert agent.ask("GET", path)[0] in (404, 405), path

    def test_wrong_values_are_refused_with_a_reason(self, start):
        agent = start()
        pid = agent.status()["kernel_pid"]
        wrong = {
            "/api/remote-kernels/signal": [{}, {"signal": 0}, {"signal": "9"}, {"signal": 999}],
            "/api/remote-kernels/stop-kernel": [{"grace_s": -1}, {"grace_s": "x"}],
            f"/api/kernels/{RUNTIME}/restart": [
                {"argv": "kernel"},
                {"argv": [1]},
                {"argv": []},
                {"env": ["A"]},
                {"env": {"A": 1}},
            ],
        }
        for path, bodies in wrong.items():
            for body in [*bodies, b"{", b"[]", b"\xff", b"[" * 100_000]:
                status, _, answer = agent.ask("POST", path, body)
                assert status == 400, (path, body, answer)
                assert json.loads(answer)["reason"] == "invalid_input", (path, body)
        for query in ("offset=x", "limit=1.5", "offset="):
            assert agent.ask("GET", f"/api/remote-kernels/log?{query}")[0] == 400
        assert agent.status()["kernel_pid"] == pid

    def test_log_is_paged(self, start, tmp_path):
        program = "print('0123456789', end='', flush=True); import signal; signal.pause()"
        agent = start(argv=[sys.executable, "-c", program])
        log = tmp_path / "kernel.log"
        kernel = agent.kernel()
        while log.stat().st_size < 10:
            assert kernel.is_running()
        status, headers, page = agent.ask("GET", "/api/remote-kernels/log?offset=3&limit=4")
        assert (status, page, headers["X-Log-Size-Bytes"]) == (200, b"3456", "10")
        assert agent.ask("GET", "/api/remote-kernels/log?offset=99")[2] == b""

    def test_restart_keeps_the_agent(self, start):
        agent = start()
        before = agent.kernel()
        assert agent.ask("POST", f"/api/kernels/{RUNTIME}/restart", {})[0] == 200
        after = agent.status()
        assert after["generation"] == 2
        assert after["kernel_pid"] != before.pid
        assert not before.is_running()

    def test_signal_without_a_kernel_is_a_conflict(self, start):
        agent = start()
        agent.ask("POST", "/api/remote-kernels/stop-kernel", {"grace_s": 0})
        status, _, body = agent.ask("POST", "/api/remote-kernels/signal", {"signal": 2})
        assert (status, json.loads(body)["reason"]) == (409, "no_kernel")
        assert agent.status()["exit"]["reason"] == "signal"

    def test_kernel_that_cannot_be_started_is_reported(self, start):
        agent = start(argv=["/nonexistent/kernel"])
        status = agent.status()
        assert status["exit"]["reason"] == "start_failed"
        assert "/nonexistent/kernel" in status["exit"]["message"]
        status, _, body = agent.ask("POST", f"/api/kernels/{RUNTIME}/restart", {"argv": MUTE})
        assert status == 200, body
        assert agent.kernel().is_running()


class TestEnd:
    def test_silent_agent_ends_itself_with_its_kernel(self, start):
        agent = start(silence_s=1.5)
        kernel = agent.kernel()
        status, log = agent.wait()
        assert status == 0
        assert "agent ended: nobody had contacted it for 2 seconds" in log
        assert not kernel.is_running()

    def test_agent_without_a_kernel_ends_itself(self, start):
        agent = start(argv=["/bin/false"], vacant_s=0.3)
        status, log = agent.wait()
        assert status == 0
        assert "agent ended: its kernel had ended" in log

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_signals_end_it_with_its_kernel_and_its_files(self, start, signum, tmp_path):
        agent = start()
        kernel = agent.kernel()
        agent.process.send_signal(signum)
        status, log = agent.wait()
        assert status == 0
        assert f"ended by {signal.Signals(signum).name}" in log
        assert not kernel.is_running()
        assert {path.name for path in tmp_path.iterdir()} == {"kernel.log", "ended.json"}

    def test_asked_to(self, start):
        agent = start()
        kernel = agent.kernel()
        assert agent.ask("DELETE", f"/api/kernels/{RUNTIME}")[0] == 204
        assert agent.wait()[0] == 0
        assert not kernel.is_running()

    def test_kernel_does_not_outlive_a_killed_agent(self, start):
        agent = start(argv=IPYKERNEL)
        kernel = agent.kernel()
        agent.process.kill()
        # ipykernel looks after its parent once a second.
        assert not psutil.wait_procs([kernel], LIMIT_S)[1]

    def test_whole_process_group_of_the_kernel_goes(self, start, tmp_path):
        child_file = tmp_path / "child"
        program = (
            "import pathlib, signal, subprocess, sys\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
            f"pathlib.Path({str(child_file)!r}).write_text(str(child.pid))\n"
            "print('ready', flush=True)\n"
            "signal.pause()"
        )
        agent = start(argv=[sys.executable, "-c", program])
        kernel = agent.kernel()
        log = tmp_path / "kernel.log"
        while b"ready" not in log.read_bytes():
            assert kernel.is_running()
        child = psutil.Process(int(child_file.read_text()))
        agent.process.terminate()
        agent.wait()
        assert not psutil.wait_procs([child], LIMIT_S)[1]


class TestSettings:
    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "{}", '{"version": "0"}', '"text"', "null", "\ufeff"]
    )
    def test_garbage_is_refused_in_one_line(self, text):
        done = self.run(text.encode())
        assert done.returncode == 2
        assert done.stderr == b""
        (line,) = done.stdout.decode().splitlines()
        assert "agent refused to start" in line

    def test_other_version_is_refused(self, tmp_path):
        settings = {
            "version": "0.0.0",
            "runtime_id": "r",
            "token": TOKEN,
            "argv": MUTE,
            "directory": str(tmp_path),
        }
        done = self.run(json.dumps(settings).encode())
        assert done.returncode == 2
        assert b"its launcher is 0.0.0" in done.stdout
        assert TOKEN.encode() not in done.stdout
        assert list(tmp_path.iterdir()) == []

    def run(self, text):
        return subprocess.run(
            [sys.executable, "-m", "jupyter_remote_kernels.agent"],
            input=text,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
