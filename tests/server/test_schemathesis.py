"""A fuzzer reads our OpenAPI file and asks a real server everything that it allows, and more."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.server.api import read_description
from tests.server.processes import labelled_processes
from tests.server.server_process import TOKEN

# Enough to start some real runtimes, few enough not to fill the machine.
LIMITS = "--RemoteKernels.user_limits=runtimes=3"
EXAMPLES = 20
METHODS = ("get", "post", "put", "patch", "delete")
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.timeout(300)
async def test_server_keeps_to_its_description(start_server, jp_data_dir, tmp_path):
    server = await start_server(LIMITS)
    base = f"{server.api.base_url}/api/remote-kernels"
    fuzzer = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("st")), "--config-file", str(CONFIG)),
        *("run", f"{base}/openapi.json"),
        *("--url", base, "--header", f"Authorization: token {TOKEN}"),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,  # it writes a report there
    )
    output, _ = await fuzzer.communicate()
    assert fuzzer.returncode == 0, output.decode()
    operations = [key for path in read_description()["paths"].values() for key in path]
    described = sum(operation in METHODS for operation in operations)
    # All but the one that it has read the description from.
    assert f"{described - 1} selected" in output.decode()
    for runtime in (await server.api("GET", "/runtimes")).body["runtimes"]:
        await server.api("DELETE", f"/runtimes/{runtime['id']}")
    assert not labelled_processes(jp_data_dir)
