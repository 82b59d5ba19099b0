"""Acceptance 5: clients without our server extension, alone, beside a server, and together."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.server.processes import labelled_processes

# Each client's last word; it proves that the code ran in a runtime of ours.
CODE = "import os; print('ran in', os.environ['JUPYTER_REMOTE_KERNELS_LABEL'])"
KERNEL = "remote-python"


@pytest.fixture
def command(jp_environ, monkeypatch, tmp_path):
    """Run a ``jupyter`` command to its end; returns what it wrote."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

    async def run(*arguments: str, stdin=b""):
        process = await asyncio.create_subprocess_exec(
            *("jupyter", *arguments),
            cwd=tmp_path,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate(stdin)
        text, complaints = output.decode(), errors.decode()
        assert process.returncode == 0, f"{arguments}\n{text}\n{complaints}"
        # Whatever goes wrong at the end of a process does not show in its exit status.
        assert "Traceback" not in complaints, f"{arguments}\n{complaints}"
        return text

    return run


@pytest.fixture
def installed(command, jp_asyncio_loop):
    """Put the kernelspecs on Jupyter's path, as a user does."""
    jp_asyncio_loop.run_until_complete(command("remote-kernels", "install"))


async def run_nbclient(command, notebook):
    path = notebook("nbclient.ipynb", CODE)
    await command("execute", f"--kernel_name={KERNEL}", "--inplace", str(path))
    return printed(path)


async def run_papermill(command, notebook):
    path = notebook("papermill.ipynb", CODE, "assert x == 5")
    target = path.with_suffix(".out.ipynb")
    papermill = ("-m", "papermill", "-k", KERNEL, "-p", "x", "5", str(path), str(target))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *papermill, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors
    return printed(target)


async def run_nbconvert(command, notebook):
    path = notebook("nbconvert.ipynb", CODE)
    option = f"--ExecutePreprocessor.kernel_name={KERNEL}"
    await command("nbconvert", "--to", "notebook", "--execute", option, "--inplace", str(path))
    return printed(path)


async def run_console(command, notebook):
    stdin = f"{CODE}\nexit\n".encode()
    return await command("console", "--simple-prompt", "--kernel", KERNEL, stdin=stdin)


async def run_script(command, notebook):
    path = notebook("script.ipynb").with_suffix(".py")
    path.write_text(CODE)
    return await command("run", "--kernel", KERNEL, str(path))


CLIENTS = [run_nbclient, run_papermill, run_nbconvert, run_console, run_script]


def printed(path):
    """Return what the code cells of a notebook printed."""
    outputs = [o for cell in json.loads(path.read_text())["cells"] for o in cell["outputs"]]
    return "".join("".join(output["text"]) for output in outputs)


def label_in(text):
    """Return the label of the runtime that the code ran in."""
    return text.partition("ran in ")[2].split()[0]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
async def test_alone(command, installed, notebook, client, jp_data_dir):
    assert label_in(await client(command, notebook)).startswith("jrk-")
    assert not labelled_processes(jp_data_dir)


@pytest.mark.timeout(180)
async def test_beside_a_server_and_all_at_once(
    api, launch, open_browser, command, installed, notebook, jp_data_dir
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute("kept = 'still here'")
    mine = labelled_processes(jp_data_dir)
    texts = await asyncio.gather(*(client(command, notebook) for client in CLIENTS))
    labels = {label_in(text) for text in texts}
    assert len(labels) == len(CLIENTS)
    assert f"jrk-{runtime_id}" not in labels
    # The server's own runtime was not touched, and nothing else is left.
    assert labelled_processes(jp_data_dir) == mine
    assert (await browser.execute("print(kept)")).text == "still here\n"
    assert [item["id"] for item in (await api("GET", "/runtimes")).body["runtimes"]] == [runtime_id]


async def test_install_is_repeatable_and_removes_what_is_no_environment_now(
    command, jp_data_dir, jp_config_dir
):
    kernels = jp_data_dir / "kernels"
    foreign = kernels / "remote-foreign"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text('{"argv": [], "display_name": "x", "language": "x"}')
    config = jp_config_dir / "jupyter_server_config.json"
    config.write_text(json.dumps({"RemoteKernels": {"environments": {"one": {}, "two": {}}}}))
    for _ in range(2):
        listed = json.loads(await command("remote-kernels", "install", "--json"))
        assert [item["kernel_name"] for item in listed] == ["remote-one", "remote-two"]
    assert {path.name for path in kernels.glob("remote-*")} == {
        "remote-foreign",
        "remote-one",
        "remote-two",
    }
    config.write_text(json.dumps({"RemoteKernels": {"environments": {"two": {}}}}))
    await command("remote-kernels", "install")
    assert {path.name for path in kernels.glob("remote-*")} == {"remote-foreign", "remote-two"}
