"""The link is cut, stalled, split and slowed down at random moments; nobody can tell afterwards."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from tests.faults.support import IPYKERNEL
from tests.faults.traffic import Traffic

CUTS = 200
SEED = 20261121


@pytest.fixture
def runtime(launch, relay):
    handle = launch("relay", argv=IPYKERNEL)
    handle.settle()
    handle.client.wait_for_ready(timeout=20)
    return handle


class Cuts:
    """Does the network harm, again and again. Used on the control plane's loop.

    Parameters
    ----------
    relay : RelayProvider
        Its network.
    seed : int
        Decides what happens, for how long, and when.
    """

    KINDS = ("reset", "refuse", "stall", "half-open", "inside", "slow", "delay")

    def __init__(self, relay, seed):
        self._relay = relay
        self._random = random.Random(seed)  # noqa: S311 - the same harm each time
        self.done = dict.fromkeys(self.KINDS, 0)

    @property
    def count(self):
        """How often it has done something."""
        return sum(self.done.values())

    async def go_on(self, driver):
        """Do harm until it is cancelled; each time the link has to be back first."""
        try:
            while True:
                # Told to nobody in the right moment, so it is looked at again soon.
                while driver.bridge._channels is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                await asyncio.sleep(self._random.uniform(0.0, 0.08))
                kind = self._random.choice(self.KINDS)
                await self._do(kind, self._random.uniform(0.0, 0.15))
                self.done[kind] += 1
        finally:
            await self._relay.with_networks(_heal)

    async def _do(self, kind, duration_s):
        for network in self._relay._networks.values():
            if kind == "reset":
                network.set_mode("open")
            elif kind == "refuse":
                network.set_mode("cut")
                await asyncio.sleep(duration_s)
                network.set_mode("open")
            elif kind == "stall":
                network.stall()
                await asyncio.sleep(duration_s)
                network.flow()
            elif kind == "half-open":
                network.leave_half_open()
            elif kind == "inside":
                network.cut_after(self._random.randrange(1, 200_000))
                await asyncio.sleep(duration_s)
            elif kind == "slow":
                network.bytes_per_s = 3_000_000
                await asyncio.sleep(duration_s)
                network.bytes_per_s = None
                network.set_mode("open")
            else:
                network.delay_s = 0.01
                await asyncio.sleep(duration_s)
                network.delay_s = 0.0


def _heal(network):
    network.bytes_per_s, network.delay_s = None, 0.0
    network.flow()
    if network.mode != "open":
        network.set_mode("open")


@pytest.mark.timeout(240)
def test_transcript_is_that_of_an_uncut_run(runtime, relay, plane):
    traffic = Traffic(runtime)
    wanted = traffic.round()
    assert wanted["burst"] == [
        (
            [
                ("input", f"print({n}, len(runs)); runs.append({n})"),
                ("stream", "stdout", f"{n} {n}\n"),
            ],
            "ok",
        )
        for n in range(10)
    ]
    assert wanted["interrupted"][-1] == ("reply", "KeyboardInterrupt")
    cuts = Cuts(relay, SEED)
    harm = plane.submit(cuts.go_on(runtime.driver))
    rounds = 0
    while cuts.count < CUTS:
        assert traffic.round() == wanted
        rounds += 1
    harm.cancel()
    assert traffic.round() == wanted
    assert min(cuts.done.values()) > 0
    print(f"{cuts.done} in {rounds} rounds")


@pytest.mark.timeout(120)
def test_cells_sent_during_a_long_cut_run_once_and_in_order(runtime, relay, plane):
    runtime.client.execute("order = []")
    plane.submit(relay.set_mode("cut")).result(20)
    runtime.until(lambda driver: driver.unreachable_since_s is not None)
    sent = [runtime.client.execute(f"order.append({n}); print(order)") for n in range(30)]
    # The cut is what is tested: it lasts so long.
    time.sleep(10.0)
    assert runtime.driver.connection.attempt > 3
    assert runtime.driver.connection.message
    plane.submit(relay.set_mode("open")).result(20)
    texts, idle, replies = dict.fromkeys(sent, ""), set(), []
    while len(idle) < 30:
        message = runtime.client.get_iopub_msg(timeout=20)
        owner = message["parent_header"].get("msg_id")
        if message["msg_type"] == "stream":
            texts[owner] += message["content"]["text"]
        elif owner in texts and message["content"].get("execution_state") == "idle":
            idle.add(owner)
    while len(replies) < 30:
        reply = runtime.client.get_shell_msg(timeout=20)
        if reply["parent_header"]["msg_id"] in sent:
            assert reply["content"]["status"] == "ok"
            replies.append(reply["parent_header"]["msg_id"])
    assert replies == sent
    assert [texts[msg_id] for msg_id in sent] == [f"{list(range(n + 1))}\n" for n in range(30)]
