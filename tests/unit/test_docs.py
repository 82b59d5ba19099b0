"""The documentation: what comes from the code is current, links lead somewhere, commands exist."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_remote_kernels.agent import session
from jupyter_remote_kernels.cli.app import RemoteKernelsApp

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "docs.py"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
IMAGES = ROOT / "docs" / "images"
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SHELL_BLOCK = re.compile(r"```(?:bash|sh)\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`((?:scripts/|\.ci/|jupyter remote-kernels )[^`]*)`")

each_document = pytest.mark.parametrize(
    "document", PAGES, ids=lambda path: str(path.relative_to(ROOT))
)


def without_code(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(page):
    """Return the names that a page's headings can be linked by."""
    headings = _HEADING.findall(without_code(page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text):
    """Return the command lines that a page tells to run."""
    blocks = "\n".join(_SHELL_BLOCK.findall(text)).splitlines()
    return [line for line in (*blocks, *_INLINE.findall(text)) if line and line[0] != "#"]


def run_script(*arguments: object):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_generated_parts_are_current():
    result = run_script("--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_outdated_part_is_noticed_and_made_anew(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- generated: phases -->\nold\n<!-- end of generated part -->\n")
    assert run_script("--check", page).returncode == 1
    assert "old" in page.read_text()
    assert run_script(page).returncode == 0
    assert "old" not in page.read_text()
    assert page.read_text().startswith("before\n<!-- generated: phases -->\n")
    assert run_script("--check", page).returncode == 0


@each_document
def test_links_lead_somewhere(document):
    broken = []
    for target in _LINK.findall(without_code(document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        # Pictures are made from a running JupyterLab, which not everybody has at hand.
        is_optional = file.parent == IMAGES and os.environ.get("CI") != "true"
        leads_on = is_optional or file.exists()
        if not leads_on or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@each_document
def test_commands_exist(document):
    for line in commands(document.read_text(encoding="utf-8")):
        words = [word for word in shlex.split(line) if "=" not in word or word.startswith("-")]
        program, *rest = words
        if "/" in program:
            assert os.access(ROOT / program, os.X_OK), line
        elif words[:2] == ["jupyter", "remote-kernels"]:
            assert rest[1:] == [] or rest[1] in (*RemoteKernelsApp.subcommands, "--help"), line
        elif program == "jupyter":
            assert find_program(f"jupyter-{rest[0]}"), line
        else:
            assert find_program(program) or program == "ulimit", line


def find_program(name):
    # Beside the interpreter, also where its folder is not on the path.
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which(name, path=folders)


def test_readme_names_the_two_commands_to_start_with():
    found = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"scripts/lab", "scripts/test"} <= set(found)


def test_parts_of_the_test_run_that_are_named_exist():
    listed = subprocess.run(
        [str(ROOT / "scripts" / "test"), "--list"], capture_output=True, text=True, check=True
    )
    parts = set(listed.stdout.split())
    for page in PAGES:
        for line in commands(page.read_text(encoding="utf-8")):
            program, *rest = shlex.split(line)
            if program == "scripts/test":
                chosen = rest[: rest.index("--")] if "--" in rest else rest
                assert set(chosen) <= parts | {"--list"}, line


def test_all_events_of_the_agent_are_explained():
    source = Path(session.__file__).read_text(encoding="utf-8")
    events = set(re.findall(r'"event": "(\w+)"', source))
    page = ROOT / "docs" / "developers" / "agent-and-link.md"
    explained = set(re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert events
    assert events <= explained
