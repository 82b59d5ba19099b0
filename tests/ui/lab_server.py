"""A real JupyterLab with our extension, in a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.testing.doubles import (
    QUEUE_VARIABLE,
    QueueingProvider,
    write_entry_points,
)
from tests.ui.plug import PLUG_VARIABLE, PlugProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG = """\
c.RemoteKernels.environments = {
    "python": {"display_name": "Python (remote)", "provider": "local"},
    "small": {
        "display_name": "Small (remote)",
        "provider": "local",
        "resources": {"memory": "400MiB"},
    },
    "queued": {"display_name": "Queued (remote)", "provider": "queueing"},
    "far": {"display_name": "Far away (remote)", "provider": "plug"},
    "box": {
        "display_name": "Box (remote)",
        "description": "For what takes long.",
        "provider": "local",
        "credits_per_hour": 6,
        "default_lease_s": 1800,
        "max_lease_s": 7200,
        "resources": {"cpu": 1},
        "max_resources": {"cpu": 2},
        "example_notebook": "examples/start.ipynb",
    },
}
c.RemoteKernels.stop_grace_s = 1.0
c.RemoteKernels.on_server_stop = "terminate"
c.RemoteKernels.credits_budget = 50.0
"""
# The example notebook of the environment "box".
EXAMPLE = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "first",
            "metadata": {},
            "outputs": [],
            "source": "'from the ' + 'example'",
        }
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
# News are fetched from the internet, and their toast covers the page.
DISABLED = ("@jupyterlab/apputils-extension:announcements",)
# JupyterLab gives up on a completion after 1 s, which the first one of a kernel may need on a
# machine that is busy with other tests.
SETTINGS = {"completer-extension/manager": {"providerTimeout": 20_000}}
# What the queueing provider says about a job in its queue.
QUEUE_WORDS = "Waiting for resources (position 3)"
_ROOT = Path(__file__).resolve().parents[2]
_START_LIMIT_S = 45.0
_STOP_LIMIT_S = 15.0


class LabServer:
    """One JupyterLab. Its directories are its own, so nothing of the user is seen or changed.

    Parameters
    ----------
    directory : Path
        Where configuration, data and notebooks are put.
    config : str
        The content of ``jupyter_server_config.py``.
    disabled : sequence of str
        Plugins of the page that are switched off.
    """

    def __init__(self, directory: Path, config: str = CONFIG, disabled: Sequence[str] = ()) -> None:
        self.root = directory / "notebooks"
        self.data_dir = directory / "data"
        self.log_path = directory / "server.log"
        self.token = secrets.token_hex(16)
        self._directory = directory
        self._doubles = directory / "doubles"
        self._queue = directory / "queue"
        self._plug = directory / "cable-is-out"
        self._config = config
        self._page_config = {"disabledExtensions": dict.fromkeys((*DISABLED, *disabled), True)}
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        self._reader: threading.Thread | None = None
        self._port = 0
        self.url = ""

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._write_config()
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._start()

    def kill(self) -> None:
        """End it as a crash does: it has no time for anything."""
        if self._process is not None:
            self._process.kill()
            self._clean_up()

    def start_again(self) -> None:
        """Start it in the place where it was."""
        self._start()

    def _start(self) -> None:
        self._ready.clear()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *self._arguments(self._port)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env=self._environ(),
            cwd=self.root,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        if not self._ready.wait(_START_LIMIT_S) or self._process.poll() is not None:
            self.stop()
            raise RuntimeError(f"JupyterLab did not start:\n{self.log_path.read_text()}")
        # It says so a moment before it listens.
        deadline_s = time.monotonic() + _START_LIMIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
            except OSError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop it with all its kernels."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
        self._clean_up()

    def _clean_up(self) -> None:
        process, self._process = self._process, None
        if process is None or self._reader is None:
            return
        process.wait()
        self._reader.join()
        if process.stderr is not None:
            process.stderr.close()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server over REST; returns the JSON of the answer."""
        request = urllib.request.Request(  # noqa: S310 - the URL is this server's
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - as above
            content = reply.read()
        return json.loads(content) if content else None

    def shut_down_sessions(self) -> None:
        """End all notebooks' kernels, and those without a notebook."""
        # Several may share one kernel, and all of them go when it does.
        while sessions := self.api("GET", "/api/sessions"):
            self.api("DELETE", f"/api/sessions/{sessions[0]['id']}")
        for kernel in self.api("GET", "/api/kernels"):
            self.api("DELETE", f"/api/kernels/{kernel['id']}")

    def leave_queue(self, runtime_id: str) -> None:
        """Let a runtime of the environment "queued" be started."""
        QueueingProvider(folder=self._queue).release(f"jrk-{runtime_id}")

    def unplug(self) -> None:
        """Pull out the cable to the runtimes of the environment "far"."""
        self._plug.touch()

    def plug_in(self) -> None:
        """Put the cable in again."""
        self._plug.unlink()

    def _arguments(self, port: int) -> list[str]:
        arguments = [
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.root}",
            "--ServerApp.jpserver_extensions=jupyter_remote_kernels=True",
            f"--IdentityProvider.token={self.token}",
            f"--LabApp.workspaces_dir={self._directory / 'workspaces'}",
            f"--LabApp.user_settings_dir={self._directory / 'settings'}",
            "--LabApp.expose_app_in_browser=True",
        ]
        if os.geteuid() == 0:
            arguments.append("--allow-root")
        return arguments

    def _environ(self) -> dict[str, str]:
        path = os.environ.get("PYTHONPATH", "")
        return {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(self._directory / "config"),
            "JUPYTER_DATA_DIR": str(self.data_dir),
            "JUPYTER_RUNTIME_DIR": str(self._directory / "runtime"),
            "IPYTHONDIR": str(self._directory / "ipython"),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(self._doubles), str(_ROOT), path])),
            QUEUE_VARIABLE: str(self._queue),
            PLUG_VARIABLE: str(self._plug),
        }

    def _write_config(self) -> None:
        pages = self._directory / "config" / "labconfig"
        pages.mkdir(parents=True)
        (pages / "page_config.json").write_text(json.dumps(self._page_config))
        (pages.parent / "jupyter_server_config.py").write_text(self._config)
        for name, values in SETTINGS.items():
            path = self._directory / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(values))
        points = {provider.name: provider for provider in (QueueingProvider, PlugProvider)}
        write_entry_points(
            self._doubles,
            {name: f"{one.__module__}:{one.__name__}" for name, one in points.items()},
        )
        example = self.root / "examples" / "start.ipynb"
        example.parent.mkdir(parents=True)
        example.write_text(json.dumps(EXAMPLE))

    def _read_log(self) -> None:
        # The pipe must be read until the end, or the server would stand still on a full one.
        process = self._process
        if process is None or process.stderr is None:
            return
        with self.log_path.open("a") as log:
            for line in process.stderr:
                log.write(line)
                log.flush()
                if " is running at:" in line:
                    self._ready.set()
        self._ready.set()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
