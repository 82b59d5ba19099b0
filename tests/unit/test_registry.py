"""The registry: records survive, unknown keys survive, bad files are refused untouched."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from jupyter_remote_kernels.control.database import BUSY_TIMEOUT_S, SCHEMA_VERSION
from jupyter_remote_kernels.control.registry import AsyncRegistry, Registry
from jupyter_remote_kernels.errors import Conflict, NotFound, RegistryError
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


@pytest.mark.parametrize("fields", [{}, FULL])
def test_record_comes_back_as_it_was(registry, fields):
    record = make_record(**fields)
    registry.insert(record)
    assert registry.get("r1") == record
    assert registry.list() == [record]


def test_record_survives_the_process(path):
    with closing(Registry(path)) as first:
        first.insert(make_record(**FULL))
    with closing(Registry(path)) as second:
        assert second.get("r1") == make_record(**FULL)


def test_missing_record(registry):
    assert registry.get("r1") is None
    assert registry.list() == []
    registry.delete("r1")
    assert registry.claim("r1", None, OWNER) is False
    with pytest.raises(NotFound, match="r1"):
        registry.update("r1", tag="t")


def test_records_come_oldest_first(registry):
    for name, created_s in (("b", 2.0), ("a", 3.0), ("c", 1.0)):
        registry.insert(make_record(name, created_s=created_s))
    assert [record.id for record in registry.list()] == ["c", "b", "a"]


def test_update_changes_only_what_is_named(registry):
    registry.insert(make_record())
    updated = registry.update("r1", phase=Phase.STARTING, checkpoint={"label": "x"})
    assert updated == make_record(phase=Phase.STARTING, checkpoint={"label": "x"})
    assert registry.get("r1") == updated


def test_update_of_an_unknown_field_changes_nothing(registry):
    registry.insert(make_record())
    with pytest.raises(TypeError):
        registry.update("r1", tag="t", colour="red")
    assert registry.get("r1") == make_record()
    registry.update("r1", tag="t")


def test_columns_follow_the_document(registry, path):
    registry.insert(make_record())
    registry.update("r1", phase=Phase.RUNNING, target=Target.PAUSED, owner=OWNER)
    with closing(sqlite3.connect(path)) as database:
        row = database.execute("SELECT phase, target, owner_id FROM runtimes").fetchone()
    assert row == ("running", "paused", "o1")


def test_same_id_twice_is_a_conflict(registry):
    registry.insert(make_record())
    with pytest.raises(Conflict) as caught:
        registry.insert(make_record(name="other"))
    assert caught.value.reason == "runtime_exists"
    assert registry.get("r1") == make_record()


def test_client_token_is_unique_among_the_living(registry):
    registry.insert(make_record("a", client_token="mine"))
    with pytest.raises(Conflict) as caught:
        registry.insert(make_record("b", client_token="mine"))
    assert caught.value.reason == "client_token_in_use"
    registry.update("a", phase=Phase.STOPPED)
    registry.insert(make_record("b", client_token="mine"))
    registry.insert(make_record("c"))
    registry.insert(make_record("d"))


def test_dead_runtime_cannot_come_back_beside_its_successor(registry):
    registry.insert(make_record("a", client_token="mine", phase=Phase.FAILED))
    registry.insert(make_record("b", client_token="mine"))
    with pytest.raises(Conflict) as caught:
        registry.update("a", phase=Phase.SUBMITTED)
    assert caught.value.reason == "client_token_in_use"
    assert registry.get("a").phase is Phase.FAILED


def test_claim_only_from_the_named_owner(registry):
    other = Owner("o2", "host", 43, 2.5)
    registry.insert(make_record())
    assert registry.claim("r1", "o2", OWNER) is False
    assert registry.claim("r1", None, OWNER) is True
    assert registry.claim("r1", None, other) is False
    assert registry.claim("r1", "o1", other) is True
    assert registry.get("r1") == make_record(owner=other)


def test_prune_drops_what_ended_long_ago(registry):
    now_s = time.time()
    long_ago_s = now_s - 1000
    rows = {
        "stopped-old": {"phase": Phase.STOPPED, "ended_s": long_ago_s},
        "stopped-new": {"phase": Phase.STOPPED, "ended_s": now_s},
        "failed-old": {"phase": Phase.FAILED, "ended_s": long_ago_s},
        "failed-unsure": {
            "phase": Phase.FAILED,
            "ended_s": long_ago_s,
            "checkpoint": {"label": "x"},
        },
        "never-ended-old": {"phase": Phase.FAILED, "created_s": long_ago_s},
        "running-old": {"phase": Phase.RUNNING, "created_s": long_ago_s},
    }
    for name, fields in rows.items():
        registry.insert(make_record(name, **fields))
    assert registry.prune(500) == 3
    left = {record.id for record in registry.list()}
    assert left == {"stopped-new", "failed-unsure", "running-old"}
    assert registry.prune(500) == 0


def test_kernel_info_is_remembered_per_environment(registry):
    assert registry.recall_kernel_info("python") is None
    registry.remember_kernel_info("python", {"banner": "one", "language_info": {"name": "python"}})
    registry.remember_kernel_info("r", {"banner": "R"})
    registry.remember_kernel_info("python", {"banner": "two"})
    assert registry.recall_kernel_info("python") == {"banner": "two"}
    assert registry.recall_kernel_info("r") == {"banner": "R"}


def edit_document(path, edit):
    with closing(sqlite3.connect(path)) as database, database:
        (text,) = database.execute("SELECT document FROM runtimes").fetchone()
        document = json.loads(text)
        edit(document)
        database.execute("UPDATE runtimes SET document = ?", (json.dumps(document),))


def test_keys_of_a_newer_version_are_ignored_and_kept(registry, path):
    registry.insert(make_record())

    def add(document):
        document["sooner_or_later"] = 60
        document["environment"]["colour"] = "red"
        document["environment"]["resources"]["disk"] = 5
        document["command"]["shell"] = True

    edit_document(path, add)
    assert registry.get("r1") == make_record()
    registry.update("r1", tag="t")
    kept = {}
    edit_document(path, kept.update)
    assert kept["sooner_or_later"] == 60
    assert kept["tag"] == "t"


def test_missing_keys_of_an_older_version_get_defaults(registry, path):
    registry.insert(make_record(**FULL))

    def drop(document):
        for key in ("tag", "exit", "history", "ended_s"):
            del document[key]

    edit_document(path, drop)
    record = registry.get("r1")
    assert (record.tag, record.exit, record.history, record.ended_s) == (None, None, (), None)


@pytest.mark.parametrize("damage", [{"phase": "dancing"}, {"environment": None}, {"command": {}}])
def test_unreadable_record_does_not_hide_the_others(registry, path, caplog, damage):
    registry.insert(make_record("bad"))
    edit_document(path, lambda document: document.update(damage))
    registry.insert(make_record("good"))
    assert [record.id for record in registry.list()] == ["good"]
    assert "'bad'" in caplog.text
    assert "secret-token" not in caplog.text
    with pytest.raises(RegistryError, match="bad"):
        registry.get("bad")
    assert registry.prune(0) == 0


def test_files_are_for_the_owner_only(registry, path):
    registry.insert(make_record())
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert "registry.db-wal" in modes


def test_wide_permissions_of_the_file_are_closed(path):
    with closing(Registry(path)):
        pass
    path.chmod(0o644)
    with closing(Registry(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_link_in_place_of_the_file_is_refused(path):
    path.parent.mkdir(mode=0o700)
    target = path.parent / "target"
    target.write_text("precious")
    path.symlink_to(target)
    with pytest.raises(RegistryError, match=r"registry\.db"):
        Registry(path)
    assert target.read_text() == "precious"


@pytest.mark.parametrize(
    "content", [b"this is no database " * 100, b"SQLite format 3\0" + b"x" * 5000]
)
def test_damaged_file_is_named_and_left_alone(path, content):
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    with pytest.raises(RegistryError, match=r"registry\.db") as caught:
        Registry(path)
    assert caught.value.reason == "registry_damaged"
    assert caught.value.hint
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["registry.db"]


def test_damaged_page_is_found_at_the_start(path):
    with closing(Registry(path)) as registry:
        for number in range(50):
            registry.insert(make_record(f"r{number}"))
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(RegistryError) as caught:
        Registry(path)
    assert caught.value.reason == "registry_damaged"
    assert path.read_bytes() == content


def test_newer_schema_is_refused_and_left_alone(path):
    with closing(Registry(path)):
        pass
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE schema_version SET version = 999")
    content = path.read_bytes()
    with pytest.raises(RegistryError, match="newer version") as caught:
        Registry(path)
    assert caught.value.reason == "registry_newer"
    assert "Upgrade" in caught.value.hint
    assert path.read_bytes() == content


def test_foreign_database_is_refused_and_left_alone(path):
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE sessions (id)")
    content = path.read_bytes()
    with pytest.raises(RegistryError) as caught:
        Registry(path)
    assert caught.value.reason == "registry_foreign"
    assert path.read_bytes() == content


def test_schema_has_the_current_version(registry, path):
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT version FROM schema_version").fetchall()
    assert rows == [(SCHEMA_VERSION,)]


def test_registry_in_use_says_so(registry, path, monkeypatch):
    assert BUSY_TIMEOUT_S == 5.0
    monkeypatch.setattr("jupyter_remote_kernels.control.database.BUSY_TIMEOUT_S", 0.05)
    with closing(Registry(path)) as impatient, closing(sqlite3.connect(path)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(RegistryError) as caught:
            impatient.insert(make_record())
        assert caught.value.reason == "registry_busy"
        # Readers are never held up by a writer.
        assert impatient.list() == []
        blocker.rollback()
        impatient.insert(make_record())


def test_closed_registry_says_so(path):
    registry = Registry(path)
    registry.close()
    registry.close()
    with pytest.raises(RegistryError) as caught:
        registry.list()
    assert caught.value.reason == "registry_closed"


def test_async_registry_does_the_same_on_one_thread(path):
    async def check():
        registry = await AsyncRegistry.open(path)
        await registry.insert(make_record())
        await asyncio.gather(*(registry.insert(make_record(f"g{i}")) for i in range(20)))
        assert await registry.get("r1") == make_record()
        assert len(await registry.list()) == 21
        assert (await registry.update("r1", tag="t")).tag == "t"
        assert await registry.claim("r1", None, OWNER)
        await registry.remember_kernel_info("python", {"banner": "b"})
        assert await registry.recall_kernel_info("python") == {"banner": "b"}
        await registry.delete("g1")
        assert await registry.prune(0) == 0
        assert registry.path == path
        names = [item.name for item in threading.enumerate() if item.name.startswith("registry")]
        assert len(names) == 1
        with pytest.raises(NotFound):
            await registry.update("nobody", tag="t")
        await registry.close()
        await registry.close()
        with pytest.raises(RegistryError) as caught:
            await registry.list()
        assert caught.value.reason == "registry_closed"

    asyncio.run(check())


def test_async_registry_that_cannot_open_leaves_no_thread(path):
    path.parent.mkdir(mode=0o700)
    path.write_text("no database at all" * 50)
    before = threading.active_count()

    async def check():
        with pytest.raises(RegistryError):
            await AsyncRegistry.open(path)

    asyncio.run(check())
    deadline_s = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)  # the thread ends by itself, without an event


def test_async_registry_keeps_the_loop_free_while_it_waits(path):
    async def check():
        registry = await AsyncRegistry.open(path)
        with closing(sqlite3.connect(path, check_same_thread=False)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(registry.insert(make_record()))
            for _ in range(3):
                await asyncio.sleep(0)
            assert not waiting.done()
            blocker.rollback()
            await waiting
        await registry.close()

    asyncio.run(check())
