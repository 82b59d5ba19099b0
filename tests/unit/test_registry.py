"""The registry: records are kept, changed, claimed and dropped, from one thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from jupyter_remote_kernels.control.registry import AsyncRegistry, Registry
from jupyter_remote_kernels.errors import Conflict, NotFound, RegistryError
from jupyter_remote_kernels.model.phases import Phase, Target
from jupyter_remote_kernels.model.records import Owner
from tests.unit.registry_records import FULL, OWNER, make_record, path, registry

__all__ = ["path", "registry"]


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
