"""Launching over REST: once per client token, within limits, with an example notebook."""

from __future__ import annotations

import asyncio
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_core.utils import ensure_async
from tornado import web

from jupyter_remote_kernels.errors import Conflict, LimitExceeded, NotFound
from jupyter_remote_kernels.model.phases import FINAL_PHASES

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.plane import ControlPlane
    from jupyter_remote_kernels.jupyter.launch_options import LaunchOptions
    from jupyter_remote_kernels.model.environments import Environment

_NOTEBOOK_LIMIT_BYTES = 16 * 2**20


class Launches:
    """Launches of one server, one after the other.

    Parameters
    ----------
    serverapp : ServerApp
        Its kernel manager is ours.
    plane : ControlPlane
        The process's control plane.
    """

    def __init__(self, serverapp: ServerApp, plane: ControlPlane) -> None:
        self._serverapp = serverapp
        self._plane = plane
        self._launching = asyncio.Lock()

    async def launch(
        self, environment: Environment, path: str | None, options: LaunchOptions
    ) -> tuple[str, bool]:
        """Start a runtime as an ordinary kernel.

        Parameters
        ----------
        environment : Environment
            What to launch.
        path : str or None
            Where it works, as a path of the contents API.
        options : LaunchOptions
            How it differs from its environment.

        Returns
        -------
        runtime_id : str
            The runtime.
        created : bool
            False when the client token names a runtime that is there already.

        Raises
        ------
        Conflict
            When the client token belongs to a runtime of another environment.
        LimitExceeded
            When limits or budget do not allow it; nothing was started.
        NotFound
            When a volume or the snapshot is unknown.
        SnapshotError, StoreError
            When the snapshot cannot be used.
        """
        # One at a time: two launches with one client token must see each other.
        async with self._launching:
            earlier = self._find_by_token(options.client_token, environment)
            if earlier is not None:
                return earlier.record.id, False
            # Asked beforehand too: jupyter_client writes a traceback for a launch that fails.
            await self._plane.run(
                self._plane.check_launch(environment, options.resources, options.lease_s)
            )
            if options.snapshot_id is not None:
                await self._plane.run(self._plane.services.snapshots.find(options.snapshot_id))
            for mount in options.volumes:
                await asyncio.to_thread(self._plane.services.volumes.find, mount.name)
            try:
                runtime_id: str = await self._kernels.start_kernel(
                    kernel_name=environment.kernel_name,
                    path=path,
                    runtime_options=options,
                    **options.environ,
                )
            except NoSuchKernel as error:
                raise Conflict(
                    f"the kernelspec {environment.kernel_name!r} is not there any more",
                    reason="kernelspec_missing",
                    hint="Restart the Jupyter server: it writes its kernelspecs at its start.",
                ) from error
            except web.HTTPError as error:
                if isinstance(error.__cause__, LimitExceeded):
                    raise error.__cause__ from None
                raise
        return runtime_id, True

    async def read_example(self, environment: Environment) -> dict[str, Any]:
        """Return the environment's example notebook, ready to be saved for this environment.

        Raises
        ------
        NotFound
            When it has none, or none that can be read.
        """
        named = environment.example_notebook
        if named is None:
            raise NotFound(
                f"the environment {environment.name!r} has no example notebook",
                reason="no_example_notebook",
            )
        try:
            content = await self._read_notebook(named)
        except (web.HTTPError, OSError, ValueError) as error:
            raise NotFound(
                f"the example notebook {named!r} cannot be read",
                reason="example_notebook_unreadable",
                hint="Tell whoever wrote the environment.",
                detail=repr(error),
            ) from error
        metadata = content.setdefault("metadata", {})
        metadata["kernelspec"] = {
            "name": environment.kernel_name,
            "display_name": environment.display_name,
            "language": environment.language,
        }
        return content

    async def save_example(self, content: dict[str, Any], named: str, path: str | None) -> str:
        """Save a copy of an example notebook under a free name; returns its contents path."""
        contents = self._serverapp.contents_manager
        folder = posixpath.dirname(path or "")
        name = await ensure_async(
            contents.increment_filename(posixpath.basename(named), folder, insert="-")
        )
        target = posixpath.join(folder, name)
        model = {"type": "notebook", "format": "json", "content": content}
        await ensure_async(contents.save(model, target))
        return target

    async def _read_notebook(self, named: str) -> dict[str, Any]:
        if not Path(named).is_absolute():
            model = await ensure_async(
                self._serverapp.contents_manager.get(named, content=True, type="notebook")
            )
            found: dict[str, Any] = model["content"]
            return found
        return await asyncio.to_thread(_read_file, Path(named))

    @property
    def _kernels(self) -> Any:
        return self._serverapp.kernel_manager

    def _find_by_token(self, token: str | None, environment: Environment) -> RuntimeDriver | None:
        if token is None:
            return None
        drivers: dict[str, RuntimeDriver] = self._kernels.list_runtimes()
        for driver in drivers.values():
            record = driver.record
            if record.client_token != token or record.phase in FINAL_PHASES:
                continue
            if record.environment.name != environment.name:
                raise Conflict(
                    "the client token belongs to a runtime of the environment"
                    f" {record.environment.name!r}",
                    reason="client_token_in_use",
                    hint="Use another token, or terminate that runtime.",
                )
            return driver
        return None


def _read_file(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _NOTEBOOK_LIMIT_BYTES:
        raise ValueError("it is larger than 16 MiB")
    content: dict[str, Any] = nbformat.reads(  # type: ignore[no-untyped-call]
        file.read_text("utf-8"), as_version=4
    )
    return content
