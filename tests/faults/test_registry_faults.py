"""The registry under sabotage: killed writers, two writers at once, raced take-overs."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.records import KernelCommand, Owner, RuntimeRecord

COMMON = """
import os, sys
from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.records import KernelCommand, Owner, RuntimeRecord
path, name = sys.argv[1:3]
def make_record(runtime_id):
    return RuntimeRecord(
        runtime_id, runtime_id, Environment("python", "Python"), KernelCommand(("x",)), "t"
    )
"""
# Says what is committed; may be killed anywhere, also inside a transaction.
WRITER = """
registry = Registry(path)
registry.insert(make_record(name))
number = 0
while True:
    number += 1
    registry.update(name, tag=str(number), history=("x" * 200,) * (number % 50))
    os.write(1, f"{number}\\n".encode())
"""
HALF_WAY = """
from jupyter_remote_kernels.control.database import transaction
registry = Registry(path)
with transaction(registry._connection):
    registry._connection.execute("UPDATE runtimes SET document = 'half'")
    os.write(1, b"inside\\n")
    sys.stdin.read()
"""
COUNTER = """
registry = Registry(path)
for number in range(200):
    # Each changes its own field of one record: a lost update would show.
    registry.update("shared", **{name: str(number)})
    registry.insert(make_record(f"{name}-{number}"))
"""
CLAIMER = """
registry = Registry(path)
print("ready", flush=True)
sys.stdin.readline()
won = [
    number
    for number in range(50)
    if registry.claim(f"r{number}", "dead", Owner(name, "host", os.getpid(), 0.0))
]
print(*won, flush=True)
"""
OPENER = """
print("ready", flush=True)
sys.stdin.readline()
Registry(path).insert(make_record(name))
"""


def run(program, path, name="r1"):
    return subprocess.Popen(
        [sys.executable, "-c", COMMON + program, str(path), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def make_record(runtime_id, **fields: Any):
    return RuntimeRecord(
        runtime_id,
        runtime_id,
        Environment("python", "Python"),
        KernelCommand(("x",)),
        "t",
        **fields,
    )


def is_sound(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_killed_writer_loses_nothing_it_has_committed(tmp_path):
    path = tmp_path / "state" / "registry.db"
    chance = random.Random(7)  # noqa: S311 - picks moments, keeps no secret
    for round_number in range(8):
        name = f"r{round_number}"
        with run(WRITER, path, name) as process:
            for _ in range(chance.randrange(1, 120)):
                said = process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().split()
        committed = int(rest[-1] if rest else said)
        with closing(Registry(path)) as registry:
            # One more may be in the file than was said: killed between commit and word.
            assert int(registry.get(name).tag) in {committed, committed + 1}
            assert len(registry.list()) == round_number + 1
        assert is_sound(path)


def test_killed_inside_a_transaction_leaves_the_state_before_it(tmp_path):
    path = tmp_path / "registry.db"
    with closing(Registry(path)) as registry:
        registry.insert(make_record("r1"))
        with run(HALF_WAY, path) as process:
            assert process.stdout.readline() == b"inside\n"
            assert registry.get("r1") == make_record("r1")
            os.kill(process.pid, signal.SIGKILL)
        # The lock went with the process, and so did the half-written change.
        assert registry.update("r1", tag="t") == make_record("r1", tag="t")
    assert is_sound(path)


def test_two_processes_write_at_once(tmp_path):
    path = tmp_path / "registry.db"
    names = ["name", "tag"]
    with closing(Registry(path)) as registry:
        registry.insert(make_record("shared"))
        processes = [run(COUNTER, path, name) for name in names]
        for process in processes:
            with process:
                process.stdin.close()
            assert process.returncode == 0
        assert len(registry.list()) == 1 + 2 * 200
        assert registry.get("shared") == make_record("shared").changed(name="199", tag="199")
    assert is_sound(path)


def test_raced_take_over_has_exactly_one_winner(tmp_path):
    path = tmp_path / "registry.db"
    dead = Owner("dead", "host", 1, 0.0)
    with closing(Registry(path)) as registry:
        for number in range(50):
            registry.insert(make_record(f"r{number}", owner=dead))
        processes = [run(CLAIMER, path, f"p{number}") for number in range(8)]
        for process in processes:
            assert process.stdout.readline() == b"ready\n"
        for process in processes:
            process.stdin.write(b"go\n")
            process.stdin.flush()
        won = {}
        for number, process in enumerate(processes):
            with process:
                for runtime in process.stdout.readline().split():
                    assert int(runtime) not in won
                    won[int(runtime)] = f"p{number}"
            assert process.returncode == 0
        assert sorted(won) == list(range(50))
        owners = {record.id: record.owner.id for record in registry.list()}
    assert owners == {f"r{number}": name for number, name in won.items()}


def test_raced_first_opening_makes_one_database(tmp_path):
    path = tmp_path / "state" / "registry.db"
    processes = [run(OPENER, path, f"p{number}") for number in range(6)]
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        with process:
            process.stdin.close()
        assert process.returncode == 0
    with closing(Registry(path)) as registry:
        assert {record.id for record in registry.list()} == {f"p{number}" for number in range(6)}


def test_power_cut_before_the_schema_was_made(tmp_path):
    path = tmp_path / "registry.db"
    path.touch(mode=0o600)
    with closing(Registry(path)) as registry:
        registry.insert(make_record("r1"))
