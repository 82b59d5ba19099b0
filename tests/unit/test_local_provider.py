"""What a program gets that the local provider starts, and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
from contextlib import closing

import psutil
import pytest

from jupyter_remote_kernels.errors import ProviderError
from jupyter_remote_kernels.model.environments import Resources
from jupyter_remote_kernels.providers import cgroups
from jupyter_remote_kernels.providers.base import JobSpec
from jupyter_remote_kernels.providers.processes import LABEL_VARIABLE
from tests.unit.local_programs import LABEL, make_spec, provider, start, start_and_report

__all__ = ["make_spec", "provider"]


def test_program_gets_settings_socket_session_and_directory(provider, make_spec, tmp_path):
    checkpoint, report = start_and_report(provider, make_spec())
    assert report["settings"]["token"] == "secret-token"
    assert report["settings"]["limits"] == {"cgroup_procs": [], "address_space_bytes": None}
    assert report["cwd"] == str(tmp_path)
    assert report["session"] is True
    assert report["port"] == checkpoint["port"]
    assert "secret-token" not in json.dumps([report["argv"], report["env"]])
    # 0, 1, 2, the socket, and the listing itself: nothing of ours has leaked.
    assert report["descriptors"] == 5
    assert not any(name.startswith("tmp") for name in os.listdir(tmp_path))


def test_large_settings_do_not_wait_for_their_reader(provider, make_spec):
    spec = make_spec()
    large = {**spec.agent_settings, "env": {"A": "x" * 2_000_000}}
    spec = JobSpec(**{**vars(spec), "agent_settings": large})
    _, report = start_and_report(provider, spec)
    assert len(report["settings"]["env"]["A"]) == 2_000_000


def test_connections_wait_for_a_program_that_is_not_up_yet(provider, make_spec):
    async def check():
        then = "connection, _ = listener.accept(); connection.sendall(b'hello'); connection.close()"
        spec = make_spec(then)
        checkpoint = await start(provider, spec)
        reader, writer = await asyncio.open_connection("127.0.0.1", checkpoint["port"])
        assert await reader.read() == b"hello"
        writer.close()
        await provider.stop(checkpoint, 0.0)

    asyncio.run(check())


@pytest.mark.parametrize(
    "name",
    [
        "JUPYTER_TOKEN",
        "JPY_API_TOKEN",
        "JUPYTERHUB_API_TOKEN",
        "CONFIGPROXY_AUTH_TOKEN",
        "JUPYTERHUB_CRYPT_KEY",
        "JUPYTERHUB_COOKIE_SECRET",
        "JUPYTER_GATEWAY_AUTH_TOKEN",
        "KG_AUTH_TOKEN",
    ],
)
def test_servers_secrets_do_not_reach_the_job(provider, make_spec, monkeypatch, name):
    monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("USERS_OWN_API_TOKEN", "visible")
    _, report = start_and_report(provider, make_spec())
    assert name not in report["env"]
    assert report["env"]["USERS_OWN_API_TOKEN"] == "visible"
    assert report["env"][LABEL_VARIABLE] == LABEL


def test_log_is_appended_to_and_private(provider, make_spec, tmp_path):
    log = tmp_path / "agent.log"
    start_and_report(provider, make_spec())
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    log.write_text("of an earlier launch\n")
    start_and_report(provider, make_spec())
    assert log.read_text().startswith("of an earlier launch\n{")


def test_other_interpreter_finds_only_our_package(provider, make_spec, tmp_path):
    link = tmp_path / "other-python"
    link.symlink_to(sys.executable)
    then = "import jupyter_remote_kernels; print(jupyter_remote_kernels.__version__)"
    _, report = start_and_report(provider, make_spec(then, {"python": str(link)}))
    folder = report["env"]["PYTHONPATH"].split(os.pathsep)[-1]
    # The other is no package: nobody imports it.
    assert sorted(os.listdir(folder)) == ["cloudpickle_source", "jupyter_remote_kernels"]
    # A second start in the same directory, as a resumed runtime has it.
    start_and_report(provider, make_spec(then, {"python": str(link)}))


@pytest.mark.parametrize(
    "options", [{"pyhton": "x"}, {"python": 3}, {"python": ""}, {"python": "/nowhere/python"}]
)
def test_bad_options_are_refused(provider, make_spec, options, tmp_path):
    resources = Resources(cpu=1, memory_bytes=2**29)
    with pytest.raises(ProviderError) as caught:
        asyncio.run(start(provider, make_spec(options=options, resources=resources)))
    assert caught.value.hint
    assert cgroups.find(LABEL, set()) is None


@pytest.mark.parametrize("label", ["", "../up", "a/b", "-x", "a\0b", "x" * 200])
def test_labels_that_could_leave_their_place_are_refused(provider, make_spec, label):
    with pytest.raises(ProviderError, match="label"):
        asyncio.run(start(provider, make_spec(label=label)))


def test_socket_is_on_the_loopback_interface_only(provider, make_spec):
    async def check():
        checkpoint = await start(provider, make_spec())
        connections = psutil.Process(checkpoint["pid"]).net_connections("tcp")
        assert {item.laddr.ip for item in connections} == {"127.0.0.1"}
        await provider.stop(checkpoint, 0.0)
        with closing(socket.socket()) as probe:
            assert probe.connect_ex(("127.0.0.1", checkpoint["port"])) != 0

    asyncio.run(check())
