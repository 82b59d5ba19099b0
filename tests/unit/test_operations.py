"""Operations: outcome, progress, cancelling, and the end of the server."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from jupyter_remote_kernels.control import operations as module
from jupyter_remote_kernels.control.operations import Operations
from jupyter_remote_kernels.errors import Conflict, LaunchFailed, NotFound


def run(check):
    """Run a check with operations and everything that was told about them."""

    async def main():
        told = []
        operations = Operations(lambda operation: told.append((operation.id, operation.state)))
        await check(operations, told)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    asyncio.run(main())


async def ended(operations, operation):
    """Wait for the end of an operation."""
    await asyncio.wait([operations._tasks[operation.id]])


async def fail_with(error):
    raise error


def test_success_is_told():
    async def check(operations, told):
        started_s = time.time()
        operation = operations.start("launch", "r1", asyncio.sleep(0))
        assert (operation.kind, operation.runtime_id, operation.state) == (
            *("launch", "r1"),
            "running",
        )
        assert operations.find_running("launch", "r1") is operation
        await ended(operations, operation)
        assert told == [(operation.id, "running"), (operation.id, "succeeded")]
        assert started_s <= operation.created_s <= operation.finished_s
        assert operations.get(operation.id) is operation
        assert operations.find_running("launch", "r1") is None

    run(check)


def test_typed_failure_is_kept_as_it_is(caplog):
    async def check(operations, told):
        error = LaunchFailed("no", reason="queue_closed", hint="Ask the admin.")
        operation = operations.start("launch", "r1", fail_with(error))
        await ended(operations, operation)
        assert operation.state == "failed"
        assert operation.error is error
        assert not caplog.records

    run(check)


@pytest.mark.parametrize(
    "error,message", [(ValueError("odd"), "odd"), (ValueError(), "ValueError")]
)
def test_any_other_failure_is_told_and_logged(caplog, error, message):
    async def check(operations, told):
        operation = operations.start("restart", "r1", fail_with(error))
        await ended(operations, operation)
        assert operation.state == "failed"
        assert operation.error.message == message
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert record.exc_info

    run(check)


def test_cancel_undoes_what_was_begun():
    async def check(operations, told):
        undone = []

        async def undo():
            undone.append(True)

        operation = operations.start("launch", "r1", asyncio.Event().wait(), undo)
        await asyncio.sleep(0)
        assert await operations.cancel(operation.id) is operation
        assert undone == [True]
        assert operation.state == "cancelled"
        with pytest.raises(Conflict) as failure:
            await operations.cancel(operation.id)
        assert failure.value.reason == "operation_over"
        assert undone == [True]
        assert told[-1] == (operation.id, "cancelled")

    run(check)


def test_cancel_in_the_moment_of_the_start():
    async def check(operations, told):
        operation = operations.start("launch", "r1", asyncio.Event().wait(), asyncio.Event().wait)
        cancelling = asyncio.ensure_future(operations.cancel(operation.id))
        await asyncio.wait([operations._tasks[operation.id]])
        assert operation.state == "cancelled"
        assert operation.finished_s is not None
        cancelling.cancel()
        await asyncio.wait([cancelling])

    run(check)


def test_what_cannot_be_undone_cannot_be_cancelled():
    async def check(operations, told):
        go_on = asyncio.Event()
        operation = operations.start("restart", "r1", go_on.wait())
        with pytest.raises(Conflict) as failure:
            await operations.cancel(operation.id)
        assert failure.value.reason == "not_cancellable"
        assert operation.state == "running"
        go_on.set()
        await ended(operations, operation)
        assert operation.state == "succeeded"

    run(check)


def test_unknown_operation():
    async def check(operations, told):
        with pytest.raises(NotFound) as failure:
            operations.get("nowhere")
        assert failure.value.reason == "unknown_operation"
        with pytest.raises(NotFound):
            await operations.cancel("nowhere")

    run(check)


def test_old_ones_are_dropped_and_running_ones_are_not(monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 3)

    async def check(operations, told):
        go_on = asyncio.Event()
        running = operations.start("launch", "r0", go_on.wait())
        for number in range(1, 6):
            operation = operations.start("launch", f"r{number}", asyncio.sleep(0))
            await ended(operations, operation)
        # The running one takes up the place of one that could be dropped.
        assert [item.runtime_id for item in operations.list()] == ["r0", "r3", "r4", "r5"]
        go_on.set()
        await ended(operations, running)

    run(check)


def test_close_cancels_and_waits_for_the_others(monkeypatch):
    monkeypatch.setattr(module, "_CLOSE_LIMIT_S", 0.05)

    async def check(operations, told):
        go_on = asyncio.Event()
        states = {
            "cancellable": operations.start("launch", "r1", go_on.wait(), asyncio.Event().wait),
            "soon over": operations.start("restart", "r2", asyncio.sleep(0.01)),
            "too slow": operations.start("restart", "r3", go_on.wait()),
        }
        await operations.close()
        assert {name: item.state for name, item in states.items()} == {
            "cancellable": "cancelled",
            "soon over": "succeeded",
            "too slow": "cancelled",
        }
        await operations.close()

    run(check)
