"""The store in files and the one for tests pass the same contract."""

from __future__ import annotations

import asyncio
import mmap
import os
import stat

import pytest

from jupyter_remote_kernels.errors import StoreUnavailable
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.snapshots.pack_file import ROOM_BYTES
from jupyter_remote_kernels.testing.stores import MemoryStore

pytest.register_assert_rewrite("jupyter_remote_kernels.testing.store_contract")

from jupyter_remote_kernels.testing.store_contract import StoreContract  # noqa: E402 - after it


class TestFileStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return FileStore(tmp_path / "deep" / "snapshots")

    def reopen(self, store):
        return FileStore(store._root)

    def test_only_the_owner_can_look(self, store):
        async def check():
            pack = await store.write_pack("one")
            await pack.append([b"secret"])
            await pack.seal()
            await store.put_document("one", b"secret")
            async with store.hold():
                pass

        old = os.umask(0)
        try:
            asyncio.run(check())
        finally:
            os.umask(old)
        for path in (store._root, *store._root.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path

    def test_a_store_that_is_no_directory_is_unavailable(self, tmp_path):
        (tmp_path / "snapshots").write_text("")
        store = FileStore(tmp_path / "snapshots")
        with pytest.raises(StoreUnavailable):
            asyncio.run(store.write_pack("one"))
        with pytest.raises(StoreUnavailable):
            asyncio.run(store.documents())

    @pytest.mark.parametrize("size", [2 * ROOM_BYTES, 2 * ROOM_BYTES + 4321, 5000])
    def test_large_packs_are_whole(self, store, size):
        content = os.urandom(1 << 20) * (size // (1 << 20)) + os.urandom(size % (1 << 20))

        async def check():
            pack = await store.write_pack("one")
            view = memoryview(content)
            # Pieces that are neither pages nor begin on one.
            for start in range(0, size, 777_777):
                assert await pack.append([b"", view[start : start + 777_777]]) == start
            await pack.seal()
            assert await store.read("one", 0, size + 1) == content
            assert await store.packs() == {"one": size}

        asyncio.run(check())

    def test_whole_pages_between_others(self, store):
        """What lies on pages is written from there; what comes before and after it is not."""
        pages = mmap.mmap(-1, 5 << 20)
        pages[:] = os.urandom(5 << 20)
        view = memoryview(pages).toreadonly()
        first, second, third = view[: 1 << 20], view[1 << 20 : 3 << 20], view[3 << 20 :]
        # A page more, two that follow each other, and one where the file is on no page.
        parts = [[b"x" * 4096, first], [second, third], [b"rest", first], [b"y" * 4092, second]]

        async def check():
            pack = await store.write_pack("one")
            await asyncio.gather(*(pack.append(part) for part in parts))
            await pack.seal()
            whole = b"".join(bytes(buffer) for part in parts for buffer in part)
            assert await store.read("one", 0, len(whole) + 1) == whole

        asyncio.run(check())

    def test_a_pack_that_was_given_up_leaves_nothing(self, store):
        async def check():
            pack = await store.write_pack("one")
            await pack.append([bytes(ROOM_BYTES), bytes(ROOM_BYTES)])
            await pack.discard()
            await pack.discard()
            assert await store.packs() == {}

        asyncio.run(check())
        assert not list(store._root.rglob("*.part"))


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()
