"""REST routes of snapshots: taken, listed, named, deleted, and begun with."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_remote_kernels.control.restoring import ON_CONFLICT, Choice
from jupyter_remote_kernels.errors import InvalidInput, RemoteKernelsError
from jupyter_remote_kernels.jupyter import requests
from jupyter_remote_kernels.jupyter.handlers import LaunchingHandler
from jupyter_remote_kernels.jupyter.launch_options import LAUNCH_KEYS
from jupyter_remote_kernels.jupyter.rest_handler import RemoteKernelsHandler

if TYPE_CHECKING:
    from jupyter_remote_kernels.control.snapshot_files import Upload

CONTENT_TYPE = "application/octet-stream"
_NO_LIMIT = 2**62
# Each piece goes to another thread, so small ones are put together.
_PIECE_BYTES = 1 << 20


class TakenSnapshotsHandler(RemoteKernelsHandler):
    """Take a snapshot of a kernel that goes on."""

    @web.authenticated
    @authorized
    async def post(self, runtime_id: str) -> None:
        body = self.read_body({"name", "description"})
        name = requests.read_text(body, "name")
        description = requests.read_text(body, "description")
        operation = self.runtimes.states.take_snapshot(runtime_id, name or "", description or "")
        self.reply(self.runtimes.describe_operation(operation), 202)


@web.stream_request_body
class SnapshotsHandler(RemoteKernelsHandler):
    """All snapshots of the user; a file that is uploaded becomes one more."""

    _upload: Upload | None = None
    _is_wanted = True
    _piece = b""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.reply({"snapshots": await self.runtimes.states.list_snapshots()})

    async def prepare(self) -> None:  # type: ignore[override]
        """Called by tornado before the body comes: a stranger's is never read."""
        await super().prepare()
        if self.request.method == "POST" and not self._finished:
            self.request.connection.set_max_body_size(_NO_LIMIT)  # type: ignore[union-attr]
            await self._begin()

    @authorized
    async def _begin(self) -> None:
        trust = self.get_query_argument("trust", "false")
        if trust not in ("true", "false"):
            raise InvalidInput("trust: must be true or false")
        self._upload = await self.runtimes.states.begin_upload(trust=trust == "true")

    async def data_received(self, chunk: bytes) -> None:
        """Called by tornado for each piece of the body; the next is read when this has ended."""
        if self._upload is not None and self._is_wanted:
            self._piece += chunk
            if len(self._piece) >= _PIECE_BYTES:
                await self._pass_on()

    async def _pass_on(self) -> None:
        piece, self._piece = self._piece, b""
        # What is wrong is told when all has come: browsers do not listen before.
        if self._upload is not None and piece:
            self._is_wanted = await self.runtimes.states.feed(self._upload, piece)

    @web.authenticated
    @authorized
    async def post(self) -> None:
        await self._pass_on()
        if self._upload is not None:
            upload, self._upload = self._upload, None
            self.reply(await self.runtimes.states.finish_upload(upload), 201)

    def on_connection_close(self) -> None:
        """Called by tornado when the client has hung up."""
        super().on_connection_close()
        self.on_finish()

    def on_finish(self) -> None:
        """Called by tornado at the end, whatever it was."""
        super().on_finish()
        if self._upload is not None:
            self.runtimes.states.call_off(self._upload)
            self._upload = None


class SnapshotHandler(RemoteKernelsHandler):
    """One snapshot."""

    @web.authenticated
    @authorized
    async def get(self, snapshot_id: str) -> None:
        self.reply(await self.runtimes.states.describe_snapshot(snapshot_id))

    @web.authenticated
    @authorized
    async def patch(self, snapshot_id: str) -> None:
        states = self.runtimes.states
        body = self.read_body({"name", "description"})
        await states.describe_snapshot(snapshot_id)
        requests.check_present(self.request.body)
        name = requests.read_text(body, "name", required=True)
        # Null leaves it as it is, an empty one takes it away.
        is_removed = body.get("description") == ""
        description = "" if is_removed else requests.read_text(body, "description")
        self.reply(await states.rename_snapshot(snapshot_id, str(name), description))

    @web.authenticated
    @authorized
    async def delete(self, snapshot_id: str) -> None:
        await self.runtimes.states.delete_snapshot(snapshot_id)
        self.set_status(204)
        self.finish()


class SnapshotRuntimesHandler(LaunchingHandler):
    """New runtimes that begin with a snapshot's state."""

    @web.authenticated
    @authorized
    async def post(self, snapshot_id: str) -> None:
        body = self.read_body(set(LAUNCH_KEYS - {"snapshot"}))
        name = requests.read_text(body, "environment")
        if name is None:
            snapshot = await self.runtimes.states.describe_snapshot(snapshot_id)
            name = snapshot["environment"]
        await self.launch({**body, "environment": name, "snapshot": snapshot_id})


class SnapshotContentHandler(RemoteKernelsHandler):
    """One snapshot as a file."""

    @web.authenticated
    @authorized
    async def get(self, snapshot_id: str) -> None:
        snapshot = await self.runtimes.states.describe_snapshot(snapshot_id)
        pieces = self.runtimes.states.download(snapshot_id)
        try:
            async for piece in pieces:
                if not self._headers_written:
                    name = make_file_name(snapshot["name"] or snapshot_id)
                    self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{name}")
                    self.set_header("Content-Type", CONTENT_TYPE)
                self.write(bytes(piece))
                await self.flush()
        except RemoteKernelsError as error:
            if not self._headers_written:
                raise
            # Too late for an answer: a file that is cut short must not look whole.
            self.log.warning("the snapshot %s cannot be read: %s", snapshot_id, error)
            self.detach().close()
            return
        finally:
            await pieces.aclose()
        self.finish(set_content_type=CONTENT_TYPE)


class SnapshotRestoreHandler(RemoteKernelsHandler):
    """A snapshot, or some of its variables, for a kernel that goes on."""

    @web.authenticated
    @authorized
    async def post(self, snapshot_id: str) -> None:
        body = self.read_body({"runtime_id", "variables", "on_conflict"})
        await self.runtimes.states.describe_snapshot(snapshot_id)
        requests.check_present(self.request.body)
        runtime_id = requests.read_text(body, "runtime_id", required=True)
        choice = Choice(
            requests.read_names(body, "variables"),
            requests.read_one_of(body, "on_conflict", ON_CONFLICT),
        )
        target = await self.runtimes.transfers.find(str(runtime_id))
        operation = await self.runtimes.states.restore_into(
            snapshot_id, target, choice, may_map=self.runtimes.sees_our_files(target.id)
        )
        self.reply(self.runtimes.describe_operation(operation), 202)


def make_file_name(name: str) -> str:
    """Return a snapshot's name as that of a file, as a header carries it (RFC 8187)."""
    plain = unicodedata.normalize("NFC", name)
    safe = re.sub(r'[\x00-\x1f\x7f"*/:<>?\\|]+', "_", plain).strip(". ") or "snapshot"
    return quote(f"{safe}.jrksnap", safe="")
