"""The user's SSH files as they are in real life: stale lines, broken keys, an ssh-agent."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess

import pytest

from tests.contract.ssh_jobs import SshJobs
from tests.engines.sshd import Sshd
from tests.engines.tools import call, find_program, make_key, require


@pytest.fixture
def server(tmp_path):
    """A server of the test's own, with a user who has no ssh-agent."""
    made = Sshd(tmp_path / "sshd").start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def agent(server, monkeypatch):
    """An ssh-agent that has the server's key."""
    require(**{"ssh-agent": "openssh-client", "ssh-add": "openssh-client"})
    # A short path, and in the foreground, so that it is ours to end.
    path = server.folder / "agent"
    process = subprocess.Popen(
        [find_program("ssh-agent"), "-D", "-a", str(path)], stdout=subprocess.DEVNULL
    )
    try:
        while not path.exists():
            assert process.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        call("ssh-add", "-q", server.key)
        yield
    finally:
        process.kill()
        process.wait()


def start(server):
    """Start a job; the error when it is refused."""

    async def work():
        async with SshJobs(server.options) as jobs:
            await jobs.start()

    asyncio.run(work())


def reason(server):
    async def work():
        return (await SshJobs(server.options).refused()).reason

    return asyncio.run(work())


def encrypt(key):
    call("ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", key)
    return key


def configure(server, lines, *, first=False):
    """Add lines to the user's configuration, before ours or behind them."""
    ours = server.ssh_config.read_text()
    server.ssh_config.write_text(f"{lines}\n{ours}" if first else f"{ours}\n{lines}\n")


@pytest.mark.parametrize("first", [True, False])
def test_key_that_is_missing_broken_or_encrypted_is_passed_over(server, first):
    broken = server.folder / "broken"
    broken.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n")
    encrypted = encrypt(make_key(server.folder / "encrypted"))
    for path in ("/nowhere/key", "~/nowhere/key", broken, encrypted, server.folder):
        server.write_ssh_config()
        configure(server, f"Host *\n  IdentityFile {path}\n  CertificateFile {path}", first=first)
        start(server)


def test_lines_that_are_not_known_are_passed_over(server):
    configure(
        server,
        "Host *\n  ControlMaster auto\n  ControlPath /nowhere/%C\n  AddKeysToAgent yes\n"
        "  VisualHostKey yes\n  Include /nowhere/*\n  NoSuchOption yes\n"
        'Match exec "false"\n  User x',
    )
    start(server)


def test_configuration_that_makes_no_sense(server):
    configure(server, "Host *\n  Port many")
    server.ssh_config.write_text(
        "".join(
            line
            for line in server.ssh_config.read_text().splitlines(keepends=True)
            if f"Port {server.port}" not in line
        )
    )
    assert reason(server) == "ssh_config_invalid"


def test_broken_lines_of_known_hosts_are_passed_over(server):
    text = server.known_hosts.read_text()
    server.known_hosts.write_text(f"garbage\n|1|x|y ssh-foo zzz\n# comment\n\nhost\n{text}")
    start(server)


def test_hashed_known_hosts(server):
    call("ssh-keygen", "-q", "-H", "-f", server.known_hosts)
    assert "127.0.0.1" not in server.known_hosts.read_text()
    start(server)


def test_agent_is_used_with_a_named_key_that_has_a_passphrase(server, agent):
    encrypt(server.key)
    start(server)


def test_agent_is_used_with_a_public_key_that_is_named(server, agent):
    server.write_ssh_config(IdentityFile=f"{server.key}.pub")
    start(server)


def test_agent_is_used_when_nothing_is_named(server, agent):
    text = server.ssh_config.read_text()
    server.ssh_config.write_text(re.sub(r"  Identit.*\n", "", text))
    start(server)


def test_agent_is_not_used_for_a_key_that_is_not_the_named_one(server, agent):
    server.write_ssh_config(IdentityFile=make_key(server.folder / "another"))
    assert reason(server) == "authentication_failed"
    server.write_ssh_config(IdentityFile="/nowhere/key")
    assert reason(server) == "authentication_failed"


def test_without_the_agent_the_passphrase_is_what_is_missing(server):
    encrypt(server.key)
    assert reason(server) == "authentication_failed"
    assert "SSH_AUTH_SOCK" not in os.environ
