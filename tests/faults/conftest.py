"""Fixtures of the fault tests."""

from __future__ import annotations

import uuid

import pytest

from jupyter_remote_kernels.control.launch import ControlSettings, LaunchRequest
from jupyter_remote_kernels.control.plane import ControlPlane
from jupyter_remote_kernels.link.bridge import Address, Keys
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.records import KernelCommand
from jupyter_remote_kernels.testing.doubles import installed
from tests.engines.fixtures import *  # noqa: F403 - fixtures are found by their names
from tests.faults.relay import RelayProvider
from tests.faults.support import TINY, Handle, Home


@pytest.fixture
def home(tmp_path):
    """A home of its own; no test may leave anything of ours in it."""
    made = Home(tmp_path / "home")
    yield made
    assert made.leftovers() == {}


@pytest.fixture
def settings():
    """Settings of the control plane; a test file may have others."""
    return ControlSettings(stop_grace_s=2.0)


@pytest.fixture
def plane(home, settings, monkeypatch):
    """A control plane in this process, over the home's directories."""
    for name in ("JUPYTER_DATA_DIR", "TMPDIR"):
        monkeypatch.setenv(name, home.environ[name])  # what its agents inherit
    made = ControlPlane(home.state, settings)
    yield made
    made.close()


@pytest.fixture
def relay(plane):
    """An engine whose network and whose words a test controls."""
    made = RelayProvider()
    with installed(made):
        yield made
        # While it can still be found: stopping a job takes its provider.
        for driver in list(plane.services.drivers.values()):
            plane.submit(driver.stop()).result(20)
        plane.submit(made.close()).result(20)


@pytest.fixture
def launch(plane):
    """Launch a runtime with the tiny kernel."""
    handles = []

    def start(provider="local", argv=TINY, **options: object):
        request = LaunchRequest(
            runtime_id=str(uuid.uuid4()),
            name="one",
            environment=Environment("env", "Env", provider=provider, options=options),
            command=KernelCommand(tuple(argv)),
            address=Address(),
            keys=Keys(b"key"),
        )
        plane.submit(plane.launch(request)).result(20)
        handles.append(Handle(plane, plane.find(request.runtime_id)))
        return handles[-1]

    yield start
    for handle in handles:
        handle.client.stop_channels()
