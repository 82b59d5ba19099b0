"""Environment files: what can lie in a directory, who wins, and that writing is all or nothing."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_remote_kernels.control import environment_files
from jupyter_remote_kernels.control.environment_catalogue import (
    Sources,
    find_launch_options,
    parse_environment,
)
from jupyter_remote_kernels.errors import Conflict, InvalidEnvironment
from jupyter_remote_kernels.jupyter.launch_parameters import describe_parameters
from jupyter_remote_kernels.model.environments import Environment, Resources
from jupyter_remote_kernels.providers.local import LocalProvider

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OPTIONS = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
BUILT_IN = {"python": {"env_allowed": ["*"]}}


@pytest.fixture
def folders(tmp_path):
    """The user's directory and two of the platform's, the first of which comes first."""
    made = [tmp_path / name for name in ("user", "platform", "system")]
    for folder in made:
        folder.mkdir()
    return made


@pytest.fixture
def read(folders):
    def now(setting=None):
        user, *platform = folders
        return Sources(setting, BUILT_IN, platform, user).read()

    return now


def names(found):
    return [(name, item.kind) for name, item in found.environments.items()]


def told(found):
    return [(problem.name, problem.key, problem.reason) for problem in found.problems]


class TestWhoWins:
    def test_nothing_configured(self, read):
        found = read()
        assert names(found) == [("python", "platform")]
        assert found.sources == {"python": "built in"}
        assert found.environments["python"].allows_variable("SEED")

    def test_users_files_leave_the_built_in_one(self, read, folders):
        (folders[0] / "mine.toml").write_text("")
        found = read()
        assert names(found) == [("python", "platform"), ("mine", "user")]
        assert found.environments["mine"].env_allowed == ("*",)

    def test_platforms_files_replace_the_built_in_one(self, read, folders):
        (folders[2] / "big.toml").write_text("")
        found = read()
        assert names(found) == [("big", "platform")]
        assert found.environments["big"].env_allowed == ()

    def test_a_platform_file_with_a_slip_does_not_bring_it_back(self, read, folders):
        (folders[2] / "big.toml").write_text("warm = 99")
        assert names(read()) == []

    def test_setting_wins_then_the_first_directory_then_the_user(self, read, folders):
        user, platform, system = folders
        for folder in folders:
            (folder / "a.toml").write_text(f'display_name = "{folder.name}"')
        for folder in (user, platform, system):
            (folder / "b.toml").write_text(f'display_name = "{folder.name}"')
        (user / "c.toml").write_text("")
        found = read({"a": {"display_name": "setting"}})
        shown = {name: item.display_name for name, item in found.environments.items()}
        assert shown == {"a": "setting", "b": "platform", "c": "c (remote)"}
        assert {problem.key for problem in found.problems} == {"name"}
        assert [problem.file for problem in found.problems] == [
            str(platform / "a.toml"),
            str(system / "a.toml"),
            str(system / "b.toml"),
            str(user / "a.toml"),
            str(user / "b.toml"),
        ]
        assert "taken already: c.RemoteKernels.environments" in found.problems[0].reason

    def test_a_slip_of_the_platforms_lets_nobody_take_its_place(self, read, folders):
        (folders[1] / "a.toml").write_text("warm = 99")
        (folders[0] / "a.toml").write_text("")
        found = read()
        assert names(found) == []
        assert [problem.key for problem in found.problems] == ["warm", "name"]

    def test_setting_is_offered_even_when_its_provider_is_missing(self, read):
        found = read({"a": {"provider": "absent"}, "b": {"kind": "user"}, "C": {}, "d": []})
        assert names(found) == [("a", "platform")]
        assert [problem.key for problem in found.problems] == ["provider", "kind", "name", ""]
        assert str(found.problems[0]).startswith("environment 'a': provider: there is no provider")


class TestWhatLiesThere:
    def test_other_files_are_left_alone(self, read, folders):
        for name in ("notes.txt", ".hidden.toml", ".#lock.toml", "a.toml~", "b.toml.bak"):
            (folders[0] / name).write_text("no [ toml")
        assert told(read()) == []

    def test_deleted_while_it_is_read(self, read, folders, monkeypatch):
        (folders[0] / "gone.toml").write_text("")
        listed = {folder: environment_files.list_files(folder) for folder in folders}
        (folders[0] / "gone.toml").unlink()
        monkeypatch.setattr(environment_files, "list_files", listed.get)
        found = read()
        assert told(found) == []
        assert "gone" not in found.sources

    def test_byte_order_mark_is_no_mistake(self, read, folders):
        (folders[0] / "a.toml").write_bytes(b'\xef\xbb\xbfdisplay_name = "\xc3\xa4"')
        assert read().environments["a"].display_name == "ä"

    def test_link_to_a_good_file(self, read, folders, tmp_path):
        (tmp_path / "elsewhere").write_text("warm = 1")
        (folders[0] / "a.toml").symlink_to(tmp_path / "elsewhere")
        assert read().environments["a"].warm == 1

    def test_directory_that_is_a_file(self, read, folders):
        folders[1].rmdir()
        folders[1].write_text("")
        (folders[0] / "a.toml").write_text("")
        found = read()
        assert "a" in found.environments
        assert told(found) == [("", "", "cannot be listed: Not a directory")]
        assert str(found.problems[0]) == f"{folders[1]}: cannot be listed: Not a directory"

    @pytest.mark.parametrize(
        "text,key,line",
        [
            ('a = 1\nwarm = "', "warm", 2),
            ("warm = 1\nwarm = 2\n", "warm", 2),
            ("[resources]\ncpu = 1\ncpu = 2\n", "resources.cpu", 3),
            ('[options]\n"a-b" = 2026-13-45\n', "options.a-b", 2),
            ("[a]\n[a]\n", "a", 2),
            ("= 1\n", "", 1),
        ],
    )
    def test_place_of_a_slip(self, folders, text, key, line):
        path = folders[0] / "a.toml"
        path.write_text(text)
        with pytest.raises(InvalidEnvironment, match="is no TOML") as caught:
            environment_files.read_file(path)
        assert caught.value.key == key
        assert f"(line {line})" in caught.value.message

    def test_signature_differs_with_every_change(self, folders, tmp_path):
        seen = [environment_files.take_signature(folders)]

        def check_changed():
            now = environment_files.take_signature(folders)
            assert now not in seen
            assert environment_files.take_signature(folders) == now
            seen.append(now)

        path = folders[1] / "a.toml"
        path.write_text("warm = 1")
        check_changed()
        path.write_text("warm = 22")
        check_changed()
        path.rename(folders[1] / "b.toml")
        check_changed()
        (folders[1] / "b.toml").unlink()
        (folders[1] / "b.toml").symlink_to(tmp_path / "nowhere")
        check_changed()
        folders[2].rmdir()
        assert environment_files.take_signature(folders) == seen[-1]
        folders[2].write_text("")
        check_changed()


class TestWriting:
    def test_whole_or_nothing(self, tmp_path):
        folder = tmp_path / "config" / "environments"
        assert environment_files.write_file(folder, "a", "warm = 1\n")
        assert not environment_files.write_file(folder, "a", "warm = 2\n")
        assert [item.name for item in folder.iterdir()] == ["a.toml"]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "a.toml").stat().st_mode) == 0o600
        with pytest.raises(UnicodeEncodeError):
            environment_files.write_file(folder, "a", "\ud800")
        assert [item.name for item in folder.iterdir()] == ["a.toml"]
        assert (folder / "a.toml").read_text() == "warm = 2\n"
        assert environment_files.delete_file(folder, "a")
        assert not environment_files.delete_file(folder, "a")

    def test_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        for folder in (tmp_path / "file", tmp_path / "file" / "environments"):
            with pytest.raises(Conflict, match="cannot be changed") as caught:
                environment_files.write_file(folder, "a", "")
            assert caught.value.reason == "environment_not_writable"
        (tmp_path / "a.toml").mkdir()
        with pytest.raises(Conflict):
            environment_files.write_file(tmp_path, "a", "")
        with pytest.raises(Conflict):
            environment_files.delete_file(tmp_path, "a")
        assert sorted(os.listdir(tmp_path)) == ["a.toml", "file"]

    def test_what_is_written_says_the_same(self, tmp_path):
        data = {
            "description": 'Two "lines"\nof \\ text',
            "default_lease_s": None,
            "example_notebook": None,
            "resources": {"cpu": 2.5, "memory_bytes": 2**34, "gpu": None},
            "options": {"python": "/ä"},
            "env": {"A": "b"},
        }
        text = environment_files.make_text(data)
        assert 'memory = "16GiB"' in text
        environment_files.write_file(tmp_path, "a", text)
        written = environment_files.read_file(tmp_path / "a.toml")
        assert Environment.from_json("a", written) == Environment.from_json("a", data)

    @given(
        st.fixed_dictionaries(
            {},
            optional={
                "description": st.text(),
                "argv": st.lists(st.text()).map(lambda given: [*given, "{connection_file}"]),
                "options": st.dictionaries(st.text(), OPTIONS),
                "env": st.dictionaries(st.text(), st.text()),
                "credits_per_hour": st.floats() | st.integers(),
                "resources": st.fixed_dictionaries({"memory_bytes": st.integers(1)}),
            },
        )
    )
    def test_whatever_is_accepted_can_be_read_again(self, data):
        try:
            environment = Environment.from_json("a", data)
        except InvalidEnvironment:
            return
        text = environment_files.make_text(data)
        assert Environment.from_json("a", tomllib.loads(text)) == environment

    def test_too_large_is_refused_before_it_is_written(self, tmp_path):
        with pytest.raises(InvalidEnvironment, match="larger than 256 KiB"):
            environment_files.write_file(tmp_path / "new", "a", "#" * 300_000)
        assert not (tmp_path / "new").exists()


class TestProviders:
    def test_options_are_checked_against_the_providers_schema(self):
        for options, key in (({"python": 3}, "options.python"), ({"pyhton": "x"}, "options")):
            with pytest.raises(InvalidEnvironment) as caught:
                parse_environment("a", {"options": options}, "user")
            assert caught.value.key == key
            assert caught.value.message.startswith("environment 'a': options")

    def test_a_providers_own_mistake_is_told(self, monkeypatch):
        monkeypatch.setattr(LocalProvider, "options_schema", {"type": 3})
        with pytest.raises(InvalidEnvironment, match="'local' cannot be loaded") as caught:
            parse_environment("a", {}, "user")
        assert caught.value.key == "provider"

    def test_what_a_launch_may_choose(self, monkeypatch):
        queue = {"type": "string", "enum": ["short", "long"], "x-launch": True}
        schema = {
            "properties": {
                "queue": queue,
                "account": {"type": "string", "x-launch": True},
                "python": {"type": "string", "default": "python"},
            }
        }
        monkeypatch.setattr(LocalProvider, "options_schema", schema)
        environment = Environment.from_json("a", {"options": {"queue": "long"}})
        chosen = {"queue": {"type": "string", "enum": ["short", "long"], "default": "long"}}
        assert find_launch_options(environment) == chosen
        assert describe_parameters(environment)["properties"]["queue"] == chosen["queue"]
        assert find_launch_options(Environment("b", "B", provider="absent")) == {}


@pytest.mark.parametrize("page", ["operators/configuration.md", "users/environments.md"])
def test_examples_in_the_documentation_are_good(page):
    content = (Path(__file__).parents[2] / "docs" / page).read_text()
    examples = re.findall(r"```toml\n(.*?)```", content, re.DOTALL)
    assert examples
    for example in examples:
        parse_environment("example", tomllib.loads(example), "user")


class TestLaunchParameters:
    def test_all_have_a_default_within_their_bounds(self):
        environment = Environment.from_json(
            "a",
            {
                "default_lease_s": 60,
                "max_lease_s": 600,
                "resources": {"cpu": 1},
                "max_resources": {"cpu": 4, "memory": "1GiB", "gpu": 2},
                "volume": {"default": True},
            },
        )
        parameters = describe_parameters(environment)["properties"]
        assert {key: value["default"] for key, value in parameters.items()} == {
            "lease_s": 60,
            "persistent": True,
            "cpu": 1.0,
            "memory_bytes": 2**30,
            "gpu": 0,
        }
        assert [parameters[k].get("maximum") for k in ("lease_s", "cpu", "gpu")] == [600, 4.0, 2]

    def test_without_a_limit_none_is_the_default(self):
        parameters = describe_parameters(Environment.from_json("a", {}))["properties"]
        assert parameters["cpu"] == {
            "title": "Cores",
            "type": ["number", "null"],
            "exclusiveMinimum": 0,
            "default": None,
        }
        assert parameters["lease_s"]["default"] is None
        assert Environment.from_json("a", {}).largest_resources == Resources()
