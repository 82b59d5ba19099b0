"""A pytest plugin that puts our classes in place of jupyter_server's.

The gateway's classes are imported first, so that they keep the stock base class: with a gateway
our classes stay out. The dotted names in the tests' own configuration resolve through the
module attributes that are set here.
"""

from __future__ import annotations

import jupyter_server.gateway.managers  # noqa: F401 - must come before the substitution
import jupyter_server.serverapp as serverapp
import jupyter_server.services.kernels.kernelmanager as kernelmanager

from jupyter_remote_kernels.jupyter.kernel_manager import RemoteMappingKernelManager
from jupyter_remote_kernels.jupyter.websocket import RemoteChannelsWebsocketConnection

_PLACES = (
    (kernelmanager, "AsyncMappingKernelManager", RemoteMappingKernelManager),
    (serverapp, "AsyncMappingKernelManager", RemoteMappingKernelManager),
    (serverapp, "ZMQChannelsWebsocketConnection", RemoteChannelsWebsocketConnection),
)
for _module, _name, _ours in _PLACES:
    if not hasattr(_module, _name):
        raise RuntimeError(f"{_module.__name__} has no {_name}: the substitution has no effect")
    setattr(_module, _name, _ours)
