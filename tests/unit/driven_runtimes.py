"""Runtimes that are driven against an engine that does what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

import pytest

from jupyter_remote_kernels.control import job as jobs
from jupyter_remote_kernels.control.launch import ControlSettings, LaunchRequest
from jupyter_remote_kernels.control.plane import ControlPlane
from jupyter_remote_kernels.errors import Conflict
from jupyter_remote_kernels.link.bridge import Address, Keys
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.phases import Target
from jupyter_remote_kernels.model.records import KernelCommand
from jupyter_remote_kernels.providers.base import Endpoint, JobState, JobStatus, Provider
from jupyter_remote_kernels.testing.doubles import installed

LIMIT_S = 10.0
COMMAND = KernelCommand(("kernel", "{connection_file}"))


class Engine(Provider):
    """An engine whose answers a test sets; its jobs are entries of a list."""

    name = "engine"
    poll_interval_s = 0.02

    def __init__(self):
        self.status = JobStatus(JobState.QUEUED, "Waiting (position 3)")
        self.calls = []
        self.stop_errors = []
        self.start_error = None
        self.endpoint_error = None
        self.poll_error = None
        self.last = {"complete": True}
        self.start_gate = None
        self.stop_gate = None
        # Bound and never listening: a port at which surely nobody answers.
        self.nobody = socket.socket()
        self.nobody.bind(("127.0.0.1", 0))

    async def start(self, spec):
        self.calls.append(("start", spec.label))
        yield {"label": spec.label, "step": 1}
        if self.start_gate is not None:
            await self.start_gate.wait()
        if self.start_error is not None:
            raise self.start_error
        yield {"label": spec.label, "step": 2, **self.last}

    async def poll(self, checkpoints):
        if self.poll_error is not None:
            raise self.poll_error
        return [self.status] * len(checkpoints)

    async def stop(self, checkpoint, grace_s):
        self.calls.append(("stop", dict(checkpoint)))
        if self.stop_gate is not None:
            await self.stop_gate.wait()
        if self.stop_errors:
            raise self.stop_errors.pop(0)

    async def endpoint(self, checkpoint):
        if self.endpoint_error is not None:
            raise self.endpoint_error
        return Endpoint(f"http://127.0.0.1:{self.nobody.getsockname()[1]}")

    async def recover(self, label, options=None):
        return []

    @property
    def stopped(self):
        return [given for verb, given in self.calls if verb == "stop"]


@pytest.fixture
def engine():
    made = Engine()
    with installed(made), contextlib.closing(made.nobody):
        yield made


@pytest.fixture
def settings():
    return ControlSettings(stop_grace_s=1.0)


@pytest.fixture
def plane(tmp_path, engine, settings, monkeypatch):
    monkeypatch.setattr(jobs, "_STOP_RETRY_FIRST_S", 0.01)
    made = ControlPlane(tmp_path / "state", settings)
    yield made
    made.close()
    assert made.services.drivers == {}


class Gate:
    """Holds the registry's thread before one update, until it is opened."""

    def __init__(self):
        self._reached = threading.Event()
        self._opened = threading.Event()

    def pass_through(self):
        self._reached.set()
        assert self._opened.wait(LIMIT_S)

    def wait_reached(self):
        assert self._reached.wait(LIMIT_S)

    def open(self):
        self._opened.set()


@pytest.fixture
def gates(plane, monkeypatch):
    """Put gates before those updates of the registry that the predicates name."""
    registry = plane.services.registry._registry
    real = registry.update

    def make(*predicates: Any):
        made = [(predicate, Gate()) for predicate in predicates]

        def update(runtime_id, **fields: Any):
            for predicate, gate in made:
                if predicate(fields):
                    gate.pass_through()
            return real(runtime_id, **fields)

        monkeypatch.setattr(registry, "update", update)
        return [gate for _, gate in made]

    return make


@pytest.fixture
def launch(plane):
    """Launch a runtime; returns its driver in a form that a test's thread can use."""

    def start(provider="engine", **fields: Any):
        request = LaunchRequest(
            runtime_id=fields.pop("runtime_id", "r1"),
            name="one",
            environment=Environment("env", "Env", provider=provider),
            command=COMMAND,
            address=fields.pop("address", Address()),
            keys=Keys(b"key"),
            **fields,
        )
        plane.submit(plane.launch(request)).result(LIMIT_S)
        return Handle(plane, plane.find(request.runtime_id))

    return start


class Handle:
    """A driver, to be used from the test's thread."""

    def __init__(self, plane, driver):
        self.plane = plane
        self.driver = driver

    def on(self, work):
        return self.plane.submit(work).result(LIMIT_S)

    def until(self, predicate):
        """Wait for a change after which the predicate holds.

        A few things that tests look at are told to nobody; they are looked at again soon.
        """

        async def wait():
            while not predicate(self.driver):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.plane.services.changed(self.driver.record.id), 0.02)

        self.on(asyncio.wait_for(wait(), LIMIT_S))

    def until_phase(self, phase):
        self.until(lambda driver: driver.record.phase is phase)

    def post(self, event, **facts: Any):
        """Post an event and wait until the driver has taken it."""

        async def post():
            self.driver.post(event, **facts)
            # Taken in order: when this harmless wish is through, so is the event.
            with contextlib.suppress(Conflict):
                await self.driver.want(Target.RUNNING)

        self.on(post())

    @property
    def directory(self):
        return self.plane.services.job_directory(self.driver.record.id)

    @property
    def stored(self):
        return self.on(self.plane.services.registry.get(self.driver.record.id))


async def call_on_loop(function, *arguments: Any, **fields: Any):
    """Call something on the control plane's loop."""
    function(*arguments, **fields)
