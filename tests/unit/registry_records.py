"""A registry for tests, and records to put into it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.model.environments import Environment, Resources
from jupyter_remote_kernels.model.phases import Phase, Target
from jupyter_remote_kernels.model.records import ExitCause, KernelCommand, Owner, RuntimeRecord

OWNER = Owner("o1", "host", 42, 1.5)


def make_record(runtime_id="r1", **fields: Any):
    defaults = {
        "name": "A name",
        "environment": Environment(
            "python",
            "Python",
            options={"python": "/x", "deep": [1, {"a": None}]},
            resources=Resources(0.5, 2**30, 1),
            env={"KEY": "ä\nb"},
        ),
        "command": KernelCommand(("python", "{connection_file}"), {"A": "b"}, "/tmp"),
        "token": "secret-token",
        "created_s": 100.25,
    }
    return RuntimeRecord(id=runtime_id, **{**defaults, **fields})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "registry.db"


@pytest.fixture
def registry(path):
    with closing(Registry(path)) as opened:
        yield opened


FULL = {
    "phase": Phase.FAILED,
    "target": Target.STOPPED,
    "owner": OWNER,
    "checkpoint": {"label": "jrk-r1", "pid": 3, "complete": True},
    "tag": "t",
    "client_token": "token-1",
    "started_s": 101.0,
    "ended_s": 102.0,
    "exit": ExitCause("signal", "killed", "hint", None, 9),
    "history": ("a -> b", "b -> c"),
}
