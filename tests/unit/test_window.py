"""Memory that a kernel and the process that stores its state share."""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing

import pytest

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.link import window as link_window
from jupyter_remote_kernels.link.window import open_window as offer_window
from jupyter_remote_kernels.protocol.state_stream import (
    CHUNK_BYTES,
    NO_DIGEST,
    VERSION,
    StreamReader,
    WindowRecord,
    cut,
)
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.state.sending import Sender
from jupyter_remote_kernels.state.window import Window, open_window
from jupyter_remote_kernels.state.wire import Closed, Writer
from jupyter_remote_kernels.testing.state_streams import make_group, make_stream
from tests.engines.tools import require_root
from tests.unit.snapshot_tools import FACTS, Shelf, contents, noise, run

PLACES = link_window._PLACES
NOBODY = 65534


def send(name, connection, group, *, hashes):
    """Do in a kernel's place what a capture does."""
    with connection, closing(open_window(name)) as window:
        sender = Sender(Writer(connection), hashes=hashes, known=set(), window=window)
        algorithm = "sha256" if hashes else "none"
        begin = {"type": "begin", "version": VERSION, "hash": algorithm, "total_bytes": 0}
        sender.writer.json({**begin, "python": "3.11.7", "files": []})
        sender.writer.json({**group.record, "id": 0})
        sender.send([cut(part) for part in group.parts])
        names = group.record["names"]
        facts = {"type": "bytes", "size_bytes": 1, "status": "carried", "reason": None}
        sender.writer.json({"type": "end", "variables": [{"name": n, **facts} for n in names]})


async def save(shelf, group, *, hashes):
    """Save a group through a window; return the manifest, and how many chunks went by it."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    by_window, reader = 0, StreamReader()
    with ThreadPoolExecutor(1) as pool, ours:
        async with (
            offer_window(is_near=True) as window,
            await shelf.catalogue.begin(FACTS, None) as writer,
        ):
            writer.window = window
            sending = loop.run_in_executor(
                pool, lambda: send(window.name, theirs, group, hashes=hashes)
            )
            while data := await loop.sock_recv(ours, 1 << 20):
                by_window += sum(isinstance(r, WindowRecord) for r in reader.feed(data))
                await writer.feed(data)
            await sending
            return await writer.commit(), by_window


@pytest.mark.parametrize("hashes", [True, False])
@pytest.mark.parametrize("on_disk", [True, False])
def test_what_goes_in_comes_out(tmp_path, hashes, on_disk):
    # More chunks than places, some of them alike, some small, and the last one not whole.
    large = noise((PLACES + 5) * CHUNK_BYTES + 70_000)
    buffers = [large, bytes(3 * CHUNK_BYTES), b"small", large[: 2 * CHUNK_BYTES]]
    group = make_group(["a", "b"], b"links", buffers, singles={"a": b"alone"})
    shelf = Shelf(FileStore(tmp_path)) if on_disk else Shelf()

    async def scenario():
        manifest, by_window = await save(shelf, group, hashes=hashes)
        assert by_window >= PLACES + 5
        assert manifest.new_bytes < len(large) + CHUNK_BYTES + 100
        return await shelf.load(manifest.id)

    assert contents(run(scenario())) == contents(make_stream([group]))


@pytest.mark.timeout(20)
def test_small_chunks_take_whole_places_and_stop_nothing():
    group = make_group(["a"], b"links", [noise(70_000 + n) for n in range(4 * PLACES)])

    async def scenario():
        shelf = Shelf()
        manifest, by_window = await save(shelf, group, hashes=False)
        assert by_window == 4 * PLACES
        return await shelf.load(manifest.id)

    assert contents(run(scenario())) == contents(make_stream([group]))


def test_writer_without_a_window_takes_nothing_from_one():
    async def scenario():
        shelf = Shelf()
        group = make_group(["a"], b"", [bytes(CHUNK_BYTES)])
        whole = make_stream([group], has_digests=False)
        begin = whole[: whole.index(b"D", whole.index(b'"names"'))]
        async with await shelf.catalogue.begin(FACTS, None) as writer:
            with pytest.raises(InvalidInput):
                await writer.feed(begin + WindowRecord(NO_DIGEST, 0, CHUNK_BYTES).encode()[0])

    run(scenario())


@asynccontextmanager
async def opened():
    """A window, and a kernel's end of it."""
    loop = asyncio.get_running_loop()
    async with offer_window(is_near=True) as window:
        yield window, await loop.run_in_executor(None, Window, window.name)


class TestPlaces:
    def test_there_is_nothing_where_no_place_is(self):
        async def scenario():
            async with opened() as (window, end):
                for offset, size in [
                    (1, 10), (-CHUNK_BYTES, 10), (PLACES * CHUNK_BYTES, 10),
                    (0, 0), (0, CHUNK_BYTES + 1),
                ]:  # fmt: skip
                    with pytest.raises(InvalidInput):
                        window.take(offset, size)
                window.take(0, 10)
                with pytest.raises(InvalidInput):
                    window.take(0, 10)
                end.close()

        run(scenario())

    def test_kernel_waits_for_a_place_and_hears_when_nobody_wants_it(self):
        async def scenario():
            loop = asyncio.get_running_loop()
            told = asyncio.Event()
            async with opened() as (window, end):
                offsets = [end.put(b"%d" % n, pytest.fail) for n in range(PLACES)]
                assert sorted(offsets) == [n * CHUNK_BYTES for n in range(PLACES)]

                def put():
                    return end.put(b"next", lambda: loop.call_soon_threadsafe(told.set))

                waiting = loop.run_in_executor(None, put)
                await told.wait()
                assert bytes(window.take(offsets[3], 1)) == b"3"
                window.release(offsets[3])
                assert await waiting == offsets[3]
                assert bytes(window.take(offsets[3], 4)) == b"next"
                told.clear()
                waiting = loop.run_in_executor(None, put)
                await told.wait()
            with pytest.raises(Closed):
                await waiting
            end.close()

        run(scenario())


def take_anyway(name):
    """Return 0 when another user's process gets no memory, whatever it checks itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(f"\0{name}")
        descriptors = socket.recv_fds(connection, 1, 1)[1]
    return 0 if not descriptors and open_window(name) is None else 1


class TestNone:
    def test_far_kernels_get_none(self):
        async def scenario():
            async with offer_window(is_near=False) as window:
                assert window is None

        run(scenario())

    def test_nobody_listens(self):
        assert open_window("jrk-nobody") is None
        assert open_window(None) is None

    def test_no_memory_to_spare(self, monkeypatch):
        def refuse(*_):
            raise OSError("no memory")

        async def scenario():
            loop = asyncio.get_running_loop()
            async with offer_window(is_near=True) as window:
                assert await loop.run_in_executor(None, open_window, window.name) is None
                with pytest.raises(InvalidInput):
                    window.take(0, 1)

        monkeypatch.setattr(os, "posix_fallocate", refuse)
        run(scenario())

    def test_another_user_gets_nothing_and_gives_nothing(self):
        require_root()

        async def scenario():
            loop = asyncio.get_running_loop()
            async with offer_window(is_near=True) as window:
                stranger = os.fork()
                if not stranger:
                    os.setuid(NOBODY)
                    os._exit(take_anyway(window.name))
                _, status = await loop.run_in_executor(None, os.waitpid, stranger, 0)
                assert os.waitstatus_to_exitcode(status) == 0
                # It is still there for who may.
                (await loop.run_in_executor(None, Window, window.name)).close()

        run(scenario())
