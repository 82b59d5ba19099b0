"""The command line: what it prints, from what it reads, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from jupyter_remote_kernels.cli.tables import format_age, format_table
from jupyter_remote_kernels.control.owners import OwnerLock
from jupyter_remote_kernels.control.registry import Registry
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.phases import Phase
from jupyter_remote_kernels.model.records import KernelCommand, RuntimeRecord


@pytest.fixture
def home(tmp_path):
    """Jupyter's directories of a user who has nothing yet."""
    (tmp_path / "config").mkdir()
    return tmp_path


@pytest.fixture
def run(home):
    """Run the command in a process of its own, as a shell does."""
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }

    def call(*arguments: str, status=0):
        done = subprocess.run(
            [sys.executable, "-m", "jupyter_remote_kernels.cli.app", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture
def configure(home):
    def write(environments, name="jupyter_server_config"):
        content = {"RemoteKernels": {"environments": environments}}
        (home / "config" / f"{name}.json").write_text(json.dumps(content))

    return write


@pytest.fixture
def folder(home):
    """Where the user's environment files lie."""
    return home / "config" / "remote_kernels" / "environments"


@pytest.fixture
def write(folder):
    def make(name, text):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.toml").write_text(text)

    return make


@pytest.fixture
def registry(home):
    found = Registry(home / "data" / "remote_kernels" / "registry.sqlite3")
    yield found
    found.close()


def record(runtime_id, **fields: Any):
    environment = Environment(name="python", display_name="Python")
    command = KernelCommand(argv=("kernel",))
    return RuntimeRecord(
        id=runtime_id,
        name=f"name of {runtime_id}",
        environment=environment,
        command=command,
        token="geheim",
        **fields,
    )


def test_without_a_subcommand_it_explains_itself(run):
    assert "install" in run(status=1).stdout
    for name in ("environments", "ls", "terminate", "install"):
        assert "--json" in run(name, "--help").stdout


class TestEnvironments:
    def test_default_one(self, run):
        lines = run("environments").stdout.splitlines()
        assert lines[0] == ("NAME    DISPLAY NAME     PROVIDER  KERNEL NAME    KIND      SOURCE")
        expected = "python Python (remote) local remote-python platform built in"
        assert lines[1].split() == expected.split()

    def test_those_of_the_servers_configuration_as_json(self, run, configure):
        configure({"b": {"display_name": "B"}, "a": {"provider": "absent"}})
        rows = json.loads(run("environments", "--json").stdout)
        assert [(row["name"], row["provider"]) for row in rows] == [("a", "absent"), ("b", "local")]

    def test_a_file_of_its_own_wins(self, run, configure):
        configure({"a": {}})
        configure({"a": {"display_name": "mine"}}, "jupyter_remote_kernels_config")
        (row,) = json.loads(run("environments", "--json").stdout)
        assert row["display_name"] == "mine"

    def test_wrong_one_is_reported_and_the_others_are_listed(self, run, configure):
        configure({"good": {}, "bad": {"resources": {"cpu": "many"}}})
        done = run("environments", "--json")
        assert [row["name"] for row in json.loads(done.stdout)] == ["good"]
        assert "environment 'bad': resources.cpu: must be a number above 0" in done.stderr

    def test_files_beside_the_configuration(self, run, configure, write):
        configure({"b": {}})
        write("mine", 'display_name = "Mine"')
        rows = json.loads(run("environments", "--json").stdout)
        assert [(row["name"], row["kind"]) for row in rows] == [("b", "platform"), ("mine", "user")]
        assert rows[0]["source"] == "c.RemoteKernels.environments"
        assert rows[1]["source"].endswith("mine.toml")

    def test_unknown_verb_is_named(self, run):
        errors = run("environments", "ad", status=1).stderr
        assert "no command 'ad'. There are: add, remove, check." in errors


class TestChangingEnvironments:
    def test_added_with_its_comments_then_replaced_then_removed(self, run, home, folder):
        file = home / "anywhere.toml"
        file.write_text('# the big one\ndisplay_name = "Big"\n')
        done = run("environments", "add", "big", f"--file={file}")
        assert "remote-big" in done.stdout
        assert (folder / "big.toml").read_text() == file.read_text()
        assert folder.stat().st_mode & 0o777 == 0o700
        file.write_text('display_name = "Bigger"\n')
        (row,) = json.loads(run("environments", "add", "big", f"--file={file}", "--json").stdout)
        assert row["display_name"] == "Bigger"
        run("environments", "remove", "big")
        assert list(folder.iterdir()) == []
        assert "no environment 'big'" in run("environments", "remove", "big", status=1).stderr

    @pytest.mark.parametrize(
        "name,text,why",
        [
            ("bad", "cpu = 1", "cpu: unknown key"),
            ("bad", "warm = ", "warm: is no TOML"),
            ("Bad", "", "name: use 1 to 64"),
            ("python", "", "belongs to the platform"),
        ],
    )
    def test_wrong_one_is_not_added(self, run, home, folder, name, text, why):
        file = home / "anywhere.toml"
        file.write_text(text)
        assert why in run("environments", "add", name, f"--file={file}", status=1).stderr
        assert not folder.exists()

    def test_what_is_missing_is_said(self, run, home):
        assert "--file" in run("environments", "add", "a", status=1).stderr
        assert "no file" in run("environments", "add", "a", "--file=x.toml", status=1).stderr
        assert "name of one" in run("environments", "add", "--file=x.toml", status=1).stderr
        assert "name of one" in run("environments", "remove", status=1).stderr

    def test_check(self, run, write):
        assert json.loads(run("environments", "check", "--json").stdout) == []
        write("good", "")
        write("bad", "warm = 99")
        done = run("environments", "check", "--json", status=1)
        (problem,) = json.loads(done.stdout)
        assert problem.pop("file").endswith("bad.toml")
        assert problem == {"name": "bad", "key": "warm", "reason": "must be at most 16"}
        assert "bad.toml" in run("environments", "check", status=1).stdout


class TestList:
    def test_nothing_yet_makes_nothing(self, run, home):
        assert len(run("ls").stdout.splitlines()) == 1
        assert json.loads(run("ls", "--json").stdout) == []
        assert not (home / "data" / "remote_kernels").exists()

    def test_living_and_ended_ones(self, run, registry, home):
        lock = OwnerLock.acquire(home / "data" / "remote_kernels")
        registry.insert(record("living", owner=lock.owner, phase=Phase.RUNNING))
        registry.insert(record("ended", phase=Phase.STOPPED))
        rows = json.loads(run("ls", "--json").stdout)
        assert [(row["id"], row["phase"]) for row in rows] == [("living", "running")]
        assert rows[0]["owner"] == f"{lock.owner.host}:{lock.owner.pid}"
        rows = json.loads(run("ls", "--all", "--json").stdout)
        assert {row["id"] for row in rows} == {"living", "ended"}
        lock.release()
        (row,) = json.loads(run("ls", "--json").stdout)
        assert row["owner"].endswith(" (gone)")

    def test_no_secret_is_shown(self, run, registry):
        registry.insert(record("one"))
        assert "geheim" not in run("ls", "--all", "--json").stdout
        assert "geheim" not in run("ls").stdout

    def test_damaged_registry_is_one_line_and_a_status(self, run, home):
        folder = home / "data" / "remote_kernels"
        folder.mkdir(parents=True, mode=0o700)
        (folder / "registry.sqlite3").write_bytes(b"no database at all" * 100)
        errors = run("ls", status=1).stderr
        assert "is damaged" in errors
        assert len(errors.splitlines()) == 1


class TestTerminate:
    def test_wants_ids_or_all_and_not_both(self, run):
        assert "wants runtime ids, or --all" in run("terminate", status=1).stderr
        assert "wants runtime ids, or --all" in run("terminate", "--all", "one", status=1).stderr

    def test_unknown_one_is_named(self, run):
        assert "there is no runtime 'one'" in run("terminate", "one", status=1).stderr

    def test_one_that_somebody_drives_is_left_alone(self, run, registry, home):
        lock = OwnerLock.acquire(home / "data" / "remote_kernels")
        registry.insert(record("mine", owner=lock.owner, phase=Phase.RUNNING))
        assert "belongs to a process that lives" in run("terminate", "mine", status=1).stderr
        assert json.loads(run("terminate", "--all", "--json").stdout) == []
        assert registry.get("mine").phase is Phase.RUNNING
        lock.release()

    def test_one_that_nobody_drives_is_ended(self, run, registry):
        left = record("left", phase=Phase.RUNNING)
        registry.insert(left.changed(server="here", checkpoint=None))
        (row,) = json.loads(run("terminate", "--all", "--json").stdout)
        assert row["id"] == "left"
        assert registry.get("left").phase is Phase.STOPPED


class TestInstall:
    def test_into_a_directory(self, run, home):
        done = run("install", f"--directory={home / 'kernels'}")
        written = home / "kernels" / "remote-python"
        assert str(written) in done.stdout
        spec = json.loads((written / "kernel.json").read_text())
        assert spec["metadata"]["kernel_provisioner"]["provisioner_name"] == "remote-kernels"
        assert "{connection_file}" in spec["argv"]

    def test_files_are_installed_too(self, run, home, write):
        write("mine", "")
        run("install", f"--directory={home / 'kernels'}")
        found = sorted(path.name for path in (home / "kernels").iterdir())
        assert found == ["remote-mine", "remote-python"]


class TestTables:
    def test_columns_are_aligned_and_empty_cells_are_empty(self):
        rows = [{"a": "x", "b_c": None, "d": 1}, {"a": "longer", "b_c": "y", "d": 22}]
        assert format_table(rows, ["a", "b_c", "d"]).splitlines() == [
            "A       B C  D",
            "x            1",
            "longer  y    22",
        ]

    def test_no_rows_leave_the_head(self):
        assert format_table([], ["name"]) == "NAME"

    @pytest.mark.parametrize(
        "age_s,text",
        [
            (-5, "0 s"),
            (0.4, "0 s"),
            (59.9, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
            (90_061, "1 d 1 h"),
            (86_400 * 400, "400 d"),
        ],
    )
    def test_ages(self, age_s, text):
        assert format_age(age_s) == text
