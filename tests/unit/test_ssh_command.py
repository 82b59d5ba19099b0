"""What is sent to a host: quoting, reading answers, and that all reasons are explained."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from jupyter_remote_kernels.protocol.nursery import LABEL_VARIABLE
from jupyter_remote_kernels.providers import far, ssh_answers, ssh_command
from jupyter_remote_kernels.providers.ssh_addresses import HostAddress
from jupyter_remote_kernels.providers.ssh_options import OPTIONS_SCHEMA

ROOT = Path(__file__).resolve().parents[2]
PROVIDERS = Path(far.__file__).parent
PAGE = ROOT / "docs" / "users" / "ssh.md"


def ask(request, options=None, home="/nowhere"):
    """Run the far side here, without any SSH."""
    options = {"python": sys.executable, **(options or {})}
    done = subprocess.run(
        ["/bin/sh", "-c", ssh_command.make_command(options)],
        input=ssh_command.make_input(
            ssh_command.make_script(options), {"base": "~/jobs", **request}, with_agent=False
        ),
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
        timeout=30,
    )
    return ssh_command.read_answer(done.stdout.decode()), done.stderr.decode()


def test_far_side_answers_without_any_server(tmp_path):
    assert ask({"do": "poll", "jobs": []}, home=tmp_path) == ({"jobs": []}, "")


def test_input_that_is_cut_does_nothing(tmp_path):
    data = ssh_command.make_input(
        ssh_command.make_script({"python": sys.executable}),
        {"base": "~", "do": "recover", "label": "x"},
        with_agent=False,
    )
    for size in (0, 100, len(data) // 2, len(data) - 1):
        done = subprocess.run(
            ["/bin/sh", "-c", ssh_command.make_command({})],
            input=data[:size],
            env={"HOME": str(tmp_path)},
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert not ssh_command.read_answer(done.stdout.decode())


@pytest.mark.parametrize(
    "nasty",
    ["a b", "it's", '"; touch bad; "', "$(touch bad)", "`touch bad`", "~/a'b", "a\\'b", "*"],
)
def test_nothing_of_the_users_is_interpreted_by_a_shell(tmp_path, nasty):
    for key in ("python", "venv", "conda"):
        told, _ = ask({"do": "poll", "jobs": []}, {key: nasty}, tmp_path)
        assert told is None or "reason" in told
    told, _ = ask({"do": "poll", "jobs": []}, {"modules": [nasty]}, tmp_path)
    assert told["reason"] == "module_failed"
    assert ssh_command.describe_step({"modules": [nasty]}, told["step"]).startswith("module load ")
    assert list(tmp_path.iterdir()) == []


def test_search_needs_no_python(tmp_path):
    (tmp_path / "jobs" / "jrk-1").mkdir(parents=True)
    (tmp_path / "jobs" / "jrk-2").mkdir()
    living = subprocess.Popen(["sleep", "60"], env={LABEL_VARIABLE: "jrk-1x"})
    script = ssh_command.make_search_script("~/jobs", "jrk-1")
    done = subprocess.run(
        ["/bin/sh", "-c", script], env={"HOME": str(tmp_path)}, capture_output=True, check=True
    )
    assert ssh_command.read_answer(done.stdout.decode()) == {"job": None}
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["jrk-2"]
    script = ssh_command.make_search_script("~/jobs", "jrk-1x")
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True)
    assert ssh_command.read_answer(done.stdout.decode()) == {"reason": "python_missing"}
    living.kill()
    living.wait()


def test_answer_is_found_in_what_a_start_file_prints():
    mark = ssh_command.MARK
    assert ssh_command.read_answer(f'hello{mark}{{}}\n\n{mark}{{"a": 1}}\nbye') == {"a": 1}
    assert ssh_command.read_answer("hello") is None
    assert ssh_command.read_answer(f"{mark}nonsense") is None
    assert ssh_command.read_answer(f"{mark}[]") is None


def test_archive_holds_the_agent_and_no_server():
    archive = ssh_command.make_archive(ssh_command._PARTS, ssh_command._OTHERS)
    names = zipfile.ZipFile(BytesIO(archive)).namelist()
    folders = {name.split("/")[1] for name in names if name.count("/") > 1}
    assert folders == {"agent", "exchange", "protocol", "providers", "state"}
    assert {name.split("/")[0] for name in names} == {"cloudpickle", "jupyter_remote_kernels"}
    assert len(names) == len(set(names))
    assert "jupyter_remote_kernels/agent/__main__.py" in names
    assert "jupyter_remote_kernels/providers/ssh.py" not in names


def test_last_jump_host_is_reached_through_the_others():
    address = HostAddress.from_options({"host": "far", "ssh_config": "/c", "connect_timeout_s": 3})
    last = address.find_jump("me@gate:2222,inner")
    assert last == HostAddress("inner", None, None, "/c", "me@gate:2222", 3.0)
    assert last.find_jump(last.jump) == HostAddress("gate", "me", 2222, "/c", None, 3.0)


def test_all_reasons_and_options_are_explained():
    page = PAGE.read_text(encoding="utf-8")
    told = set(re.findall(r"`(\w+)`", page))
    source = "".join(path.read_text(encoding="utf-8") for path in PROVIDERS.glob("ssh*.py"))
    source += (PROVIDERS / "far.py").read_text(encoding="utf-8")
    reasons = set(
        re.findall(r'(?:reason="|FarError\("|refuse |reason = "|"reason": ")(\w+)', source)
    )
    reasons |= set(ssh_answers._TEXTS)
    # These are for programs: a user never meets them at a launch.
    reasons -= {"bad_label", "job_incomplete", "job_over", "nothing_left"}
    assert len(reasons) > 20
    assert reasons <= told
    assert set(OPTIONS_SCHEMA["properties"]) <= told
