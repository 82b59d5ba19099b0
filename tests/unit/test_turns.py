"""Whose turn it is to have a kernel in a call."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_remote_kernels.errors import Conflict
from jupyter_remote_kernels.exchange.turns import Turns


class Caller:
    """One who takes a turn, and says when he has it."""

    def __init__(self, turns, *, is_question=False):
        self.has_it = asyncio.Event()
        self.is_over = asyncio.Event()
        self.is_free = asyncio.Event()
        self.task = asyncio.ensure_future(self._take(turns, is_question))

    async def _take(self, turns, is_question):
        async with turns.take(self.is_over.is_set, is_question=is_question):
            self.has_it.set()
            await self.is_free.wait()

    async def leave(self):
        self.is_free.set()
        await self.task


def play(work):
    async def begin():
        await asyncio.wait_for(work(Turns()), 10)

    asyncio.run(begin())


async def settle():
    """Let everybody go as far as he can."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_question", [False, True])
def test_nobody_comes_in_during_an_operation(is_question):
    async def work(turns):
        first = Caller(turns)
        await first.has_it.wait()
        with pytest.raises(Conflict) as caught:
            await Caller(turns, is_question=is_question).task
        assert caught.value.reason == "state_busy"
        await first.leave()
        await Caller(turns, is_question=is_question).leave()

    play(work)


def test_questions_are_waited_for_in_turn():
    async def work(turns):
        callers = [Caller(turns, is_question=number < 2) for number in range(3)]
        for number, caller in enumerate(callers):
            await caller.has_it.wait()
            await settle()
            assert [each.has_it.is_set() for each in callers] == [
                other <= number for other in range(3)
            ]
            await caller.leave()
        assert not turns.is_taken

    play(work)


def test_an_operation_that_waits_counts_too():
    async def work(turns):
        question = Caller(turns, is_question=True)
        first = Caller(turns)
        await settle()
        with pytest.raises(Conflict):
            await Caller(turns).task
        await question.leave()
        await first.leave()

    play(work)


def test_what_is_over_is_waited_for():
    async def work(turns):
        first = Caller(turns)
        await first.has_it.wait()
        first.is_over.set()
        second = Caller(turns)
        await settle()
        assert not second.has_it.is_set()
        await first.leave()
        await second.has_it.wait()
        # That the first one was over says nothing of the second.
        with pytest.raises(Conflict):
            await Caller(turns).task
        await second.leave()

    play(work)


def test_who_is_called_off_while_he_waits_is_forgotten():
    async def work(turns):
        question = Caller(turns, is_question=True)
        waiting = Caller(turns)
        await settle()
        waiting.task.cancel()
        await asyncio.wait({waiting.task})
        third = Caller(turns)
        await question.leave()
        await third.leave()
        await turns.wait_free()

    play(work)
