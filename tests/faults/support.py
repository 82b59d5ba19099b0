"""What the fault tests share: a home of their own, processes in it, and what may not be left."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from benchmarks import tiny_kernel
from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.model.phases import FINAL_PHASES
from jupyter_remote_kernels.testing.doubles import write_entry_points
from tests.server.processes import labelled_processes

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

    def run(self, *arguments, **variables):
        """Start the launcher; its standard streams are pipes."""
        return subprocess.Popen(
            [sys.executable, str(LAUNCHER), *arguments],
            env={**self.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

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
