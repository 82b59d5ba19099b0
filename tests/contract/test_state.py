"""State of real kernels: captured in one, restored in a fresh one, and what is reported."""

from __future__ import annotations

import pytest

from jupyter_remote_kernels.protocol.state_stream import (
    ChunkRecord,
    FileRecord,
    encode_json,
    list_parts,
)
from tests.contract.state_kernel import Mother, StateKernel, read_report, read_stream


@pytest.fixture(scope="module")
def mother():
    with Mother() as process:
        yield process


@pytest.fixture(scope="module")
def source(mother):
    with StateKernel(mother) as kernel:
        yield kernel


@pytest.fixture
def target(mother):
    with StateKernel(mother) as kernel:
        yield kernel


@pytest.fixture
def clean(source):
    """Return the source kernel without variables."""
    source.run("%reset -f")
    return source


def test_links_functions_and_classes_come_back(clean, target):
    clean.run(
        "x = [1, 2]; y = x; held = {'k': x}\n"
        "def scaled(n): return n * scale\n"
        "scale = 3\n"
        "class Base:\n"
        "    def name(self): return 'base'\n"
        "class Child(Base):\n"
        "    def name(self): return super().name() + '/child'\n"
        "child = Child()\n"
        "def counter():\n"
        "    n = 0\n"
        "    def up():\n"
        "        nonlocal n\n"
        "        n += 1\n"
        "        return n\n"
        "    return up, lambda: n\n"
        "up, read = counter(); up()\n"
    )
    report = target.restore(clean.capture())
    assert report["lost"] == []
    target.run(
        "assert x is y is held['k']\n"
        "scale = 5; assert scaled(2) == 10\n"
        "assert type(child) is Child and child.name() == 'base/child'\n"
        "assert up() == 2 and read() == 2\n"
    )


def test_history_and_counter_go_on(clean, target):
    clean.run("40 + 2")
    before = clean.evaluate("[len(In), get_ipython().execution_count]")
    target.restore(clean.capture())
    assert target.evaluate("[len(In), get_ipython().execution_count]") == before
    assert target.evaluate("_") == 42


def test_one_bad_variable_costs_nothing_else(clean, target):
    clean.run(
        "import threading\n"
        "good = 1\n"
        "bad = (i for i in range(3))\n"
        "class Model: pass\n"
        "model = Model(); model.session = {'worker': threading.Thread()}\n"
    )
    stream = clean.capture()
    report = read_report(stream)
    assert report["good"]["status"] == "carried"
    assert report["bad"]["status"] == "refused"
    assert report["model"]["path"] == "model.session['worker'] → threading.Thread"
    # The cell that makes it again, for who wants to run it.
    assert report["bad"]["cell"]["source"].startswith("import threading\ngood = 1\n")
    assert "cell" not in report["good"]
    restored = target.restore(stream)
    assert {entry["name"] for entry in restored["lost"]} == {"bad", "model"}
    assert all(entry["reason"] for entry in restored["lost"])
    assert "good" in restored["restored"]


def test_nothing_is_left_in_the_namespace(clean):
    before = clean.evaluate("sorted(globals())")
    clean.capture()
    assert clean.evaluate("sorted(globals())") == before


def test_the_plan_is_the_report(clean):
    clean.run("x = list(range(1000)); s = (i for i in x); a = 'text'")
    plan = clean.ask({"op": "plan", "names": None})
    assert plan["variables"] == list(read_report(clean.capture()).values())
    assert plan["total_bytes"] > 1000
    variables = clean.ask({"op": "variables", "names": ["a", "nothing"]})["variables"]
    assert [entry["name"] for entry in variables] == ["a", "nothing"]
    assert variables[0]["preview"] == "'text'"
    assert variables[1]["reason"] == "there is no such variable"


def test_chosen_names_and_conflicts(clean, target):
    clean.run("a = [1]; b = [a]; c = 3")
    stream = clean.capture(names=["a", "b"])
    target.run("a = 'own'")
    assert target.restore(stream, ["b"], "keep")["restored"] == ["b"]
    assert target.restore(stream, ["a"], "keep")["kept"] == ["a"]
    report = target.restore(stream, ["a"], "rename")
    assert report["renamed"] == {"a": "a_1"}
    assert target.evaluate("[a, a_1, b]") == ["own", [1], [[1]]]
    assert target.restore(stream, ["a"], "replace")["restored"] == ["a"]
    assert target.evaluate("[a, 'c' in globals()]") == [[1], False]


def test_known_chunks_are_not_sent_again(clean):
    clean.run("data = bytearray(range(256)) * 40_000")
    _, chunks = read_stream(clean.capture(hashing="sha256"))
    known = {chunk.digest for chunk in chunks}
    again = clean.capture(hashing="sha256", known=known)
    assert len(again) < 100_000


@pytest.mark.parametrize(
    "stream",
    [
        b"?" * 100,
        encode_json({"type": "begin"}) + encode_json({"type": "unknown"}),
        encode_json({"type": "group", "names": ["x"], "stream_bytes": "many"}),
    ],
    ids=["noise", "unknown", "sizes"],
)
def test_nonsense_is_refused(clean, stream):
    clean.run("kept = 1")
    assert clean.restore(stream)["type"] == "error"
    assert clean.evaluate("kept") == 1


def test_who_stops_listening_cancels(clean):
    clean.run("large = bytearray(64 << 20); kept = [1]")
    connection, request = clean.connect()
    with connection:
        connection.sendall(encode_json({"op": "capture", "names": None, "hash": "none"}))
        connection.sendall(encode_json({"op": "go"}))
        connection.recv(100)
    clean.finish(request)
    assert clean.evaluate("[len(large), kept]") == [64 << 20, [1]]


def test_half_a_stream_binds_no_half_group(clean, target):
    clean.run("first = [1]; second = bytearray(8 << 20); third = [second, first]")
    stream = clean.capture()
    connection, request = target.connect()
    with connection:
        connection.sendall(encode_json({"op": "restore", "names": None}))
        connection.sendall(stream[: len(stream) // 2])
    target.finish(request)
    assert target.evaluate("[n for n in ('first', 'second', 'third') if n in globals()]") == []


def test_a_flipped_byte_is_refused(clean, target):
    clean.run("import array; data = array.array('B', bytes(range(256))) * 8000")
    _, chunks = read_stream(stream := clean.capture(hashing="sha256"))
    at = stream.rindex(bytes(chunks[-1].data))
    damaged = bytearray(stream)
    damaged[at + 1000] ^= 1
    answer = target.restore(bytes(damaged))
    assert (answer["type"], answer["reason"]) == ("error", "bad_chunk")
    assert not target.evaluate("'data' in globals()")


def test_buffers_of_a_file_are_mapped(clean, target, tmp_path):
    clean.run("import array; data = array.array('d', [1.5]) * 500_000; kept = data")
    stream = clean.capture(hashing="sha256")
    texts, chunks = read_stream(stream)
    file = tmp_path / "pack"
    content, places = bytearray(), {}
    for chunk in chunks:
        if isinstance(chunk, ChunkRecord):
            places[chunk.digest] = (len(content), chunk.size)
            content += chunk.data
    file.write_bytes(content)
    texts[0]["files"] = [str(file)]
    parts = []
    waiting = iter(chunks)
    for text in texts:
        parts.append(encode_json(text))
        sizes = [p.size for p in list_parts(text)] if text["type"] in ("group", "session") else []
        for size in sizes:
            while size > 0:
                chunk = next(waiting)
                offset, length = places[chunk.digest]
                parts += FileRecord(chunk.digest, offset, length, 0).encode()
                size -= length
    report = target.restore(b"".join(parts))
    assert report["lost"] == []
    assert target.evaluate("[len(data), data[7], kept is data]") == [500_000, 1.5, True]
    target.run("data[0] = 2.0")
    assert file.read_bytes() == content


def test_memory_that_came_back_is_not_shared_with_children(clean, target):
    clean.run("import os, numpy as np\nlarge = np.zeros(1 << 18)")
    target.restore(clean.capture())
    target.run(
        "child = os.fork()\n"
        "if child == 0:\n"
        "    large[:] = 1\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "assert not large.any()\n"
        "large[0] = 2"
    )


def test_pythons_own_places_stay_behind_by_whatever_name(clean, target):
    clean.run(
        "import sys, os, tempfile\n"
        "folder = os.path.realpath(tempfile.mkdtemp())\n"
        "os.symlink(os.path.join(folder, 'python'), os.path.join(folder, 'link'))\n"
        "sys.base_prefix = os.path.join(folder, 'link')\n"
        "sys.path += [os.path.join(folder, 'python', 'lib'), os.path.join(folder, 'mine')]\n"
    )
    mine = clean.evaluate("sys.path[-1]")
    before = target.evaluate("__import__('sys').path")
    target.restore(clean.capture())
    assert target.evaluate("__import__('sys').path") == [*before, mine]
