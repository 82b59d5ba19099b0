"""The background loop: who runs where, who owns what, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import pytest

from jupyter_remote_kernels.control.background import BackgroundLoop

LIMIT_S = 10.0


@pytest.fixture
def background():
    before = set(threading.enumerate())
    descriptors = sorted(os.listdir("/proc/self/fd"))
    made = BackgroundLoop("test-loop")
    yield made
    made.stop()
    assert set(threading.enumerate()) == before
    assert sorted(os.listdir("/proc/self/fd")) == descriptors


async def name_of_thread():
    return threading.current_thread().name


def test_work_runs_on_its_thread(background):
    assert background.submit(name_of_thread()).result(LIMIT_S) == "test-loop"


def test_work_from_another_loop_and_from_its_own(background):
    async def nested():
        # On the loop itself there is nothing to wait for in another thread.
        return await background.run(name_of_thread())

    assert asyncio.run(background.run(name_of_thread())) == "test-loop"
    assert background.submit(nested()).result(LIMIT_S) == "test-loop"


def test_errors_reach_the_caller(background):
    async def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        background.submit(fail()).result(LIMIT_S)
    with pytest.raises(ValueError, match="no"):
        asyncio.run(background.run(fail()))


def test_cancelled_caller_cancels_the_work(background):
    started, cancelled = threading.Event(), threading.Event()

    async def work():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def give_up():
        task = asyncio.create_task(background.run(work()))
        await asyncio.to_thread(started.wait, LIMIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert cancelled.wait(LIMIT_S)


def test_failure_of_a_task_is_reported_with_its_name(background, caplog):
    async def fail():
        raise ValueError("nobody waits for this")

    async def start():
        task = background.spawn(fail(), "lonely task")
        await asyncio.wait([task])

    with caplog.at_level(logging.ERROR):
        background.submit(start()).result(LIMIT_S)
    (record,) = caplog.records
    assert "lonely task" in record.getMessage()
    assert record.exc_info
    assert background._tasks == set()


def test_a_task_is_kept_until_it_has_ended(background):
    async def start():
        gate = asyncio.Event()
        task = background.spawn(gate.wait(), "kept")
        assert background._tasks == {task}
        gate.set()
        await task
        await asyncio.sleep(0)  # its callbacks come after it
        return background._tasks

    assert background.submit(start()).result(LIMIT_S) == set()


def test_stop_ends_tasks_with_their_clean_up(background, caplog):
    ended = []

    async def work(name):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async def start():
        for name in ("first", "second"):
            background.spawn(work(name), name)
        await asyncio.sleep(0)

    background.submit(start()).result(LIMIT_S)
    background.stop()
    background.stop()
    assert sorted(ended) == ["first", "second"]
    assert background._loop.is_closed()
    assert not caplog.records


def test_stop_waits_for_threads_that_the_loop_has_started(background):
    entered, go_on, left = threading.Event(), threading.Event(), threading.Event()

    def work():
        entered.set()
        assert go_on.wait(LIMIT_S)
        left.set()

    background.submit(_start(asyncio.to_thread(work))).result(LIMIT_S)
    assert entered.wait(LIMIT_S)
    go_on.set()
    background.stop()
    assert left.is_set()


def test_stop_of_an_idle_loop(background):
    background.stop()
    assert not background._thread.is_alive()


async def _start(work):
    asyncio.get_running_loop().create_task(work)
    await asyncio.sleep(0)
