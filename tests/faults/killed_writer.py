"""Takes a snapshot again and again, and is killed one step later each time; a program.

Each attempt is a process of its own on a copy of one store. A step is a call that changes files;
a write is cut in half when the kill comes.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from jupyter_remote_kernels.snapshots.catalogue import SnapshotCatalogue
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.snapshots.key import SnapshotKey
from jupyter_remote_kernels.snapshots.manifest import SnapshotFacts
from jupyter_remote_kernels.testing.state_streams import make_group, make_stream

STEPS = ("mkdir", "open", "write", "writev", "fsync", "rename", "close", "unlink")
KEY = SnapshotKey(b"k" * 32)
A = make_group(["a"], b"a", [bytes(range(256)) * 8192])
B = make_group(["b"], bytes(range(251)) * 12_000)
FIRST, SECOND = make_stream([A]), make_stream([A, B])


async def take(root, stream, parent=None):
    """Take a snapshot, as a server does."""
    catalogue = SnapshotCatalogue(FileStore(root), KEY)
    async with await catalogue.begin(SnapshotFacts(), parent) as writer:
        await writer.feed(stream)
        return await writer.commit()


def die_at(step, told):
    """Let the call of this number be the last thing that this process does."""
    count = 0

    def wrap(name, real):
        def call(*arguments, **options):
            nonlocal count
            count += 1
            if count == step:
                os.pwrite(told, name.encode(), 0)
                if name in ("write", "writev"):
                    descriptor, data = arguments
                    whole = bytes(data) if name == "write" else b"".join(map(bytes, data))
                    real_write(descriptor, whole[: len(whole) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    real_write = os.write
    for name in STEPS:
        setattr(os, name, wrap(name, getattr(os, name)))


def attempt(root, step, parent):
    """Return the step at which a process was killed; empty when it came to its end."""
    told = os.open(root / "told", os.O_RDWR | os.O_CREAT, 0o600)
    pid = os.fork()
    if pid == 0:
        die_at(step, told)
        asyncio.run(take(root, SECOND, parent))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    name = os.pread(told, 100, 0).decode()
    os.close(told)
    assert os.WIFSIGNALED(status) == bool(name), status
    return name


def main(folder):
    """Print the steps and the id of the snapshot that was there before all of them."""
    first = folder / "first"
    pid = os.fork()
    if pid == 0:
        # In a process of its own, because only one without threads may be forked.
        asyncio.run(take(first, FIRST))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    (document,) = (first / "documents").iterdir()
    steps = []
    while True:
        root = folder / f"step-{len(steps) + 1:03}"
        shutil.copytree(first, root)
        name = attempt(root, len(steps) + 1, document.stem)
        steps.append(name)
        if not name:
            break
    print(json.dumps({"first": document.stem, "steps": steps}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
