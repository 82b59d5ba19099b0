"""A real Jupyter server with our extension, in this process, with directories of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp

# A plugin named here and not in the root would otherwise reach the other test folders too.
from pytest_jupyter.jupyter_server import *  # noqa: F403 - fixtures are found by their names

from jupyter_remote_kernels.control import plane as planes
from jupyter_remote_kernels.jupyter.runtimes import EVENT_SCHEMA
from tests.server.api import Api
from tests.server.browser import Browser
from tests.server.processes import labelled_processes
from tests.server.server_process import start_process

_figures = pytest.StashKey()


@pytest.fixture
def measured(request):
    """Takes figures in seconds; they are shown at the end of the run."""
    figures = request.config.stash.setdefault(_figures, {})
    return lambda what, seconds: figures.update({f"{request.node.name}: {what}": seconds})


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash.get(_figures, {})
    if figures:
        terminalreporter.section("measured")
    for what, seconds in figures.items():
        terminalreporter.line(f"{seconds:8.3f} s  {what}")


@pytest.fixture
def environments():
    """Environments of the server; a test file may have others."""
    return {"python": {"display_name": "Python (remote)", "provider": "local"}}


@pytest.fixture
def server_settings():
    """More configuration, by section; for a test file or a class to fill in."""
    return {}


@pytest.fixture
def providers():
    """For a test file that puts providers of its own in place, for as long as the server."""


@pytest.fixture
def jp_server_config(environments, server_settings):
    config = {
        "ServerApp": {"jpserver_extensions": {"jupyter_remote_kernels": True}},
        "RemoteKernels": {
            "environments": environments,
            "stop_grace_s": 1.0,
            # No test's kernel may go on after it; a test of that says otherwise.
            "on_server_stop": "terminate",
        },
    }
    for section, values in server_settings.items():
        config.setdefault(section, {}).update(values)
    return config


@pytest.fixture(autouse=True)
def jp_server_cleanup(jp_asyncio_loop, jp_environ, jp_data_dir, providers):
    """Stop server and control plane while their directories are still in the environment."""
    yield
    app = ServerApp.instance()
    if hasattr(app, "kernel_manager"):
        with contextlib.suppress(SystemExit):
            jp_asyncio_loop.run_until_complete(app._cleanup())
        app.kernel_manager.context.destroy()
    ServerApp.clear_instance()
    for directory, plane in list(planes._planes.items()):
        plane.close()
        del planes._planes[directory]
    left = labelled_processes(jp_data_dir)
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def api(jp_serverapp, http_server_client, jp_auth_header, jp_base_url):
    """Ask the server; every answer of ours is held to its description."""
    return Api(http_server_client, jp_base_url, jp_auth_header)


@pytest.fixture
def plane(jp_serverapp):
    """The control plane of this test's server."""
    (found,) = planes._planes.values()
    return found


class Events:
    """What the server has told about runtimes, in order, to be waited for."""

    def __init__(self):
        self.seen = []
        self._news = asyncio.Event()
        self._read = 0

    async def take(self, logger, schema_id, data):
        self.seen.append(data)
        self._news.set()

    async def next(self):
        """Wait for one more event."""
        while self._read == len(self.seen):
            self._news.clear()
            await self._news.wait()
        self._read += 1
        return self.seen[self._read - 1]

    async def until(self, **wanted: Any):
        """Wait for an event with these values."""
        while True:
            event = await self.next()
            if wanted.items() <= event.items():
                return event


@pytest.fixture
def events(jp_serverapp):
    """Listens to our events from now on."""
    listener = Events()
    jp_serverapp.event_logger.add_listener(schema_id=EVENT_SCHEMA, listener=listener.take)
    return listener


@pytest.fixture
def launch(api, events):
    """Start a runtime over REST and wait until its kernel answers."""

    async def start(environment="python", **fields: Any):
        reply = await api("POST", "/runtimes", {"environment": environment, **fields})
        assert reply.status == 202, reply
        operation = reply.body["operation"]
        event = await events.until(action="operation", operation_id=operation)
        while event["operation_state"] == "running":
            event = await events.until(action="operation", operation_id=operation)
        outcome = (await api("GET", f"/operations/{operation}")).body
        assert outcome["state"] == "succeeded", outcome
        return reply.body["id"]

    return start


@pytest.fixture
def open_browser(jp_ws_fetch, jp_asyncio_loop):
    """Open a websocket to a kernel, as a notebook does."""
    opened = []

    async def connect(kernel_id, session_id=None, protocol="v1.kernel.websocket.jupyter.org"):
        browser = Browser(session_id)
        offered = [protocol] if protocol else None
        browser.socket = await jp_ws_fetch(
            *("api", "kernels", kernel_id, "channels"),
            params={"session_id": browser.session_id},
            subprotocols=offered,
            max_message_size=2**40,
        )
        browser.is_framed = bool(protocol)
        opened.append(browser)
        return browser

    yield connect

    async def close_all():
        for browser in opened:
            # A test that was stopped half-way may still be reading.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(browser.close(), 5)

    jp_asyncio_loop.run_until_complete(close_all())


@pytest.fixture
def notebook(jp_root_dir):
    """Write a notebook with code cells."""

    def write(name, *cells: str):
        path = jp_root_dir / name
        code = [
            {
                "cell_type": "code",
                "id": f"cell{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells)
        ]
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        metadata = {"kernelspec": spec, "language_info": {"name": "python"}}
        content = {"cells": code, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.fixture
def start_server(jp_environ, jp_root_dir, jp_asyncio_loop):
    """Start a server as a process of its own; ended with the test."""
    servers = []

    async def start(*arguments):
        servers.append(await start_process(jp_root_dir, *arguments))
        return servers[-1]

    yield start

    async def end_all():
        for server in servers:
            with contextlib.suppress(ProcessLookupError):
                server.process.terminate()
            await server.process.wait()

    jp_asyncio_loop.run_until_complete(end_all())
