"""The contract of a snapshot store, as a suite to inherit.

::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(tmp_path)

        def reopen(self, store):
            return MyStore(store.root)
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from jupyter_remote_kernels.errors import InvalidInput, SnapshotDamaged, SnapshotNotFound
from jupyter_remote_kernels.snapshots.catalogue import SnapshotCatalogue
from jupyter_remote_kernels.snapshots.key import SnapshotKey
from jupyter_remote_kernels.snapshots.manifest import SnapshotFacts
from jupyter_remote_kernels.testing.state_streams import make_group, make_stream

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from jupyter_remote_kernels.snapshots.store import SnapshotStore

Answer = TypeVar("Answer")
BAD_NAMES = ("", "..", "../x", "a/b", ".a", "-a", "A", "a\0", "a.b", "ü", "a" * 65)


class StoreContract:
    """Inherit it, give the fixture ``store`` and, for a store that lasts, ``reopen``."""

    def reopen(self, store: SnapshotStore) -> SnapshotStore:
        """Return the same store as another process sees it."""
        return store

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Run one coroutine to its end."""
        return asyncio.run(coroutine)

    def test_an_empty_store_is_empty(self, store: SnapshotStore) -> None:
        """Nothing has to be made before it can be asked."""
        assert self.run(store.packs()) == {}
        assert self.run(store.documents()) == {}
        assert store.pack_path("none") is None

    def test_a_pack_is_what_was_appended(self, store: SnapshotStore) -> None:
        """Offsets are told, any bytes-like object is taken, and any range can be read."""

        async def check() -> None:
            pack = await store.write_pack("one")
            assert await pack.append([b"abc", bytearray(b"defg")]) == 0
            assert await pack.append([b"", memoryview(b"0123456789")[2:5]]) == 7
            assert await pack.append([bytes([1])] * 3000) == 10
            await pack.seal()
            other = self.reopen(store)
            assert await other.packs() == {"one": 3010}
            assert await other.read("one", 0, 10) == b"abcdefg234"
            assert await other.read("one", 5, 3) == b"fg2"
            assert await other.read("one", 3009, 10) == b"\1"
            assert await other.read("one", 5000, 10) == b""

        self.run(check())

    def test_appends_that_overlap_keep_their_order(self, store: SnapshotStore) -> None:
        """Small and large ones, begun one after the other and under way together."""

        async def check() -> None:
            parts = [bytes([number]) * size for number, size in enumerate((3, 3 << 20, 0, 70_000))]
            pack = await store.write_pack("one")
            offsets = await asyncio.gather(*(pack.append([part, part]) for part in parts))
            assert offsets == [0, 6, 6 + (6 << 20), 6 + (6 << 20)]
            await pack.seal()
            whole = b"".join(part * 2 for part in parts)
            assert await store.read("one", 0, len(whole) + 1) == whole

        self.run(check())

    def test_a_pack_is_seen_when_it_is_sealed(self, store: SnapshotStore) -> None:
        """Not before; a discarded one never."""

        async def check() -> None:
            pack = await store.write_pack("one")
            await pack.append([b"abc"])
            assert await self.reopen(store).packs() == {}
            assert store.pack_path("one") is None
            await pack.seal()
            gone = await store.write_pack("two")
            await gone.append([b"abc"])
            await gone.discard()
            await gone.discard()
            assert await self.reopen(store).packs() == {"one": 3}

        self.run(check())

    def test_the_path_of_a_pack_holds_its_bytes(self, store: SnapshotStore) -> None:
        """A store that has no files says so."""

        async def check() -> None:
            pack = await store.write_pack("one")
            await pack.append([b"abc"])
            await pack.seal()

        self.run(check())
        path = store.pack_path("one")
        assert path is None or path.read_bytes() == b"abc"

    def test_a_pack_that_is_not_there_is_damage(self, store: SnapshotStore) -> None:
        """Deleting it again is no error."""

        async def check() -> None:
            pack = await store.write_pack("one")
            await pack.append([b"abc"])
            await pack.seal()
            await store.delete_pack("one")
            await store.delete_pack("one")
            with pytest.raises(SnapshotDamaged):
                await store.read("one", 0, 1)

        self.run(check())

    def test_documents_are_replaced_and_removed(self, store: SnapshotStore) -> None:
        """The tag of a document changes with its content, also to one of the same size."""

        async def check() -> None:
            await store.put_document("one", b"first")
            await store.put_document("two", b"x" * 3_000_000)
            tags = await self.reopen(store).documents()
            assert set(tags) == {"one", "two"}
            assert await store.documents() == tags
            await store.put_document("one", b"other")
            assert (await store.documents())["one"] != tags["one"]
            assert (await store.documents())["two"] == tags["two"]
            assert await self.reopen(store).get_document("one") == b"other"
            assert len(await store.get_document("two")) == 3_000_000
            await store.delete_document("one")
            await store.delete_document("one")
            with pytest.raises(SnapshotNotFound):
                await store.get_document("one")
            assert set(await store.documents()) == {"two"}

        self.run(check())

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_names_lead_nowhere_else(self, store: SnapshotStore, name: str) -> None:
        """They may come from a request."""

        async def check() -> None:
            with pytest.raises(InvalidInput):
                await store.get_document(name)
            with pytest.raises(InvalidInput):
                await store.put_document(name, b"")
            with pytest.raises(InvalidInput):
                await store.delete_document(name)
            with pytest.raises(InvalidInput):
                await store.read(name, 0, 1)
            with pytest.raises(InvalidInput):
                await store.delete_pack(name)
            with pytest.raises(InvalidInput):
                await store.write_pack(name)

        self.run(check())

    def test_holding_beside_others_and_alone(self, store: SnapshotStore) -> None:
        """Users share; who wants to be alone is told when he is not; users wait for him."""

        async def check() -> None:
            other = self.reopen(store)
            async with store.hold() as first, other.hold() as second:
                assert first
                assert second
                async with store.hold(alone=True) as is_held:
                    assert not is_held
            async with other.hold(alone=True) as is_held:
                assert is_held
                entered = asyncio.Event()
                user = asyncio.create_task(self._use(store, entered))
                given_up = asyncio.create_task(self._use(store, asyncio.Event()))
                done, _ = await asyncio.wait([user, given_up], timeout=0.2)
                assert not done
                given_up.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await given_up
            await asyncio.wait_for(entered.wait(), 10)
            await user
            await self._alone(other)

        self.run(check())

    def test_many_who_wait_do_not_hold_up_the_one(self, store: SnapshotStore) -> None:
        """The one that they wait for can still work."""

        async def check() -> None:
            other = self.reopen(store)
            async with store.hold(alone=True):
                users = [asyncio.create_task(self._use(other, asyncio.Event())) for _ in range(40)]
                done, _ = await asyncio.wait(users, timeout=0.3)
                assert not done
                await asyncio.wait_for(store.delete_pack("none"), 10)
            await asyncio.wait_for(asyncio.gather(*users), 20)

        self.run(check())

    async def _use(self, store: SnapshotStore, entered: asyncio.Event) -> None:
        async with store.hold():
            entered.set()

    async def _alone(self, store: SnapshotStore) -> None:
        """Be alone at last: whoever gave up waiting leaves no lock, though perhaps later."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            async with store.hold(alone=True) as is_held:
                if is_held:
                    return
            await asyncio.sleep(0.01)
        raise AssertionError("somebody who has gone still holds the store")

    def test_what_was_not_sealed_is_swept(self, store: SnapshotStore) -> None:
        """Its writer was killed, so nobody holds the store for it."""

        async def check() -> None:
            pack = await store.write_pack("one")
            await pack.append([b"abc"])
            async with self.reopen(store).hold(alone=True) as is_held:
                assert is_held
            assert await store.packs() == {}
            await pack.discard()
            pack = await store.write_pack("one")
            await pack.seal()
            assert await store.packs() == {"one": 0}

        self.run(check())

    def test_a_snapshot_goes_in_and_comes_out(self, store: SnapshotStore) -> None:
        """The whole way, with a second one that shares chunks, and a collection."""

        async def check() -> None:
            key = SnapshotKey(bytes(32))
            catalogue = SnapshotCatalogue(store, key)
            groups = [make_group(["a"], b"stream", [b"x" * 3_000_000]), make_group(["b"], b"b")]
            ids: list[str] = []
            for parent in (None, 0):
                parent_id = ids[parent] if parent is not None else None
                async with await catalogue.begin(SnapshotFacts(), parent_id) as writer:
                    await writer.feed(make_stream(groups, known=writer.known))
                    ids.append((await writer.commit("named")).id)
            other = SnapshotCatalogue(self.reopen(store), key)
            assert {item.id for item in await other.list()} == set(ids)
            await other.delete(ids[0])
            reader = await other.open(ids[1])
            assert await reader.check() == []
            await other.delete(ids[1])
            assert await store.packs() == {}

        self.run(check())
