"""Arrays of texts from what is stored: any order, any text, cut anywhere."""

from __future__ import annotations

import pytest

from jupyter_remote_kernels.state.texts import make_texts

np = pytest.importorskip("numpy", reason="not installed: numpy")

# Together they are longer than what is decoded at once, with separators at any place of it.
_TEXTS = {
    "distinct": [f"value {i:07d}" for i in range(30_000)],
    "empty ones": ["" if i % 3 else f"é€\U0001f600{i}" for i in range(50_000)],
    "only empty ones": [""] * 200_000,
    "surrogates": [f"\ud800{i}\udfff" for i in range(20_000)],
    "long ones": ["a" * 100_000, "", "b" * 70_000, "c" * (1 << 16), ""],
    "one": ["x" * 200_000],
}


def _split(texts: list[str]):
    data = "\0".join(texts).encode("utf-8", "surrogatepass")
    return "split", [memoryview(data)], [], []


@pytest.mark.parametrize("name", _TEXTS)
@pytest.mark.parametrize("repeats", [False, True])
def test_what_was_joined_is_cut_again(name, repeats):
    texts = _TEXTS[name]
    made = make_texts(
        [_split(texts), _split(texts[:7])], (len(texts[:7] + texts),), "C", True, repeats
    )
    assert made.dtype == object
    assert made.tolist() == texts + texts[:7]
    if repeats:
        assert len(set(map(id, made.tolist()))) == len(set(texts))


def test_slices_of_each_kind_follow_each_other():
    with_zeros = [f"a\0{i}" for i in range(10)]
    lengths = np.array([len(text) for text in with_zeros], np.uint32)
    numbers = np.array([1, 0, 1, 1], np.uint16)
    missing = np.array([0, 2], np.uint32)
    slices = [
        ("labels", [numbers.tobytes()], ["no", "yes"], []),
        ("lengths", ["".join(with_zeros).encode(), lengths.tobytes()], [], []),
        ("split", [b"\0b\0\0yes"], [], [(None, missing.tobytes())]),
    ]
    made = make_texts(slices, (18,), "C", False, True)
    assert made.tolist() == ["yes", "no", "yes", "yes", *with_zeros, None, "b", None, "yes"]
    assert made[0] is made[2] is made[17]
    assert not made.flags.writeable


def test_shape_and_order():
    made = make_texts([_split([str(i) for i in range(6)])], (2, 3), "F", True, False)
    assert made.tolist() == [["0", "2", "4"], ["1", "3", "5"]]
    assert made.flags.f_contiguous
    assert make_texts([], (0, 3), "C", True, False).shape == (0, 3)
