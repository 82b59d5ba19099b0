"""Fixtures of the engines; a ``conftest.py`` imports those that its tests use."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.engines.hosts import Hosts
from tests.engines.sshd import Sshd


@pytest.fixture(scope="session")
def engines_folder():
    """A folder with a short path: keys, logs and homes of engines lie below it."""
    folder = Path(tempfile.mkdtemp(prefix="jrk-engines-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sshd(engines_folder):
    """One sshd on loopback for all tests."""
    server = Sshd(engines_folder / "sshd")
    yield server.start()
    server.stop()


@pytest.fixture
def own_sshd(tmp_path):
    """A server of the test's own, whose home, keys and configuration it may spoil."""
    server = Sshd(tmp_path / "sshd").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def make_hosts(engines_folder):
    """Give a maker of hosts; they end with the session."""
    made = []

    def make(count):
        made.append(Hosts(engines_folder / f"hosts{len(made)}"))
        return made[-1].up(count)

    yield make
    for hosts in made:
        hosts.down()


@pytest.fixture(scope="session")
def hosts(make_hosts):
    """Two hosts in namespaces for all tests; whoever breaks one mends it again."""
    return make_hosts(2)


@pytest.fixture
def host(hosts):
    """One host, mended after the test."""
    host = hosts[0].boot()
    yield host
    host.thaw()
    host.open()
    host.heal()
    host.boot()
