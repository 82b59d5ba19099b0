"""Jobs of this machine whose agent is reached through a proxy of another process.

A Jupyter server finds it as the provider ``proxied``; the benchmark beside it has the proxy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jupyter_remote_kernels.model.endpoints import Endpoint
from jupyter_remote_kernels.providers.local import LocalProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

# The proxy's port, and the file in which it reads what is behind it.
PORT_VARIABLE = "BENCHMARK_PROXY_PORT"
TARGET_VARIABLE = "BENCHMARK_PROXY_TARGET"


class ProxiedProvider(LocalProvider):
    """One agent at a time is behind the proxy: the last that was asked for."""

    name = "proxied"

    async def endpoint(self, checkpoint: Mapping[str, Any]) -> Endpoint:
        """Tell where the proxy is, and tell the proxy where the agent is."""
        real = await super().endpoint(checkpoint)
        target = Path(os.environ[TARGET_VARIABLE])
        target.write_text(str(urlsplit(real.url).port))  # noqa: ASYNC240 - a few bytes
        return Endpoint(f"http://127.0.0.1:{os.environ[PORT_VARIABLE]}", token=real.token)
