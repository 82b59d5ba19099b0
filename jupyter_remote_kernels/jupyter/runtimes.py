"""The use cases behind the REST routes: Jupyter's managers and the control plane together."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.operations import Operation, Operations
from jupyter_remote_kernels.errors import LinkError, NotFound
from jupyter_remote_kernels.jupyter import views
from jupyter_remote_kernels.jupyter.accounting import Accounting
from jupyter_remote_kernels.jupyter.executions import Executions
from jupyter_remote_kernels.jupyter.launches import Launches
from jupyter_remote_kernels.jupyter.moves import Moves
from jupyter_remote_kernels.jupyter.states import States
from jupyter_remote_kernels.jupyter.transfers import Transfers
from jupyter_remote_kernels.model.phases import WAITING_PHASES, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jupyter_server.serverapp import ServerApp

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.launch import Change
    from jupyter_remote_kernels.control.plane import ControlPlane
    from jupyter_remote_kernels.jupyter.launch_options import LaunchOptions
    from jupyter_remote_kernels.model.environments import Environment

EVENT_SCHEMA = "https://schema.jupyter.org/jupyter_remote_kernels/runtime/v1"
_LOG_PAGE_BYTES = 256 * 1024
_MEASURE_LIMIT_S = 1.0
_MOVING = ("pause", "resume", "snapshot", "restore", "move")


class Runtimes:
    """Runtimes of one server. Made and used on the server's loop.

    Parameters
    ----------
    serverapp : ServerApp
        Its kernel and session managers are ours.
    plane : ControlPlane
        The process's control plane.
    environments : mapping of str to Environment
        By name; it changes while the server runs.
    """

    def __init__(
        self,
        serverapp: ServerApp,
        plane: ControlPlane,
        environments: Mapping[str, Environment],
    ) -> None:
        self._serverapp = serverapp
        self._plane = plane
        self.environments = environments
        self.operations = Operations(self._tell_operation)
        self.launches = Launches(serverapp, plane)
        self.accounting = Accounting(plane)
        self.executions = Executions(plane)
        self.states = States(plane, self.operations, self.find, self.tell_all)
        self.moves = Moves(plane, self.operations, serverapp)
        self.transfers = Transfers(plane, self.operations, serverapp)

    def get_environment(self, name: str) -> Environment:
        """Return an environment by name.

        Raises
        ------
        NotFound
            When there is none.
        """
        try:
            return self.environments[name]
        except KeyError:
            known = ", ".join(sorted(self.environments)) or "none"
            raise NotFound(
                f"there is no environment {name!r}",
                reason="unknown_environment",
                hint=f"Known environments: {known}.",
            ) from None

    def find(self, runtime_id: str) -> RuntimeDriver:
        """Return the driver of a runtime of this server.

        Raises
        ------
        NotFound
            When there is none.
        """
        driver: RuntimeDriver | None = self._kernels.get_runtime(runtime_id)
        if driver is None:
            raise NotFound(f"there is no runtime {runtime_id!r}", reason="unknown_runtime")
        return driver

    async def describe(self, driver: RuntimeDriver) -> dict[str, Any]:
        """Return one runtime's JSON form."""
        return self._describe(driver, await self._notebooks(), await self._charged([driver]))

    async def describe_all(self) -> list[dict[str, Any]]:
        """Return all runtimes of this server."""
        notebooks = await self._notebooks()
        drivers = [*self._kernels.list_runtimes().values()]
        charged = await self._charged(drivers)
        return [self._describe(driver, notebooks, charged) for driver in drivers]

    async def launch(
        self, environment: Environment, path: str | None, options: LaunchOptions
    ) -> tuple[RuntimeDriver, Operation | None]:
        """Start a runtime; see :meth:`Launches.launch`.

        Returns
        -------
        driver : RuntimeDriver
            The runtime.
        operation : Operation or None
            None when the client token names a runtime that is there already.
        """
        runtime_id, created = await self.launches.launch(environment, path, options)
        driver = self.find(runtime_id)
        if not created:
            return driver, None
        operation = self.operations.start(
            "launch",
            runtime_id,
            self._plane.run(driver.wait_settled()),
            lambda: self.shut_down(runtime_id),
        )
        return driver, operation

    async def shut_down(self, runtime_id: str) -> None:
        """Terminate a runtime with its kernel, and the sessions that use it."""
        sessions = self._serverapp.session_manager
        for notebook in (await self._notebooks()).get(runtime_id, []):
            sessions.cursor.execute(
                "DELETE FROM session WHERE session_id=?", (notebook["session_id"],)
            )
        await self._kernels.shutdown_kernel(runtime_id)

    async def terminate(self, runtime_id: str) -> dict[str, Any]:
        """Terminate a runtime; returns its final statistics."""
        driver = self.find(runtime_id)
        metrics = await self._plane.run(_measure(driver))
        await self.shut_down(runtime_id)
        record, activity = driver.record, driver.bridge.activity
        ended_s = record.ended_s or record.created_s
        return {
            "id": runtime_id,
            "statistics": {
                "age_s": round(ended_s - record.created_s, 3),
                "cpu_time_s": metrics.get("cpu_time_s"),
                "memory_max_bytes": metrics.get("memory_max_bytes"),
                "executions": activity.executions,
                "credits": (await self._charged([driver])).get(runtime_id, 0.0),
            },
        }

    async def restart(self, runtime_id: str) -> Operation:
        """Restart a runtime's kernel in its place.

        A launch that is still on its way goes on, and keeps its place in the engine's queue;
        only the cells that wait for it are aborted.
        """
        driver = self.find(runtime_id)
        earlier = self.operations.find_running("restart", runtime_id)
        if earlier is not None:
            return earlier
        if driver.record.phase in WAITING_PHASES and driver.record.phase is not Phase.PAUSED:
            await self._plane.run(driver.kernel.interrupt())
            settled = self._plane.run(driver.wait_settled())
            return self.operations.start("restart", runtime_id, settled, _nothing_to_undo)

        async def work() -> None:
            await self._kernels.restart_kernel(runtime_id)
            await self._plane.run(driver.wait_settled())

        return self.operations.start("restart", runtime_id, work())

    async def interrupt(self, runtime_id: str) -> None:
        """Interrupt a runtime's kernel."""
        await self._plane.run(self.find(runtime_id).kernel.interrupt())

    async def change(self, runtime_id: str, lease_s: float | None) -> None:
        """Extend or shorten a runtime's reservation; see :meth:`LeaseKeeper.change`."""
        await self._plane.run(self.find(runtime_id).lease.change(lease_s))

    async def change_lease_policy(self, runtime_id: str, policy: str) -> None:
        """Change what happens at the end of a reservation; see :meth:`LeaseKeeper.set_policy`."""
        await self._plane.run(self.find(runtime_id).lease.set_policy(policy))

    def keep(self, kernel_id: str, *, keep: bool) -> None:
        """Say whether a kernel, an ordinary one too, survives that its notebook takes another."""
        manager = self._kernels
        manager.kept = manager.kept | {kernel_id} if keep else manager.kept - {kernel_id}
        self.tell_all("kernel")

    def is_ordinary(self, kernel_id: str) -> bool:
        """Tell whether this server has such a kernel, and it is no runtime."""
        return kernel_id in self._kernels and self._kernels.get_runtime(kernel_id) is None

    def sees_our_files(self, kernel_id: str) -> bool:
        """Tell whether a kernel of this server runs where its files are."""
        driver = self._kernels.get_runtime(kernel_id)
        return driver is None or "same_files" in driver.job.provider.capabilities

    async def rename(self, runtime_id: str, fields: dict[str, Any]) -> RuntimeDriver:
        """Change a runtime's name or tag."""
        driver = self.find(runtime_id)
        await self._plane.run(driver.rename(**fields))
        return driver

    async def read_log(self, runtime_id: str, offset: int, limit: int) -> dict[str, Any]:
        """Return a page of the runtime's log."""
        driver = self.find(runtime_id)
        limit = min(max(limit, 1), _LOG_PAGE_BYTES)
        data, size = await self._plane.run(driver.job.read_log(offset, limit))
        start = min(offset, size)
        return {
            "text": data.decode(errors="replace"),
            "offset": start,
            "next_offset": start + len(data),
            "size_bytes": size,
            "complete": start + len(data) >= size,
        }

    def describe_operation(self, operation: Operation) -> dict[str, Any]:
        """Return one operation's JSON form."""
        tracker = operation.tracker
        if tracker is not None:
            return views.describe_operation(operation, tracker.step, tracker.progress)
        driver = self._kernels.get_runtime(operation.runtime_id)
        moves_state = driver is not None and operation.kind in _MOVING
        progress = driver.pausing.work.progress if moves_state else None
        return views.describe_operation(operation, _current_step(driver), progress)

    def tell(self, change: Change) -> None:
        """Emit a change as an event of the server."""
        data = dict(change.data)
        if "expires_s" in data:
            data["expires_at"] = views.format_time(data.pop("expires_s"))
        driver = self._kernels.get_runtime(change.runtime_id)
        if change.action == "reachability" and driver is not None:
            data["reachability"] = views.describe_reachability(driver)
            data["replaying"] = views.describe_replay(driver)
        self._emit({"action": change.action, "runtime_id": change.runtime_id, **data})

    def tell_all(self, action: str) -> None:
        """Emit a change that belongs to no runtime."""
        self._emit({"action": action, "runtime_id": "", "phase": ""})

    def _tell_operation(self, operation: Operation) -> None:
        driver = self._kernels.get_runtime(operation.runtime_id)
        self._emit(
            {
                "action": "operation",
                "runtime_id": operation.runtime_id,
                "phase": driver.record.phase.value if driver else "stopped",
                "operation_id": operation.id,
                "operation_state": operation.state,
            }
        )

    def _emit(self, data: dict[str, Any]) -> None:
        if self._serverapp.event_logger is not None:
            self._serverapp.event_logger.emit(schema_id=EVENT_SCHEMA, data=data)

    @property
    def _kernels(self) -> Any:
        return self._serverapp.kernel_manager

    async def _charged(self, drivers: Sequence[RuntimeDriver]) -> Mapping[str, float]:
        """Return the credits that runtimes have cost, by id."""
        if not any(driver.record.environment.credits_per_hour for driver in drivers):
            return {}
        ledger = self._plane.services.registry.ledger
        return await self._plane.run(ledger.charged([driver.record.id for driver in drivers]))

    def _describe(
        self,
        driver: RuntimeDriver,
        notebooks: Mapping[str, list[dict[str, Any]]],
        charged: Mapping[str, float],
    ) -> dict[str, Any]:
        runtime_id = driver.record.id
        connections = self._kernels._kernel_connections.get(runtime_id, 0)  # noqa: SLF001
        model = views.describe_runtime(driver, notebooks.get(runtime_id, []), connections)
        keep = runtime_id in self._kernels.kept
        return {**model, "credits": charged.get(runtime_id, 0.0), "keep": keep}

    async def _notebooks(self) -> dict[str, list[dict[str, Any]]]:
        """Return what uses each kernel, from the server's sessions."""
        result: dict[str, list[dict[str, Any]]] = {}
        for session in await self._serverapp.session_manager.list_sessions():
            entry = {key: session[key] for key in ("path", "name", "type")}
            entry["session_id"] = session["id"]
            result.setdefault(session["kernel"]["id"], []).append(entry)
        return result


def _current_step(driver: RuntimeDriver | None) -> str | None:
    if driver is None:
        return None
    words = driver.engine.message if driver.engine else ""
    return words or driver.step


async def _measure(driver: RuntimeDriver) -> Mapping[str, Any]:
    """Return what the runtime has used until now, or what it had when it was last heard of."""
    if driver.is_settled and driver.unreachable_since_s is None and driver.link is not None:
        # An agent that hangs must not keep anybody from terminating it.
        with contextlib.suppress(LinkError, asyncio.TimeoutError):
            return await asyncio.wait_for(driver.link.client.measure(), _MEASURE_LIMIT_S)
    return driver.metrics


async def _nothing_to_undo() -> None:
    """Cancel an operation that only waits."""
