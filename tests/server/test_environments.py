"""Environments over REST and in files: wrong ones, changes while the server runs, clean-up."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_remote_kernels.jupyter import kernelspecs
from jupyter_remote_kernels.model.environments import Environment


def text(content):
    return lambda path: path.write_text(content)


def make_socket(path):
    # Bound by a short name: the directory's own may be too long for a socket.
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


# What lies there, under which name, and what is to be said: key and reason.
WRONG = {
    "no TOML": ("bad", text("warm: 1"), "", "is no TOML"),
    "value missing": ("bad", text("warm ="), "warm", "is no TOML"),
    "duplicate key": ("bad", text("warm = 1\nwarm = 2\n"), "warm", "(line 2)"),
    "NUL in it": ("bad", text('display_name = "a\0b"'), "display_name", "is no TOML"),
    "nested too deeply": ("bad", text("argv = " + "[" * 5000), "", "nested too deeply"),
    "huge number": ("bad", text("warm = " + "9" * 5000), "", "is no TOML"),
    "not UTF-8": ("bad", lambda p: p.write_bytes(b"a = 1\n#\xff"), "", "is not UTF-8 (line 2)"),
    "too large": ("bad", text("#" * (256 * 1024 + 1)), "", "is larger than 256 KiB"),
    "directory": ("bad", Path.mkdir, "", "directory"),
    "loop of links": ("bad", lambda p: p.symlink_to(p), "", "Too many levels"),
    "link to nothing": ("bad", lambda p: p.symlink_to(p.with_name("x")), "", "No such file"),
    "unreadable": ("bad", lambda p: p.symlink_to("/proc/self/mem"), "", "Input/output error"),
    "pipe": ("bad", os.mkfifo, "", "is no ordinary file"),
    "socket": ("bad", make_socket, "", "cannot be read"),
    "unknown key": ("bad", text("dispaly_name = 'a'"), "dispaly_name", "mean 'display_name'?"),
    "unknown key in a table": ("bad", text("[resources]\ndisk = 1"), "resources.disk", "unknown"),
    "wrong type": ("bad", text("warm = 'two'"), "warm", "must be a whole number"),
    "nan": ("bad", text("credits_per_hour = nan"), "credits_per_hour", "a number from 0 on"),
    "nan in an option": ("bad", text("[options]\na.b = nan"), "options.a.b", "finite"),
    "no size": ("bad", text("[resources]\nmemory = 'lots'"), "resources.memory", "no size"),
    "unknown provider": ("bad", text("provider = 'absent'"), "provider", "Installed providers"),
    "unknown option": ("bad", text("[options]\npyhton = 'x'"), "options", "'pyhton'"),
    "date": ("bad", text("[options]\npython = 2026-01-01"), "options.python", "must be text"),
    "default above the maximum": (
        "bad",
        text("default_lease_s = 61\nmax_lease_s = 60"),
        "default_lease_s",
        "above max_lease_s",
    ),
    "unknown policy": ("bad", text("silence_policy = 'x'"), "silence_policy", "or 'wait'"),
    "no place for the connection": ("bad", text("argv = ['R']"), "argv", "{connection_file}"),
    "kind of another place": ("bad", text("kind = 'platform'"), "kind", "'user' here"),
    "name of the platform's": ("python", text(""), "name", "taken already"),
    "no valid name": ("Bad Name", text(""), "name", "use 1 to 64"),
}


def lay(folder, kind):
    """Put a wrong file of a kind into a folder; return its path."""
    name, make, _, _ = WRONG[kind]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    make(path)
    return path


@pytest.fixture
def folder(jp_config_dir):
    """The user's environment files."""
    made = jp_config_dir / "remote_kernels" / "environments"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def platform_folder(jp_env_config_path):
    """The platform's environment files."""
    made = jp_env_config_path / "remote_kernels" / "environments"
    made.mkdir(parents=True)
    return made


async def list_kernelspecs(api):
    """Return the names of our kernelspecs, as Jupyter offers them."""
    specs = (await api.fetch("GET", "/api/kernelspecs")).body["kernelspecs"]
    return sorted(name.removeprefix("remote-") for name in specs if name.startswith("remote-"))


async def list_environments(api):
    found = (await api("GET", "/environments")).body["environments"]
    return [(item["name"], item["kind"]) for item in found]


class TestWrongFiles:
    """Acceptance: a clear message, the others work, the server starts."""

    @pytest.fixture(autouse=True)
    def before_the_server(self, folder, kind, capsys):
        (folder / "good.toml").write_text('display_name = "Good"')
        self.path = lay(folder, kind)
        self.log = capsys

    @pytest.mark.parametrize("kind", WRONG)
    async def test_is_told_and_the_others_are_offered(self, api, kind):
        name, _, key, reason = WRONG[kind]
        body = (await api("GET", "/environments")).body
        assert [item["name"] for item in body["environments"]] == ["python", "good"]
        (problem,) = body["problems"]
        assert (problem["file"], problem["name"]) == (str(self.path), name)
        assert problem["key"] == key
        assert reason in problem["reason"]
        assert await list_kernelspecs(api) == ["good", "python"]
        place = f"{self.path}: {key}: " if key else f"{self.path}: "
        assert place + problem["reason"] in self.log.readouterr().err


async def test_kernel_of_a_good_file_among_all_wrong_ones(
    folder, platform_folder, jp_serverapp, api, launch, open_browser
):
    for number, kind in enumerate(WRONG):
        path = lay(folder / str(number), kind)
        if path.stem == "bad":
            path.rename(folder / f"bad{number}.toml")
    (platform_folder / "good.toml").write_text('[env]\nFLAVOUR = "good"')
    body = (await api("GET", "/environments")).body
    assert [item["name"] for item in body["environments"]] == ["python", "good"]
    assert len(body["problems"]) >= 20
    browser = await open_browser(await launch("good"))
    assert (await browser.execute("import os; print(os.environ['FLAVOUR'])")).text == "good\n"


class TestWriting:
    async def test_put_get_delete(self, api, events, folder):
        body = {"display_name": "Mine", "resources": {"memory": "1GiB"}, "warm": 0}
        reply = await api("PUT", "/environments/mine", body)
        assert reply.status == 201
        assert (reply.body["kind"], reply.body["kernel_name"]) == ("user", "remote-mine")
        assert reply.body["env_allowed"] == ["*"]
        event = await events.until(action="environments")
        assert (event["runtime_id"], event["phase"]) == ("", "")
        assert await list_kernelspecs(api) == ["mine", "python"]
        assert (folder / "mine.toml").stat().st_mode & 0o777 == 0o600
        # What was answered can be sent back.
        found = (await api("GET", "/environments/mine")).body
        assert found == reply.body
        reply = await api("PUT", "/environments/mine", {**found, "display_name": "Ours"})
        assert (reply.status, reply.body) == (200, {**found, "display_name": "Ours"})
        spec = (await api.fetch("GET", "/api/kernelspecs/remote-mine")).body["spec"]
        assert spec["display_name"] == "Ours"
        assert (await api("DELETE", "/environments/mine")).status == 204
        assert await list_environments(api) == [("python", "platform")]
        assert await list_kernelspecs(api) == ["python"]
        assert list(folder.iterdir()) == []
        reply = await api("DELETE", "/environments/mine")
        assert (reply.status, reply.reason) == (404, "unknown_environment")

    async def test_kernel_of_a_written_environment_outlives_it(self, api, launch, open_browser):
        await api("PUT", "/environments/mine", {"env": {"FLAVOUR": "mine"}})
        runtime_id = await launch("mine")
        browser = await open_browser(runtime_id)
        assert (await api("DELETE", "/environments/mine")).status == 204
        reply = await api("POST", "/runtimes", {"environment": "mine"})
        assert (reply.status, reply.reason) == (404, "unknown_environment")
        show = "import os; print(os.environ['FLAVOUR'])"
        assert (await browser.execute(show)).text == "mine\n"
        assert (await api.fetch("POST", f"/api/kernels/{runtime_id}/restart", b"{}")).status == 200
        assert (await browser.execute(show)).text == "mine\n"
        assert (await api("GET", f"/runtimes/{runtime_id}")).body["environment"] == "mine"

    async def test_what_belongs_to_the_platform_stays(self, api, folder, platform_folder):
        (platform_folder / "big.toml").write_text("")
        (platform_folder / "bad.toml").write_text("warm = 99")
        assert ("big", "platform") in await list_environments(api)
        for name in ("python", "big", "bad"):
            for method in ("PUT", "DELETE"):
                reply = await api(method, f"/environments/{name}", {})
                assert (reply.status, reply.reason) == (409, "platform_environment"), name
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        "name,body,key",
        [
            ("Mine", {}, "name"),
            ("..%2Fmine", {}, "name"),
            ("mine", {"name": "yours"}, "name"),
            ("mine", {"kernel_name": "python3"}, "kernel_name"),
            ("mine", {"kind": "platform"}, "kind"),
            ("mine", {"colour": "red"}, "colour"),
            ("mine", {"provider": "absent"}, "provider"),
            ("mine", {"options": {"python": ""}}, "options.python"),
            ("mine", {"resources": {"cpu": "many"}}, "resources.cpu"),
            ("mine", {"display_name": "\ud800"}, "display_name"),
            ("mine", {"env": {"A": "\0"}}, "env.A"),
            ("mine", {"max_lease_s": 0.5}, "max_lease_s"),
            ("mine", {"env": {"A": "x" * 300_000}}, ""),
        ],
    )
    async def test_wrong_one_changes_nothing_and_names_the_key(
        self, api, folder, events, name, body, key
    ):
        reply = await api("PUT", f"/environments/{name}", body)
        assert (reply.status, reply.reason) == (400, "invalid_environment")
        assert reply.body["key"] == key
        assert key in reply.body["detail"]
        assert list(folder.iterdir()) == []
        assert events.seen == []

    async def test_bodies_that_are_no_environment(self, api, folder):
        for raw, reason in ((b"", "missing_body"), (b"[]", "not_an_object"), (b"{", "not_json")):
            reply = await api("PUT", "/environments/mine", raw=raw)
            assert (reply.status, reply.reason) == (400, reason)
        assert list(folder.iterdir()) == []

    async def test_file_that_was_wrong_is_replaced_or_deleted(self, api, folder):
        path = folder / "mine.toml"
        path.write_text("warm = 99")
        assert (await api("PUT", "/environments/mine", {})).status == 200
        assert (await api("GET", "/environments")).body["problems"] == []
        path.write_text("warm = 99")
        assert (await api("DELETE", "/environments/mine")).status == 204
        assert not path.exists()
        path.write_text("")
        assert (await api("DELETE", "/environments/mine")).status == 204

    async def test_place_that_cannot_be_written(self, api, folder):
        folder.rmdir()
        folder.write_text("")
        reply = await api("PUT", "/environments/mine", {})
        assert (reply.status, reply.reason) == (409, "environment_not_writable")
        assert str(folder) in reply.body["detail"]

    async def test_many_at_once(self, api, folder):
        names = [f"mine{number}" for number in range(20)]
        replies = await asyncio.gather(
            *(api("PUT", f"/environments/{name}", {"warm": 0}) for name in names)
        )
        assert {reply.status for reply in replies} == {201}
        assert await list_kernelspecs(api) == sorted([*names, "python"])


class TestChangedByHand:
    async def test_seen_at_the_next_look(self, api, folder, events):
        assert await list_environments(api) == [("python", "platform")]
        assert events.seen == []
        (folder / "mine.toml").write_text("")
        assert ("mine", "user") in await list_environments(api)
        assert (await events.next())["action"] == "environments"
        assert await list_kernelspecs(api) == ["mine", "python"]
        (folder / "mine.toml").write_text("warm = 99")
        (problem,) = (await api("GET", "/environments")).body["problems"]
        assert problem["key"] == "warm"
        assert await list_kernelspecs(api) == ["python"]

    async def test_launch_finds_it_without_a_look(self, api, folder):
        (folder / "mine.toml").write_text("")
        reply = await api("POST", "/runtimes", {"environment": "mine"})
        assert reply.status == 202

    async def test_gone_directory_is_an_empty_one(self, api, folder):
        (folder / "mine.toml").write_text("")
        assert len(await list_environments(api)) == 2
        (folder / "mine.toml").unlink()
        folder.rmdir()
        assert await list_environments(api) == [("python", "platform")]
        assert (await api("PUT", "/environments/mine", {})).status == 201
        assert folder.stat().st_mode & 0o777 == 0o700


class TestLaunchParameters:
    @pytest.fixture
    def environments(self):
        return {"python": {"max_lease_s": 3600, "resources": {"cpu": 1}, "env": {"A": "b"}}}

    async def test_kernelspec_tells_them(self, api):
        spec = (await api.fetch("GET", "/api/kernelspecs/remote-python")).body["spec"]
        parameters = spec["metadata"]["parameters"]
        assert parameters["type"] == "object"
        lease = parameters["properties"]["lease_s"]
        assert (lease["type"], lease["maximum"], lease["default"]) == ("integer", 3600, 3600)
        # A client that knows the proposal hides a kernel of which a parameter has no default.
        assert all("default" in item for item in parameters["properties"].values())


class TestPublishedFolders:
    """Folders that no living process uses go away; the others stay."""

    @pytest.fixture
    def publish(self, tmp_path):
        held = []

        def make(*names):
            made = kernelspecs.publish(
                [Environment.from_json(name, {}) for name in names], tmp_path / "state"
            )
            held.append(made)
            return made

        yield make
        for made in held:
            made.close()

    def test_those_in_use_stay(self, publish):
        first, second = publish("a"), publish("b")
        assert first.folder.is_dir()
        first.close()
        third = publish("a", "b")
        assert not first.folder.exists()
        assert sorted(item.name for item in third.folder.parent.iterdir()) == sorted(
            [second.folder.name, third.folder.name]
        )

    def test_same_ones_share_a_folder(self, publish):
        first, second = publish("a"), publish("a")
        assert first.folder == second.folder
        first.close()
        publish("b")
        assert second.folder.is_dir()

    def test_what_somebody_has_removed_is_put_back(self, publish):
        made = publish("a")
        (made.folder / "remote-a" / "kernel.json").unlink()
        publish("a")
        assert (made.folder / "remote-a" / "kernel.json").exists()

    def test_process_that_was_killed_holds_nothing(self, publish, tmp_path):
        code = (
            "import sys\nfrom pathlib import Path\n"
            "from jupyter_remote_kernels.jupyter.kernelspecs import publish\n"
            "from jupyter_remote_kernels.model.environments import Environment\n"
            "made = publish([Environment.from_json('other', {})], Path(sys.argv[1]))\n"
            "print(made.folder, flush=True)\nsys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "state")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            other = Path(process.stdout.readline().strip())
            publish("a")
            assert json.loads((other / "remote-other" / "kernel.json").read_text())
            process.kill()
            process.wait()
        publish("b")
        assert not other.exists()
