"""Environments: what is accepted, and that a refusal names the key and the reason."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_remote_kernels.errors import InvalidEnvironment
from jupyter_remote_kernels.model.environments import (
    ENVIRONMENT_KEYS,
    Environment,
    Resources,
    VolumeDefaults,
)
from jupyter_remote_kernels.model.reading import format_size, parse_size_bytes


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
    assert parse_size_bytes(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize("size_bytes,text", [(2**34, "16GiB"), (1536 * 2**20, "1536MiB"), (1, 1)])
def test_sizes_are_written_as_people_write_them(size_bytes, text):
    assert format_size(size_bytes) == text


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
            "description": "Two **cards**.\nNew ones.",
            "provider": "ssh",
            "kind": "user",
            "options": {"host": "gpu01", "deep": {"list": [1, 2]}},
            "resources": {"cpu": 4, "memory": "16GiB", "gpu": 0},
            "max_resources": {"cpu": 8},
            "env": {"OMP_NUM_THREADS": "4"},
            "env_allowed": ["HF_*", "SEED"],
            "credits_per_hour": 2,
            "paused_credits_per_hour": 0.1,
            "default_lease_s": 7200,
            "max_lease_s": 86_400,
            "lease_policy": "terminate",
            "silence_policy": "wait",
            "example_notebook": "examples/start.ipynb",
            "warm": 16,
            "fork": False,
            "volume": {"path": "~/data", "default": True},
        },
    )
    assert environment.description.endswith("New ones.")
    assert environment.max_resources == Resources(cpu=8.0)
    assert environment.largest_resources == Resources(8.0, 16 * 2**30, 0)
    assert (environment.credits_per_hour, environment.paused_credits_per_hour) == (2.0, 0.1)
    assert (environment.lease_s, environment.max_lease_s) == (7200, 86_400)
    assert environment.silence_policy == "wait"
    assert environment.example_notebook == "examples/start.ipynb"
    assert (environment.warm, environment.fork) == (16, False)
    assert environment.volume == VolumeDefaults("~/data", True)
    assert environment.allows_variable("HF_TOKEN")
    assert not environment.allows_variable("hf_token")
    assert environment.resources == Resources(4.0, 16 * 2**30, 0)
    assert environment.options["deep"] == {"list": [1, 2]}
    assert environment.env == {"OMP_NUM_THREADS": "4"}


def test_json_form_is_complete():
    environment = Environment.from_json("a", {"env": {"KEY": "value"}, "options": {"b": 1}})
    data = environment.to_json()
    assert data["kernel_name"] == "remote-a"
    assert data["resources"] == {"cpu": None, "memory_bytes": None, "gpu": None}
    assert data["volume"] == {"path": "~/persistent", "default": False}
    assert set(data) == ENVIRONMENT_KEYS | {"name", "kernel_name"}
    assert json.loads(json.dumps(data)) == data


def test_without_a_lease_a_runtime_has_no_end():
    assert Environment.from_json("a", {}).lease_s is None
    assert Environment.from_json("a", {"max_lease_s": 60}).lease_s == 60
    assert Environment.from_json("a", {"max_lease_s": 60, "default_lease_s": 5}).lease_s == 5


def test_variables_of_a_launch_are_the_users_own_business_only_in_their_own_environments():
    assert not Environment.from_json("a", {}).allows_variable("SEED")
    assert Environment.from_json("a", {"kind": "user"}).allows_variable("SEED")
    assert not Environment.from_json("a", {"kind": "user", "env_allowed": []}).env_allowed


def test_what_the_registry_has_stored_is_restored_without_checks():
    environment = Environment.from_json("a", {"max_resources": {"cpu": 2}})
    stored = {k: v for k, v in environment.to_json().items() if k != "kernel_name"}
    stored |= {"argv": (), "env_allowed": (), "resources": Resources()}
    assert Environment(**stored) == environment


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
        ({"kind": []}, "kind", "'platform' or 'user'"),
        ({"options": "fast"}, "options", "table"),
        ({"env": ["A=b"]}, "env", "table"),
        ({"env": {"A": 1}}, "env.A", "text"),
        ({"env": {1: "a"}}, "env.1", "text"),
        ({"resources": 4}, "resources", "table"),
        ({"resources": {"disk": 1}}, "resources.disk", "unknown key"),
        ({"resources": {"cpu": 0}}, "resources.cpu", "above 0"),
        ({"resources": {"cpu": True}}, "resources.cpu", "above 0"),
        ({"resources": {"cpu": "two"}}, "resources.cpu", "above 0"),
        ({"resources": {"cpu": float("nan")}}, "resources.cpu", "above 0"),
        ({"resources": {"cpu": float("inf")}}, "resources.cpu", "above 0"),
        ({"resources": {"memory": "9" * 400}}, "resources.memory", "no size"),
        ({"resources": {"memory": "lots"}}, "resources.memory", "no size"),
        ({"resources": {"memory": "1GB", "memory_bytes": 1}}, "resources.memory", "already"),
        ({"resources": {"memory": 2**60}}, "resources.memory", "at most"),
        ({"resources": {"memory": 0}}, "resources.memory", "above 0"),
        ({"resources": {"gpu": -1}}, "resources.gpu", "whole number"),
        ({"resources": {"gpu": 1.5}}, "resources.gpu", "whole number"),
        ({"max_resources": {"cpu": "x"}}, "max_resources.cpu", "above 0"),
        (
            {"resources": {"memory": "2GB"}, "max_resources": {"memory": "1GB"}},
            "max_resources.memory",
            "must not be below resources.memory",
        ),
        ({"dispaly_name": "x"}, "dispaly_name", "did you mean 'display_name'?"),
        ({"display_name": "a\nb"}, "display_name", "control characters"),
        ({"display_name": "a" * 201}, "display_name", "at most 200"),
        ({"description": "a\x1b[31m"}, "description", "control characters"),
        ({"description": None}, "description", "text"),
        ({"credits_per_hour": -1}, "credits_per_hour", "from 0 on"),
        ({"credits_per_hour": float("nan")}, "credits_per_hour", "from 0 on"),
        ({"paused_credits_per_hour": "1"}, "paused_credits_per_hour", "from 0 on"),
        ({"default_lease_s": 0}, "default_lease_s", "above 0"),
        ({"default_lease_s": 1.5}, "default_lease_s", "whole number"),
        ({"default_lease_s": 61, "max_lease_s": 60}, "default_lease_s", "not be above max_lease_s"),
        ({"max_lease_s": 10**12}, "max_lease_s", "at most"),
        ({"lease_policy": "stay"}, "lease_policy", "must be 'terminate' or 'pause'"),
        ({"silence_policy": "stay"}, "silence_policy", "'terminate' or 'wait'"),
        ({"example_notebook": "../a.ipynb"}, "example_notebook", "without '..'"),
        ({"example_notebook": "a.py"}, "example_notebook", ".ipynb"),
        ({"example_notebook": "a\n.ipynb"}, "example_notebook", "control"),
        ({"warm": 17}, "warm", "at most 16"),
        ({"warm": -1}, "warm", "whole number"),
        ({"fork": "yes"}, "fork", "true or false"),
        ({"env_allowed": "HF_*"}, "env_allowed", "list of text"),
        ({"env_allowed": ["A=B"]}, "env_allowed", "no name or pattern"),
        ({"env": {"A B": "x"}}, "env.A B", "no name of an environment variable"),
        ({"env": {"A": "x\0"}}, "env.A", "NUL"),
        ({"argv": ["python"]}, "argv", "{connection_file}"),
        ({"argv": ["\0{connection_file}"]}, "argv", "NUL"),
        ({"options": {"a": {"b": float("inf")}}}, "options.a.b", "finite"),
        ({"options": {"a": None}}, "options.a", "must be text"),
        ({"options": {"a": [2**63]}}, "options.a", "64 bits"),
        ({"options": {"a": date(2026, 1, 1)}}, "options.a", "must be text"),
        ({"options": {1: 2}}, "options.1", "must be text"),
        ({"volume": {"where": "x"}}, "volume.where", "unknown key"),
        ({"volume": {"path": "~"}}, "volume.path", "below"),
        ({"volume": {"path": "/"}}, "volume.path", "below"),
        ({"volume": {"path": "data"}}, "volume.path", "below"),
        ({"volume": {"path": "~/../x"}}, "volume.path", "without '..'"),
        ({"volume": {"path": "~root/x"}}, "volume.path", "below"),
        ({"volume": {"default": 1}}, "volume.default", "true or false"),
    ],
)
def test_refusal_names_environment_key_and_reason(data, key, reason):
    with pytest.raises(InvalidEnvironment) as caught:
        Environment.from_json("mine", data)
    assert "'mine'" in caught.value.message
    assert f"{key}: " in caught.value.message
    assert caught.value.key == key
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
KEYS = st.sampled_from(sorted(ENVIRONMENT_KEYS))


@given(st.dictionaries(KEYS, ANYTHING) | ANYTHING)
def test_any_data_is_read_or_refused_and_nothing_else(data):
    try:
        environment = Environment.from_json("mine", data)
    except InvalidEnvironment:
        return
    carried = json.loads(json.dumps(environment.to_json()))
    del carried["name"], carried["kernel_name"]
    assert Environment.from_json(environment.name, carried).to_json() == environment.to_json()


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
