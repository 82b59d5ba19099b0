"""Random values of every kind, and code that compares them more strictly than == does."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

VALUES = 1000

# Runs in the kernel: stricter than ==, which knows neither types nor NaN nor the sign of zero.
SAME = """
def same(a, b, seen=None):
    import struct
    seen = {} if seen is None else seen
    if type(a) is not type(b):
        return False
    if id(a) in seen:
        return seen[id(a)] == id(b)
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        seen[id(a)] = id(b)
        return len(a) == len(b) and all(same(x, y, seen) for x, y in zip(a, b))
    if isinstance(a, dict):
        seen[id(a)] = id(b)
        return same(list(a), list(b)) and all(same(a[x], b[x], seen) for x in a)
    kind = type(a).__module__.split(".")[0]
    if kind == "numpy":
        order = ("C_CONTIGUOUS", "F_CONTIGUOUS", "WRITEABLE")
        content = a.tolist() if a.dtype.hasobject else a.tobytes()
        other = b.tolist() if b.dtype.hasobject else b.tobytes()
        return (a.dtype == b.dtype and a.shape == b.shape and content == other
                and all(a.flags[flag] == b.flags[flag] for flag in order))
    if kind == "pandas":
        objects = [name for name in a if a[name].dtype == "object"]
        if not all(same(a[name].tolist(), b[name].tolist()) for name in objects):
            return False
        import pandas.testing as testing
        a, b = a.drop(columns=objects), b.drop(columns=objects)
        testing.assert_frame_equal(a, b, check_exact=True)
        return True
    return a == b
"""

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.binary(),
    st.binary().map(bytearray),
    st.datetimes(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.just(bytes(range(256)) * 20),
)
keys = st.one_of(st.integers(), st.text(), st.binary(), st.tuples(st.integers(), st.text()))
nested = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=4),
        st.frozensets(st.integers(), max_size=5),
    ),
    max_leaves=12,
)


@st.composite
def recursive(draw):
    """Return a list that holds itself, and one object twice."""
    value = draw(st.lists(nested, min_size=1, max_size=4))
    return [value, value, {"first": value[0]}]


@st.composite
def arrays(draw):
    """Return an array of any type and order; some are views."""
    dtype = st.one_of(
        st_numpy.scalar_dtypes(),
        st_numpy.array_dtypes(max_size=3),
        st_numpy.nested_dtypes(max_itemsize=200),
    )
    shape = st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
    array = draw(st_numpy.arrays(draw(dtype), draw(shape)))
    change = draw(st.sampled_from(["C", "F", "reversed", "large", "fixed"]))
    if change == "reversed" and array.ndim:
        return array[::-1]
    if change == "large" and array.size:
        return np.resize(array, 3000)
    if change == "fixed":
        array.flags.writeable = False
        return array
    return np.array(array, order="F" if change == "F" else "C")


@st.composite
def frames(draw):
    """Return a frame of the usual kinds of columns."""
    size = draw(st.integers(0, 6))
    columns = {
        "i": st.integers(-(2**63), 2**63 - 1),
        "f": st.floats(),
        "s": st.one_of(st.none(), st.text(st.characters(codec="utf-8"))),
        "b": st.booleans(),
        "o": nested,
    }
    data = {
        name: pd.Series(
            draw(st.lists(each, min_size=size, max_size=size)),
            dtype={"s": "str", "o": "object"}.get(name),
        )
        for name, each in columns.items()
        if draw(st.booleans())
    }
    if draw(st.booleans()):
        data["t"] = pd.Series(pd.date_range("2020", periods=size, tz="Europe/Vienna"))
        data["c"] = pd.Series(pd.Categorical(["a", "b"] * size, ["b", "a"])[:size])
    return pd.DataFrame(data)


def collect():
    """Return the values, the same in every run."""
    found = []

    @settings(
        max_examples=VALUES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.one_of(nested, recursive(), arrays(), frames()))
    def take(value):
        found.append(value)

    while len(found) < VALUES:
        take()
    # A list cannot be made to hold itself before it is there.
    found.append([1])
    found[-1].append(found[-1])
    return found


def write_values(file):
    """Write the values to a file, and return them with the code that reads them in a kernel."""
    values = collect()
    file.write_bytes(pickle.dumps(values))
    return values, f"import pickle\nexpected = pickle.loads(open({str(file)!r}, 'rb').read())\n"


# Each value gets a name of its own.
SPREAD = "for i, v in enumerate(expected): globals()[f'v{i}'] = v\ndel expected, i, v"
DIFFERENT = "[i for i, v in enumerate(expected) if not same(v, globals()[f'v{i}'])]"
