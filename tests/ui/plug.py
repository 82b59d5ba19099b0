"""A provider whose cable can be pulled out, from the process of a test."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import ProviderUnavailable
from tests.faults.relay import RelayProvider

if TYPE_CHECKING:
    from jupyter_remote_kernels.providers.base import Checkpoint, Endpoint

# Names a file: as long as it is there, the cable is out.
PLUG_VARIABLE = "JUPYTER_REMOTE_KERNELS_TEST_PLUG"
WORDS = "the host does not answer"
_LOOK_S = 0.05


class PlugProvider(RelayProvider):
    """Jobs of this machine that can be reached as long as the cable is in."""

    name = "plug"

    def __init__(self) -> None:
        super().__init__()
        self._out = Path(os.environ[PLUG_VARIABLE])
        self._watching: asyncio.Task[None] | None = None

    async def endpoint(self, checkpoint: Checkpoint) -> Endpoint:
        """Tell where a job's agent is."""
        if self._out.exists():
            raise ProviderUnavailable(WORDS)
        self._watching = self._watching or asyncio.create_task(self._watch())
        endpoint: Endpoint = await super().endpoint(checkpoint)
        return endpoint

    async def _watch(self) -> None:
        while True:
            mode = "cut" if self._out.exists() else "open"
            if mode != self.mode:
                await self.set_mode(mode)
            await asyncio.sleep(_LOOK_S)
