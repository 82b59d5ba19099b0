"""GPUs of the machine: told to the kernel, one runtime each, refused when there are none left."""

from __future__ import annotations

import pytest

from jupyter_remote_kernels.providers import gpus


@pytest.fixture
def environments():
    return {"python": {}, "one": {"resources": {"gpu": 1}}, "none": {"resources": {"gpu": 0}}}


@pytest.fixture
def providers(monkeypatch):
    """A machine with two GPUs, as its driver would list them; CUDA itself is not needed."""
    monkeypatch.setattr(gpus, "find_gpus", lambda: ["GPU-1111", "GPU-2222"])


async def visible(open_browser, runtime_id):
    browser = await open_browser(runtime_id)
    code = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES', 'all'))"
    return (await browser.execute(code)).text.strip()


async def test_each_runtime_has_its_own(api, launch, open_browser):
    first, second = await launch("one"), await launch("one")
    assert await visible(open_browser, first) == "GPU-1111"
    assert await visible(open_browser, second) == "GPU-2222"
    assert await visible(open_browser, await launch("none")) == ""
    assert await visible(open_browser, await launch("python")) == "all"
    reply = await api("POST", "/runtimes", {"environment": "one"})
    assert (reply.status, reply.reason) == (406, "limit_exceeded")
    assert reply.body["limit"] == {
        "name": "gpu",
        "scope": "provider",
        "asked": 1,
        "allowed": 2,
        "used": 2,
    }
    assert (await api.fetch("POST", "/api/kernels", b'{"name": "remote-one"}')).status == 406
    await api("DELETE", f"/runtimes/{first}")
    assert await visible(open_browser, await launch("one")) == "GPU-1111"


async def test_restart_keeps_it(api, launch, events, open_browser):
    runtime_id = await launch("one")
    await api("POST", f"/runtimes/{runtime_id}/restart")
    await events.until(action="operation", operation_state="succeeded")
    assert await visible(open_browser, runtime_id) == "GPU-1111"
