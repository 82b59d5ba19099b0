"""Environments: what is accepted, and that a refusal names the key and the reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_remote_kernels.errors import InvalidEnvironment
from jupyter_remote_kernels.model.environments import Environment, Resources, parse_size_bytes


@pytest.mark.parametrize(
    "text,size_bytes",
    [
        (1024, 1024),
        ("1024", 1024),
        ("512 MB", 512_000_000),
        ("16GiB", 16 * 2**30),
        ("1.5g", 1_500_000_000),
        ("1ki", 1024),
        (" 2 TiB ", 2 * 2**40),
        ("100b", 100),
        ("0", 0),
    ],
)
def test_sizes(text, size_bytes):
    assert parse_size_bytes(text) == size_bytes


@pytest.mark.parametrize("value", ["", "GiB", "-1", "1 XB", "1e9", "1,5G", None, True, 1.5, [], {}])
def test_what_is_no_size_is_named(value):
    with pytest.raises(InvalidEnvironment, match="size: ") as caught:
        parse_size_bytes(value)
    assert repr(value) in caught.value.message


@given(st.integers(min_value=0, max_value=2**60))
def test_whole_numbers_of_bytes_stay_exact(size_bytes):
    assert parse_size_bytes(size_bytes) == size_bytes


def test_defaults():
    environment = Environment.from_json("python", {})
    assert environment.provider == "local"
    assert environment.kernel_name == "remote-python"
    assert environment.display_name == "python (remote)"
    assert environment.resources == Resources()


def test_everything_is_read():
    environment = Environment.from_json(
        "gpu.box_1-a",
        {
            "display_name": "GPU box",
            "language": "R",
            "provider": "ssh",
            "kind": "user",
            "options": {"host": "gpu01", "deep": {"list": [1, 2]}},
            "resources": {"cpu": 4, "memory": "16GiB", "gpu": 0},
            "env": {"OMP_NUM_THREADS": "4"},
        },
    )
    assert environment.resources == Resources(4.0, 16 * 2**30, 0)
    assert environment.options["deep"] == {"list": [1, 2]}
    assert environment.env == {"OMP_NUM_THREADS": "4"}


def test_json_form_has_no_variables_in_it():
    environment = Environment.from_json("a", {"env": {"KEY": "value"}, "options": {"b": 1}})
    data = environment.to_json()
    assert "value" not in json.dumps(data)
    assert data["kernel_name"] == "remote-a"
    assert data["resources"] == {"cpu": None, "memory_bytes": None, "gpu": None}


def test_resources_survive_their_json_form():
    resources = Resources(cpu=0.5, memory_bytes=2**30, gpu=1)
    assert Resources.from_json(resources.to_json()) == resources
    assert Resources.from_json(Resources().to_json()) == Resources()


@pytest.mark.parametrize("name", ["a", "0", "a.b", "a_b", "a-b", "a" * 64])
def test_good_names(name):
    assert Environment.from_json(name, {}).name == name


@pytest.mark.parametrize(
    "name", ["", "A", "-a", "a-", ".a", "a/b", "../a", "a b", "a\n", "ä", "a" * 65]
)
def test_bad_names_are_refused(name):
    with pytest.raises(InvalidEnvironment, match="name: "):
        Environment.from_json(name, {})


@pytest.mark.parametrize(
    "data,key,reason",
    [
        ({"colour": 1}, "colour", "unknown key"),
        ({1: 2}, "1", "unknown key"),
        ({"display_name": ""}, "display_name", "text"),
        ({"display_name": 3}, "display_name", "text"),
        ({"provider": None}, "provider", "text"),
        ({"language": "  "}, "language", "text"),
        ({"kind": []}, "kind", "text"),
        ({"options": "fast"}, "options", "table"),
        ({"env": ["A=b"]}, "env", "table"),
        ({"env": {"A": 1}}, "env", "text"),
        ({"env": {1: "a"}}, "env", "text"),
        ({"resources": 4}, "resources", "table"),
        ({"resources": {"disk": 1}}, "disk", "unknown key"),
        ({"resources": {"cpu": 0}}, "resources.cpu", "above 0"),
        ({"resources": {"cpu": True}}, "resources.cpu", "above 0"),
        ({"resources": {"cpu": "two"}}, "resources.cpu", "above 0"),
        ({"resources": {"cpu": float("nan")}}, "resources.cpu", "above 0"),
        ({"resources": {"cpu": float("inf")}}, "resources.cpu", "above 0"),
        ({"resources": {"memory": "9" * 400}}, "size", "no size"),
        ({"resources": {"memory": "lots"}}, "size", "no size"),
        ({"resources": {"memory": 0}}, "resources.memory", "above 0"),
        ({"resources": {"gpu": -1}}, "resources.gpu", "whole number"),
        ({"resources": {"gpu": 1.5}}, "resources.gpu", "whole number"),
    ],
)
def test_refusal_names_environment_key_and_reason(data, key, reason):
    with pytest.raises(InvalidEnvironment) as caught:
        Environment.from_json("mine", data)
    assert "'mine'" in caught.value.message
    assert key in caught.value.message
    assert reason in caught.value.message
    assert caught.value.hint
    assert caught.value.reason == "invalid_environment"


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_what_is_no_table_is_refused(data):
    with pytest.raises(InvalidEnvironment, match="table"):
        Environment.from_json("mine", data)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["display_name", "language", "provider", "options", "resources", "kind", "env"]
)


@given(st.dictionaries(KEYS, ANYTHING) | ANYTHING)
def test_any_data_is_read_or_refused_and_nothing_else(data):
    try:
        environment = Environment.from_json("mine", data)
    except InvalidEnvironment:
        return
    assert Environment.from_json(environment.name, {**data}) == environment


@given(
    st.dictionaries(
        st.sampled_from(["cpu", "memory", "memory_bytes", "gpu"]),
        ANYTHING | st.from_regex(r"[0-9.]{1,8} ?[kmgt]?i?b?", fullmatch=True),
    )
)
def test_any_resources_are_read_or_refused_and_nothing_else(data):
    try:
        resources = Resources.from_json(data)
    except InvalidEnvironment:
        return
    assert Resources.from_json(resources.to_json()) == resources
