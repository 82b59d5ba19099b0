"""Nurseries: warm processes of an interpreter, from which agents are forked instead of spawned.

There is at most one per interpreter and set of variables that are read while Python imports.
Whatever goes wrong with one, a launch spawns instead: nothing waits for a nursery or fails
because of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.protocol.nursery import (
    ARGUMENT_ROOM_BYTES,
    FORK,
    LABEL_VARIABLE,
    MESSAGE_LIMIT_BYTES,
    ROOM,
    ROOM_VARIABLE,
    list_early,
)
from jupyter_remote_kernels.providers.processes import JobProcess, look_at
from jupyter_remote_kernels.providers.spawning import (
    add_library,
    nameless_file,
    open_log,
    server_environment,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_log = logging.getLogger(__name__)
_COMMAND = ("-m", "jupyter_remote_kernels.agent.nursery")
_FORK_LIMIT_S = 2.0
_REPORT_LIMIT_S = 0.2
_LOOK_AGAIN_S = 0.002
_RETRY_FIRST_S = 1.0
_RETRY_LAST_S = 300.0
# One that lived so long had no trouble with its start.
_SOUND_S = 60.0


class ForkedAgent:
    """An agent that a nursery has forked: its parent, not we, is told about its end."""

    def __init__(self, pid: int, nursery: NurseryProcess) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """Return its exit status, as far as the nursery has told it."""
        self._nursery.update()
        return self.returncode

    async def settle(self) -> None:
        """Wait a moment for the nursery's report, if the process has just ended."""
        info = look_at(self.pid)
        is_over = info is None or info.is_over
        if is_over and self.poll() is None and self._nursery.is_living:
            await asyncio.to_thread(self._nursery.wait_report, _REPORT_LIMIT_S)
            self.poll()


@dataclass(frozen=True)
class NurseryKey:
    """What a nursery cannot change any more, and so has one for each.

    Attributes
    ----------
    python : str
        The interpreter.
    early : frozenset of (str, str)
        Variables of the environment file that are read while Python starts.
    """

    python: str
    early: frozenset[tuple[str, str]] = field(repr=False)

    @classmethod
    def make(cls, python: str, env: Mapping[str, str]) -> NurseryKey:
        """Return the key for an interpreter and the variables of an environment."""
        return cls(python, frozenset((name, env[name]) for name in list_early(env)))


class NurseryProcess:
    """One running nursery.

    Parameters
    ----------
    key : NurseryKey
        What it is for.
    on_end : callable
        Called with this object when it has ended, unless it was told to.

    Raises
    ------
    OSError
        When it cannot be started.
    """

    def __init__(self, key: NurseryKey, on_end: Callable[[NurseryProcess], None]) -> None:
        self.key = key
        self._on_end = on_end
        self.started_s = time.monotonic()
        self.problem: str | None = None
        self._env = {**server_environment(), **dict(key.early)}
        self._env.pop(LABEL_VARIABLE, None)
        self._read: list[str] | None = None
        self._agents: dict[int, ForkedAgent] = {}
        self._early_exits: dict[int, int] = {}
        self._library: Path | None = None
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        with theirs:
            try:
                self._process = self._start(theirs)
            except OSError:
                self._channel.close()
                self._remove_library()
                raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._channel, self.update)

    @property
    def is_living(self) -> bool:
        """Whether it has not been seen to end."""
        return self._channel.fileno() >= 0

    @property
    def is_ready(self) -> bool:
        """Whether it can fork."""
        return self.is_living and self._read is not None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fits(self, env: Mapping[str, str]) -> bool:
        """Tell whether a kernel with these variables can be forked, rather than its agent only."""
        now = {**server_environment(), **env}
        names = list_early({*now, *self._env}, self._read or ())
        return all(now.get(name) == self._env.get(name) for name in names)

    def update(self) -> None:
        """Take in what it has reported; never waits."""
        while self.is_living:
            try:
                data = self._channel.recv(MESSAGE_LIMIT_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._give_up()
                return
            self._take(json.loads(data))

    def wait_report(self, limit_s: float) -> None:
        """Wait until there is something to :meth:`update`; blocks."""
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            select.select([self._channel], [], [], limit_s)

    async def fork(
        self, request: Mapping[str, Any], listener: socket.socket, directory: str
    ) -> ForkedAgent | None:
        """Fork an agent.

        Returns
        -------
        ForkedAgent or None
            None when there is none, and none will come to be: then it can be spawned.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            ours.setblocking(False)
            with theirs, nameless_file(request, directory) as file, open_log(directory) as log:
                descriptors = [each.fileno() for each in (theirs, listener, file, log)]
                try:
                    socket.send_fds(self._channel, [FORK], descriptors, socket.MSG_DONTWAIT)
                except OSError as error:
                    _log.info("the nursery %s takes no requests: %s", self.pid, error)
                    self._give_up()
                    return None
            try:
                await asyncio.wait_for(_readable(ours), _FORK_LIMIT_S)
            except asyncio.TimeoutError:
                _log.warning("the nursery %s does not answer", self.pid)
                self._give_up()
            except asyncio.CancelledError:
                if self._receive(ours) is None:
                    await self._wait_childless(ours)
                raise
            agent = self._receive(ours)
        self.update()  # without an agent, it may be because the nursery has died
        return agent

    def close(self) -> None:
        """End it; what it forked lives on."""
        if self.is_living:
            with contextlib.suppress(RuntimeError):  # that loop has ended
                self._loop.remove_reader(self._channel)
            self._channel.close()
            # It has nothing to clean up, and may hang.
            self._process.kill()
            self._remove_library()

    def reap(self) -> bool:
        """Tell whether its process is gone."""
        return self._process.poll() is not None

    def _give_up(self) -> None:
        if self.is_living:
            self.close()
            self._on_end(self)

    def _receive(self, cradle: socket.socket) -> ForkedAgent | None:
        # The order decides: who tells his pid after this line is told that nobody waits.
        cradle.shutdown(socket.SHUT_RD)
        try:
            data = cradle.recv(32)
        except OSError:
            data = b""
        if not data:
            return None
        agent = ForkedAgent(int(data), self)
        code = self._early_exits.pop(agent.pid, None)
        info = look_at(agent.pid)
        if code is not None and (info is None or info.is_over):
            agent.returncode = code
        else:
            self._agents[agent.pid] = agent
        return agent

    async def _wait_childless(self, cradle: socket.socket) -> None:
        """Wait until the request is forgotten, so that nobody sees a child that is ending."""
        poll = select.poll()
        poll.register(cradle, 0)  # only that nobody has the other end any more
        deadline_s = time.monotonic() + _FORK_LIMIT_S
        while not poll.poll(0):
            if time.monotonic() > deadline_s:
                self._give_up()
                return
            await asyncio.sleep(_LOOK_AGAIN_S)  # asyncio knows no such event

    def _start(self, channel: socket.socket) -> JobProcess:
        env = dict(self._env)
        if self.key.python != sys.executable:
            self._library = Path(tempfile.mkdtemp(prefix="jrk-nursery-"))
            add_library(env, self._library)
        # The last one, because what is left of its room would end the list for some readers.
        env[ROOM_VARIABLE] = ROOM
        return JobProcess(
            [
                self.key.python,
                *_COMMAND,
                str(channel.fileno()),
                " " * ARGUMENT_ROOM_BYTES,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # What keeps it from its work it reports; the rest is chatter of what it imports.
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=env,
            start_new_session=True,
            pass_fds=(channel.fileno(),),
        )

    def _take(self, report: Mapping[str, Any]) -> None:
        if "ready" in report:
            self._read = list(report["ready"])
            self._remove_library()
        elif "failed" in report:
            self.problem = str(report["failed"])
        elif "exited" in report:
            agent = self._agents.pop(report["exited"], None)
            if agent is None:
                self._early_exits[report["exited"]] = report["code"]
            else:
                agent.returncode = report["code"]

    def _remove_library(self) -> None:
        if self._library is not None:
            shutil.rmtree(self._library, ignore_errors=True)
            self._library = None


class Nurseries:
    """The nurseries of a provider: those that are wanted run, and are started again."""

    def __init__(self) -> None:
        self._running: dict[NurseryKey, NurseryProcess] = {}
        self._failures: dict[NurseryKey, int] = {}
        self._ending: list[NurseryProcess] = []
        self._timers: dict[NurseryKey, asyncio.TimerHandle] = {}
        self._wanted: set[NurseryKey] = set()

    def want(self, keys: Iterable[NurseryKey]) -> None:
        """Keep exactly these; called on the loop that is to watch them."""
        self._wanted = set(keys)
        for key in set(self._running) - self._wanted:
            self._end(key)
        for key in [key for key in self._timers if key not in self._wanted]:
            self._timers.pop(key).cancel()
        for key in self._wanted - set(self._running) - set(self._timers):
            self._failures.pop(key, None)
            self._start(key)
        self.reap()

    def find(self, python: str, env: Mapping[str, str]) -> tuple[NurseryProcess | None, bool]:
        """Return a nursery of this interpreter that is ready, and whether it fits a kernel."""
        found = [item for item in list(self._running.values()) if item.key.python == python]
        for nursery in found:
            nursery.update()
        ready = [nursery for nursery in found if nursery.is_ready]
        for nursery in ready:
            if nursery.fits(env):
                return nursery, True
        return (ready[0] if ready else None), False

    def reap(self) -> None:
        """See who has ended; without being asked after, they would stay as zombies."""
        for nursery in list(self._running.values()):
            nursery.update()
        self._ending = [nursery for nursery in self._ending if not nursery.reap()]

    def _start(self, key: NurseryKey) -> None:
        self._timers.pop(key, None)
        try:
            self._running[key] = NurseryProcess(key, self._ended)
        except OSError as error:
            self._retry(key, f"it could not be started: {error}")

    def _ended(self, nursery: NurseryProcess) -> None:
        del self._running[nursery.key]
        self._ending.append(nursery)
        if time.monotonic() - nursery.started_s > _SOUND_S:
            self._failures.pop(nursery.key, None)
        self._retry(nursery.key, nursery.problem or "it has ended")

    def _end(self, key: NurseryKey) -> None:
        nursery = self._running.pop(key)
        nursery.close()
        self._ending.append(nursery)
        self.reap()

    def _retry(self, key: NurseryKey, reason: str) -> None:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay_s = min(_RETRY_FIRST_S * 2**failures, _RETRY_LAST_S)
        _log.info("no nursery for %s: %s; next try in %.0f s", key.python, reason, delay_s)
        self._timers[key] = asyncio.get_running_loop().call_later(delay_s, self._start, key)


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(sock, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(sock)
