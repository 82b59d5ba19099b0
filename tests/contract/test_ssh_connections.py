"""Connections to hosts over SSH: shared, made again, through others, and trusted."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jupyter_remote_kernels.errors import ProviderUnavailable
from jupyter_remote_kernels.providers.base import JobState
from jupyter_remote_kernels.testing.provider_jobs import status_line
from tests.contract.ssh_jobs import run
from tests.engines.sshd import Sshd
from tests.engines.tools import call, make_key, public_key

pytestmark = pytest.mark.timeout(120)  # many kernels start here, on a machine that may be busy


def test_all_jobs_of_a_host_share_one_connection(own_sshd):
    async def work(jobs):
        checkpoints = await asyncio.gather(*(jobs.start() for _ in range(20)))
        answers = await asyncio.gather(*(jobs.ask(item) for item in checkpoints))
        assert all(answer["kernel_pid"] for answer in answers)
        statuses = await jobs.provider.poll(checkpoints)
        assert {status.state for status in statuses} == {JobState.RUNNING}
        await asyncio.gather(*(jobs.provider.stop(item, 2.0) for item in checkpoints))

    run(own_sshd, work)
    assert own_sshd.count_accepted() == 1


def test_server_that_allows_one_session_at_once(tmp_path):
    server = Sshd(tmp_path / "sshd", MaxSessions="1").start()

    async def work(jobs):
        checkpoints = await asyncio.gather(*(jobs.start() for _ in range(4)))
        await asyncio.gather(*(jobs.ask(item) for item in checkpoints))
        await asyncio.gather(*(jobs.provider.stop(item, 0.0) for item in checkpoints))

    try:
        run(server, work)
        assert server.count_accepted() == 1
    finally:
        server.stop()


def test_lost_connection_is_made_again_on_the_same_port(own_sshd):
    async def work(jobs):
        checkpoint = await jobs.start()
        before = (await jobs.provider.endpoint(checkpoint)).url
        own_sshd.drop_connections()
        after = await asyncio.gather(*(jobs.provider.endpoint(checkpoint) for _ in range(5)))
        assert {endpoint.url for endpoint in after} == {before}
        assert await status_line(before, 10) == "HTTP/1.1 403 Forbidden"
        assert own_sshd.count_accepted() == 2

    run(own_sshd, work)


def test_unreachable_host_ends_nothing(host):
    async def work(jobs):
        checkpoint = await jobs.start()
        before = (await jobs.provider.endpoint(checkpoint)).url
        host.cut()
        with pytest.raises(ProviderUnavailable) as caught:
            await jobs.provider.endpoint(checkpoint)
        assert caught.value.reason == "host_unreachable"
        (status,) = await jobs.provider.poll([checkpoint])
        assert status.state is JobState.UNKNOWN
        assert "h1" in status.message
        host.heal()
        assert (await jobs.provider.endpoint(checkpoint)).url == before
        assert (await jobs.ask(checkpoint))["kernel_pid"]

    run(host, work, connect_timeout_s=3)


def test_jump_hosts_are_shared_and_checked(hosts):
    inner, jump = hosts[0], hosts[1]

    async def work(jobs):
        before = jump.count_accepted(), inner.count_accepted()
        checkpoints = await asyncio.gather(*(jobs.start() for _ in range(3)))
        for checkpoint in checkpoints:
            assert (await jobs.ask(checkpoint))["kernel_pid"]
        assert (jump.count_accepted(), inner.count_accepted()) == (before[0] + 1, before[1] + 1)
        text = (inner.folder / "sshd.log").read_text().splitlines()
        last = [line for line in text if line.startswith("Accepted publickey")][-1]
        assert f"from {jump.address} " in last

    run(inner, work, proxy_jump="h2")


def test_jump_host_of_the_configuration(hosts, tmp_path):
    config = tmp_path / "ssh_config"
    text = Path(hosts[0].options["ssh_config"]).read_text()
    config.write_text(f"Host h1\n  ProxyJump root@{hosts[1].address}:22\n{text}")

    async def work(jobs):
        before = hosts[1].count_accepted()
        assert (await jobs.ask(await jobs.start()))["kernel_pid"]
        assert hosts[1].count_accepted() == before + 1

    run(hosts[0], work, ssh_config=str(config))


def test_host_certificate_is_trusted_through_its_authority(own_sshd):
    authority = make_key(own_sshd.folder / "authority")
    key = own_sshd.host_key
    command = f"-s {authority} -I box -h -n 127.0.0.1 {key}.pub"
    call("ssh-keygen", *command.split())
    own_sshd.stop()
    own_sshd._options["HostCertificate"] = f"{key}-cert.pub"
    own_sshd.start()
    line = f"@cert-authority [127.0.0.1]:{own_sshd.port},127.0.0.1 {public_key(authority)}\n"
    own_sshd.known_hosts.write_text(line)

    async def work(jobs):
        assert (await jobs.ask(await jobs.start()))["kernel_pid"]

    run(own_sshd, work)


def test_user_certificate(own_sshd):
    authority = make_key(own_sshd.folder / "authority")
    key = make_key(own_sshd.folder / "signed_ed25519")
    call(
        "ssh-keygen",
        *f"-s {authority} -I me -n {getpass.getuser()} {key}.pub".split(),
    )
    trusted = own_sshd.folder / "authorities"
    trusted.write_text(f"{public_key(authority)}\n")
    own_sshd.stop()
    own_sshd._options["TrustedUserCAKeys"] = str(trusted)
    own_sshd.start()
    own_sshd.write_ssh_config(IdentityFile=key, CertificateFile=f"{key}-cert.pub")

    async def work(jobs):
        assert (await jobs.ask(await jobs.start()))["kernel_pid"]

    run(own_sshd, work)


def test_tunnel_moves_when_its_port_was_taken(own_sshd):
    async def work(jobs):
        checkpoint = await jobs.start()
        before = (await jobs.provider.endpoint(checkpoint)).url
        own_sshd.drop_connections()
        port = urlsplit(before).port
        while True:
            try:
                taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.01)  # until the lost connection is noticed
        after = (await jobs.provider.endpoint(checkpoint)).url
        assert after != before
        assert await status_line(after, 10) == "HTTP/1.1 403 Forbidden"
        taken.close()

    run(own_sshd, work)


def test_many_who_ask_at_once_are_answered_by_one_command(own_sshd):
    async def work(jobs):
        checkpoints = [await jobs.start() for _ in range(3)]
        commands = own_sshd.log.read_text().count("Starting session: command")
        answers = await asyncio.gather(*(jobs.provider.poll([item]) for item in checkpoints * 5))
        assert {status.state for (status,) in answers} == {JobState.RUNNING}
        asked = own_sshd.log.read_text().count("Starting session: command") - commands
        assert asked <= 2

    run(own_sshd, work)
