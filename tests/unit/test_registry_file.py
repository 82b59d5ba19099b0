"""The registry's file: other versions, damage, strangers, permissions, and who else has it open."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing

import pytest

from jupyter_remote_kernels.control.database import BUSY_TIMEOUT_S, SCHEMA_VERSION
from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.errors import RegistryError
from tests.unit.registry_records import FULL, make_record, path, registry

__all__ = ["path", "registry"]


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
