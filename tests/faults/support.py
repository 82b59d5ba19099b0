"""What the fault tests share: a home of their own, processes in it, and what may not be left."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from jupyter_client import BlockingKernelClient

from benchmarks import tiny_kernel
from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.model.phases import FINAL_PHASES
from jupyter_remote_kernels.testing.doubles import write_entry_points
from tests.server.processes import labelled_processes

LIMIT_S = 20.0
LAUNCHER = Path(__file__).with_name("launcher.py")
TINY = (sys.executable, tiny_kernel.__file__, "{connection_file}")
IPYKERNEL = (sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")


def wait_until(predicate, timeout_s=20.0):
    """Wait for something outside of this process, which nothing tells us about.

    Other processes end and write to the registry without an event for a stranger, so it is
    looked at again and again; the time is only a limit.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (answer := predicate()):
        if time.monotonic() > deadline_s:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)
    return answer


class Home:
    """Directories of a user who has nothing else, and the processes that live in them."""

    def __init__(self, folder):
        self.folder = folder
        self.data = folder / "data"
        self.temporary = folder / "tmp"
        self.state = self.data / "remote_kernels"
        self.runtimes = self.state / "runtimes"
        for path in (self.data, self.temporary):
            path.mkdir(parents=True)
        self.use_other_port()
        self.environ = {
            **os.environ,
            "HOME": str(folder),
            "JUPYTER_DATA_DIR": str(self.data),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "IPYTHONDIR": str(folder / "ipython"),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": os.pathsep.join(
                [str(write_entry_points(folder / "points")), *sys.path[:1], os.getcwd()]
            ),
        }

    def use_other_port(self):
        """Give servers from now on another place; those of one port succeed each other."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def end_left(self):
        """End what servers have left running, as their user does without one."""
        subprocess.run(
            [sys.executable, "-m", "jupyter_remote_kernels.cli.app", "terminate", "--all"],
            env=self.environ,
            check=True,
            timeout=60,
            capture_output=True,
        )

    def add_kernelspec(self, name, argv=TINY, provider="failing", options=None):
        """Write a kernelspec whose kernel is a runtime."""
        environment = {
            "name": name,
            "display_name": name,
            "provider": provider,
            "options": options or {},
        }
        provisioner = {
            "provisioner_name": "remote-kernels",
            "config": {"environment": environment},
        }
        spec = {
            "argv": list(argv),
            "display_name": name,
            "language": "python",
            "metadata": {"kernel_provisioner": provisioner},
        }
        folder = self.data / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(spec))

    def run(self, *arguments: str, **variables: str):
        """Start the launcher; its standard streams are pipes."""
        return subprocess.Popen(
            [sys.executable, str(LAUNCHER), *arguments],
            env={**self.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self, *arguments: str, **variables: str):
        """Run a launcher whose kernel has answered; gives the process and the kernel's id."""
        with self.run(*arguments, **variables) as process:
            try:
                word, _, kernel_id = process.stdout.readline().strip().partition(" ")
                if word != "running":
                    raise AssertionError(process.communicate(timeout=10))
                yield process, kernel_id
            finally:
                with suppress(ProcessLookupError):
                    process.kill()

    def start_again(self):
        """Start a new process over the same directories, and let it end."""
        with self.run("again") as process:
            output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert output == "swept\n"
        return errors

    def records(self):
        """Return the registry's records."""
        path = self.state / "registry.sqlite3"
        if not path.exists():
            return []
        with closing(Registry(path)) as registry:
            return registry.list()

    def ledger(self):
        """Return what has been charged."""
        with closing(Registry(self.state / "registry.sqlite3")) as registry:
            return registry.ledger.list()

    def server_log(self):
        """Return what its Jupyter servers have written on their consoles."""
        return (self.folder / "server.log").read_text()

    def processes(self):
        """Return the living processes of all runtimes, by their mark."""
        return labelled_processes(self.data)

    def leftovers(self):
        """Return everything that may not be there when no process of ours lives."""
        left = {
            "processes": self.processes(),
            "stuck records": [
                (record.id, record.phase.value, record.checkpoint)
                for record in self.records()
                if record.phase not in FINAL_PHASES or record.checkpoint is not None
            ],
            "directories": _names(self.runtimes),
            "owners": _names(self.state / "owners"),
            "temporary files": [name for name in _names(self.temporary) if name.startswith("jrk")],
            "sockets": [
                str(path) for path in self.folder.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)
            ],
        }
        return {kind: found for kind, found in left.items() if found}


def _names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def tell(process, word):
    """Write a line to a process."""
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


class Handle:
    """A runtime of a control plane in this process, with a client of its kernel."""

    def __init__(self, plane, driver):
        self.plane = plane
        self.driver = driver
        self.client = BlockingKernelClient()
        self.client.load_connection_info(driver.bridge.connection)
        self.client.start_channels(hb=False)

    def on(self, work, timeout_s=LIMIT_S):
        """Run a coroutine on the control plane's loop."""
        return self.plane.submit(work).result(timeout_s)

    def until(self, predicate, timeout_s=LIMIT_S):
        """Wait for a change after which the predicate holds.

        A few things that tests look at are told to nobody; they are looked at again soon.
        """

        async def wait():
            while not predicate(self.driver):
                changed = self.plane.services.changed(self.driver.record.id)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed, 0.02)

        self.on(asyncio.wait_for(wait(), timeout_s))

    def until_phase(self, phase):
        """Wait for a phase."""
        self.until(lambda driver: driver.record.phase is phase)

    def settle(self):
        """Wait until the kernel answers."""
        self.on(self.driver.wait_settled())

    def stop(self):
        """Terminate it; returns when it is gone."""
        self.on(self.driver.stop())

    @property
    def phase(self):
        """Its phase."""
        return self.driver.record.phase

    @property
    def agent_pid(self):
        """Process id of its agent."""
        return self.driver.record.checkpoint["pid"]

    def kernel_pid(self):
        """Ask the agent for its kernel's process id."""
        return self.on(self._status())["kernel_pid"]

    async def _status(self):
        answer = await self.driver.link.client._fetch("GET", "/api/remote-kernels/status")
        return json.loads(answer.body)

    def send(self, code):
        """Send a cell and return its id."""
        return self.client.execute(code)

    def outcome(self, msg_id):
        """Return the reply to a cell and everything that was published for it."""
        reply = self.client.get_shell_msg(timeout=LIMIT_S)
        while reply["parent_header"].get("msg_id") != msg_id:
            reply = self.client.get_shell_msg(timeout=LIMIT_S)
        published = []
        while True:
            message = self.client.get_iopub_msg(timeout=LIMIT_S)
            if message["parent_header"].get("msg_id") == msg_id:
                published.append(message)
                if message["content"].get("execution_state") == "idle":
                    return reply["content"], published

    def execute(self, code):
        """Run a cell and return what the tiny kernel publishes as its result."""
        reply, published = self.outcome(self.send(code))
        assert reply["status"] == "ok", reply
        (result,) = [m["content"] for m in published if m["msg_type"] == "execute_result"]
        assert result["data"]["text/plain"] == code
        return result["execution_count"]

    def next_state(self, msg_id):
        """Return the next execution state that is published for a cell."""
        while True:
            message = self.client.get_iopub_msg(timeout=LIMIT_S)
            if message["parent_header"].get("msg_id") == msg_id:
                return message["content"].get("execution_state")
