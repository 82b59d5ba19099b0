"""When our classes are installed, when they stay out, and what they keep to themselves."""

from __future__ import annotations

import os
import shutil
import stat

import psutil
import pytest
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.services.sessions.sessionmanager import SessionManager

from jupyter_remote_kernels.jupyter.kernel_manager import RemoteMappingKernelManager
from jupyter_remote_kernels.jupyter.session_manager import RemoteSessionManager
from jupyter_remote_kernels.jupyter.websocket import RemoteChannelsWebsocketConnection
from tests.server.processes import labelled_processes


class AdminsKernelManager(AsyncMappingKernelManager):
    """What an admin has configured."""


class AdminsSubclass(RemoteMappingKernelManager):
    """An admin who wants both."""


@pytest.fixture(autouse=True)
def stderr(capsys):
    """In place before the server, whose log goes there while it is made."""
    return capsys


@pytest.fixture
def warnings_told(jp_serverapp, stderr):
    """What the server's log says about us while it is made."""
    lines = stderr.readouterr().err.splitlines()
    return [line for line in lines if "jupyter_remote_kernels: " in line]


async def test_nothing_configured_installs_all_three(jp_serverapp, warnings_told):
    assert isinstance(jp_serverapp.kernel_manager, RemoteMappingKernelManager)
    assert isinstance(jp_serverapp.session_manager, RemoteSessionManager)
    connection = jp_serverapp.web_app.settings["kernel_websocket_connection_class"]
    assert connection is RemoteChannelsWebsocketConnection
    assert warnings_told == []


class TestAdminsOwnKernelManager:
    @pytest.fixture
    def server_settings(self):
        return {"ServerApp": {"kernel_manager_class": AdminsKernelManager}}

    async def test_extension_stays_out_and_says_so(self, jp_serverapp, api, warnings_told):
        assert type(jp_serverapp.kernel_manager) is AdminsKernelManager
        # Kernel and session manager come together or not at all.
        assert type(jp_serverapp.session_manager) is SessionManager
        (first, second) = warnings_told
        assert "ServerApp.kernel_manager_class is" in first
        assert "AdminsKernelManager" in first
        assert "RemoteMappingKernelManager" in first
        assert "session_manager_class" in second
        assert "environments are not offered" in first
        assert (await api.fetch("GET", "/api/remote-kernels/runtimes")).status == 404
        specs = (await api.fetch("GET", "/api/kernelspecs")).body["kernelspecs"]
        assert not [name for name in specs if name.startswith("remote-")]

    async def test_ordinary_kernels_work(self, api):
        reply = await api.fetch("POST", "/api/kernels", b'{"name": "echo"}')
        assert reply.status == 201


class TestAdminsSubclassOfOurs:
    @pytest.fixture
    def server_settings(self):
        return {
            "ServerApp": {
                "kernel_manager_class": AdminsSubclass,
                "session_manager_class": RemoteSessionManager,
            }
        }

    async def test_everything_works(self, jp_serverapp, api, launch, warnings_told):
        assert warnings_told == []
        runtime_id = await launch()
        assert (await api("GET", f"/runtimes/{runtime_id}")).status == 200


class TestAdminsOwnWebsocket:
    @pytest.fixture
    def server_settings(self):
        return {"ServerApp": {"kernel_websocket_connection_class": ZMQChannelsWebsocketConnection}}

    async def test_runtimes_work_with_the_stock_connection(
        self, launch, open_browser, warnings_told
    ):
        (warning,) = warnings_told
        assert "kernel_websocket_connection_class" in warning
        browser = await open_browser(await launch())
        assert (await browser.execute("print(1)")).text == "1\n"


class TestGateway:
    @pytest.fixture
    def server_settings(self):
        return {"GatewayClient": {"url": "http://127.0.0.1:9/"}}

    async def test_extension_stays_out_and_says_so(self, jp_serverapp, api, warnings_told):
        assert not isinstance(jp_serverapp.kernel_manager, RemoteMappingKernelManager)
        (warning,) = warnings_told
        assert "gateway" in warning
        assert (await api.fetch("GET", "/api/remote-kernels/runtimes")).status == 404


class TestGatewayInTheEnvironment(TestGateway):
    @pytest.fixture
    def server_settings(self, monkeypatch):
        monkeypatch.setenv("JUPYTER_GATEWAY_URL", "http://127.0.0.1:9/")
        return {}


class TestHiddenKernelspecs:
    @pytest.fixture
    def server_settings(self):
        return {"KernelSpecManager": {"allowed_kernelspecs": {"echo"}}}

    async def test_they_are_named(self, api, warnings_told):
        (warning,) = warnings_told
        assert "allowed_kernelspecs hides remote-python" in warning
        specs = (await api.fetch("GET", "/api/kernelspecs")).body["kernelspecs"]
        assert "remote-python" not in specs


async def test_kernelspec_that_somebody_has_removed(api, jp_data_dir):
    (folder,) = (jp_data_dir / "remote_kernels" / "kernels").glob("*/remote-python")
    shutil.rmtree(folder)
    reply = await api("POST", "/runtimes", {"environment": "python"})
    assert (reply.status, reply.reason) == (409, "kernelspec_missing")
    assert (await api.fetch("GET", "/api/kernels")).body == []


async def test_secrets_stay_where_they_belong(
    api, launch, open_browser, plane, jp_data_dir, jp_runtime_dir, stderr, caplog
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute("print(1)")
    await api.fetch("POST", f"/api/kernels/{runtime_id}/restart", b"{}")
    assert (await api("GET", "/runtimes")).status == 200
    driver = plane.find(runtime_id)
    token, key = driver.record.token, driver.bridge.connection["key"].decode()

    # In no log, although the server logs everything there is.
    logged = caplog.text + stderr.readouterr().err
    assert runtime_id in logged
    # In no answer.
    told = [await api("GET", path) for path in ("/runtimes", "/environments", "/operations")]
    told += [await api("GET", f"/runtimes/{runtime_id}/logs")]
    told += [await api.fetch("GET", "/api/kernelspecs"), await api.fetch("GET", "/api/kernels")]
    answers = b"".join(reply.raw for reply in told).decode()
    for secret in (token, key):
        assert secret not in logged
        assert secret not in answers
    # In no command line and no environment of any process, which other users may read.
    for pid in (os.getpid(), *labelled_processes(jp_data_dir)):
        process = psutil.Process(pid)
        shown = repr([process.cmdline(), process.environ()])
        assert token not in shown, process
        assert key not in shown, process
    # Only in files that nobody else can open.
    holders = 0
    for folder in (jp_data_dir, jp_runtime_dir):
        for path in folder.rglob("*"):
            if path.is_file() and any(s.encode() in path.read_bytes() for s in (token, key)):
                holders += 1
                assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert holders
    folder = jp_data_dir / "remote_kernels"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    agents = folder / "runtimes" / runtime_id
    assert stat.S_IMODE(agents.stat().st_mode) == 0o700
