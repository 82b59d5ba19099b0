"""What is written in bulk: large plain containers and arrays of texts, from kernel to kernel."""

from __future__ import annotations

import pytest

from jupyter_remote_kernels.protocol.state_stream import digest_of
from tests.contract.state_kernel import Mother, StateKernel, read_stream

# Each pair: how a value is made, and what must hold after it came back.
_PLAIN = {
    "lists": ("{i: [i, str(i), i * 0.5] for i in range(20_000)}", "list(x) == list(made)"),
    "records": (
        "[{'name': f'n{i}', 'tags': ['a', str(i % 9)], 'ok': None} for i in range(9_000)]",
        "x[0]['tags'] is not x[9]['tags']",
    ),
    "nested": (
        "{'meta': {'n': 1, 2: [3]}, 'rows': {'a': [[i] for i in range(5_000)]}, 'e': {}}",
        "list(x['rows']['a'][-1]) == [4_999]",
    ),
    "tuples": ("[(i, (i, str(i)), [i]) for i in range(5_000)]", "type(x[0][1]) is tuple"),
    "sets": ("{i * 3 for i in range(70_000)}", "type(x) is set"),
    "large parts": ("[bytes([i % 256]) * 70_000 for i in range(1_500)]", "len(x[-1]) == 70_000"),
    "one text": ("['a text' * 9_000] * 1_500", "x[0] is x[-1]"),
    "bytearrays": ("[bytearray(b'a') for _ in range(1_500)]", "type(x[0]) is bytearray"),
    "complex": ("[complex(i, 1) for i in range(1_500)]", "x[3] == 3 + 1j"),
}
_TEXTS = {
    "distinct": ("[f'value {i}' for i in range(300_000)]", "True"),
    "labels": ("[f'label {i % 50}' for i in range(300_000)]", "len(set(map(id, x))) == 50"),
    "some twice": ("[f'label {i % 9_000}' for i in range(20_000)]", "len(set(map(id, x))) < 9_001"),
    "not ASCII": ("[f'é\\ud800€{i}\\U0001F600' for i in range(3_000)]", "True"),
    "separators": ("[f'a\\0{i}' if i % 3 else '' for i in range(3_000)]", "True"),
    "empty": ("[''] * 3_000", "True"),
    "missing": (
        "[None if i % 5 == 0 else np.nan if i % 7 == 0 else f't{i}' for i in range(3_000)]",
        "x[0] is None and x[7] != x[7] and x[7] is x[14]",
    ),
    "numbers": ("[i if i % 2 else str(i) for i in range(3_000)]", "type(x[1]) is int"),
    "derived": ("[np.str_(i) for i in range(3_000)]", "type(x[1]) is np.str_"),
}


@pytest.fixture(scope="module")
def source():
    with Mother() as mother, StateKernel(mother) as kernel:
        kernel.run("import numpy as np")
        kernel.mother = mother
        yield kernel


@pytest.fixture
def target(source):
    with StateKernel(source.mother) as kernel:
        yield kernel


def test_plain_containers_come_back(source, target):
    source.run("\n".join(f"plain_{n} = {code}" for n, (code, _) in enumerate(_PLAIN.values())))
    assert target.restore(source.capture())["lost"] == []
    for n, (name, (code, holds)) in enumerate(_PLAIN.items()):
        target.run(f"x, made = plain_{n}, {code}\nassert x == made and {holds}, {name!r}")
    source.run("%reset -f\nimport numpy as np")


def test_arrays_of_texts_come_back(source, target):
    source.run(
        "\n".join(f"t{n} = np.array({c}, object)" for n, (c, _) in enumerate(_TEXTS.values()))
    )
    source.run(
        "flat = np.array([str(i) for i in range(6_000)], object)\n"
        "rows, columns = flat.reshape(60, 100), np.asfortranarray(flat.reshape(60, 100))\n"
        "fixed = flat.copy(); fixed.flags.writeable = False; every = flat[::2].copy()[::3]"
    )
    assert target.restore(source.capture())["lost"] == []
    for n, (name, (code, holds)) in enumerate(_TEXTS.items()):
        target.run(
            f"x, made = t{n}, np.array({code}, object)\n"
            "assert x.dtype == object and x.shape == made.shape\n"
            "assert all(a is b or a == b or a != a for a, b in zip(x, made))\n"
            f"assert {holds}, {name!r}"
        )
    target.run(
        "made = np.array([str(i) for i in range(6_000)], object)\n"
        "assert (flat == made).all() and (every == made[::6]).all()\n"
        "assert np.shares_memory(rows, flat) and columns.flags.f_contiguous\n"
        "assert (columns == made.reshape(60, 100)).all()\n"
        "assert (fixed == made).all() and not fixed.flags.writeable and flat.flags.writeable"
    )
    source.run("%reset -f\nimport numpy as np")


def test_frames_with_texts_come_back(source, target):
    pytest.importorskip("pandas", reason="not installed: pandas")
    source.run(
        "import pandas as pd\n"
        "texts = np.array([f't{i}' if i % 9 else None for i in range(3_000)], object)\n"
        "class Frame(pd.DataFrame):\n"
        "    _constructor = property(lambda self: Frame)\n"
        "frame = pd.DataFrame({'n': np.arange(3_000), 't': pd.Series(texts, dtype=object)})\n"
        "frame['u'] = pd.Series(texts[::-1], dtype=object); frame.attrs['from'] = 'here'\n"
        "series = pd.Series(texts.copy(), dtype=object, name='s')\n"
        "half = frame.iloc[::2]; own = Frame(frame.copy()); mixed = frame.copy()\n"
        "mixed['v'] = pd.Series([[i] for i in range(3_000)], dtype=object)\n"
        "loop = frame.copy(); loop.loc[5, 't'] = [loop]\n"
        "over = pd.Series(texts, dtype=object, copy=False)"
    )
    assert target.restore(source.capture())["lost"] == []
    target.run(
        "made = [f't{i}' if i % 9 else None for i in range(3_000)]\n"
        "assert list(frame.columns) == list('ntu') and frame.attrs == {'from': 'here'}\n"
        "assert frame['t'].tolist() == made and frame['u'].tolist() == made[::-1]\n"
        "assert frame['n'].tolist() == list(range(3_000)) and type(frame) is pd.DataFrame\n"
        "assert series.tolist() == made and series.name == 's'\n"
        "assert half['t'].tolist() == made[::2]\n"
        "assert type(own).__name__ == 'Frame' and own['u'].tolist() == made[::-1]\n"
        "assert mixed['t'].tolist() == made and mixed.loc[7, 'v'] == [7]\n"
        "assert type(loop.loc[5, 't'][0]) is pd.DataFrame and loop['u'].tolist() == made[::-1]\n"
        "texts[1] = 'changed'; assert over[1] == 'changed'\n"
        "frame.loc[0, 't'] = 'new'; assert frame['t'][0] == 'new' and series[0] is None"
    )
    source.run("%reset -f\nimport numpy as np")


def test_what_is_shared_is_not_taken_apart(source, target):
    source.run(
        "inner = [1]; outer = [[i] for i in range(2_000)] + [inner]\n"
        "loop = [[i] for i in range(2_000)]; loop[5].append(loop)\n"
        "twice = [[i] for i in range(2_000)]; twice.append(twice[3])"
    )
    assert target.restore(source.capture())["lost"] == []
    target.run(
        "assert outer[-1] is inner and loop[5][1] is loop and twice[-1] is twice[3]\n"
        "assert len(twice) == 2_001"
    )


def test_a_kernel_is_told_the_digests_of_its_first_capture(source):
    pytest.importorskip("xxhash", reason="not installed: xxhash")
    source.run("data = bytearray(range(256)) * 40_000; few = [1]")
    (facts, *_), chunks = read_stream(source.capture(notes=True))
    digests = [digest_of(chunk.data) for chunk in chunks]
    source.run("few = [2]")
    table = "len(__import__('sys').modules['_jrk_state.digests']._digests)"
    # Only what is of the last capture, and all of it, is believed.
    for after, known in ((facts["capture"], digests[1:]), ("another", digests)):
        source.capture(["few"], hashing="sha256", known=known, after=after)
        assert source.evaluate(table) < 5
    again = source.capture(hashing="sha256", known=digests, after=facts["capture"])
    assert len(again) < 100_000
    assert source.evaluate(table) >= len(set(digests))
    source.run("%reset -f\nimport numpy as np")
