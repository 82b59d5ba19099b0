"""Installing our classes into a server, and saying so when that is not possible.

The kernel manager's class must be set while the extension is linked: files of the server's
configuration directory cannot carry it, and later it has been made already.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.jupyter.kernel_manager import RemoteMappingKernelManager
from jupyter_remote_kernels.jupyter.session_manager import RemoteSessionManager
from jupyter_remote_kernels.jupyter.websocket import RemoteChannelsWebsocketConnection

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

CONNECTION = "kernel_websocket_connection_class"
MANAGERS: dict[str, type[Any]] = {
    "kernel_manager_class": RemoteMappingKernelManager,
    "session_manager_class": RemoteSessionManager,
}


def install_classes(serverapp: ServerApp) -> None:
    """Set our classes where the admin has named none. Called while the extension is linked.

    Kernel and session manager come together or not at all: each relies on the other.
    """
    if uses_gateway(serverapp):
        serverapp.log.warning(
            "jupyter_remote_kernels: the server runs all kernels through a gateway"
            " (--gateway-url), which replaces our classes; remote environments are not offered."
        )
        return
    configured = serverapp.config.ServerApp
    if not any(name in configured for name in MANAGERS):
        for name, own in MANAGERS.items():
            setattr(serverapp, name, own)
    if CONNECTION not in configured:
        setattr(serverapp, CONNECTION, RemoteChannelsWebsocketConnection)


def uses_gateway(serverapp: ServerApp) -> bool:
    """Tell whether all kernels of this server go through a gateway."""
    url = serverapp.config.get("GatewayClient", {}).get("url")
    return bool(url or os.environ.get("JUPYTER_GATEWAY_URL"))


def check_classes(serverapp: ServerApp) -> bool:
    """Compare what the server really uses; called when the extension is loaded.

    Returns
    -------
    bool
        Whether remote environments can be offered.
    """
    if uses_gateway(serverapp):
        return False
    good = True
    wanted: dict[str, type[Any]] = {**MANAGERS, CONNECTION: RemoteChannelsWebsocketConnection}
    for name, own in wanted.items():
        used = getattr(serverapp, name)
        if not issubclass(used, own):
            missing = "remote environments are not offered"
            if name == CONNECTION:
                missing = "browsers get remote output more slowly"
            serverapp.log.warning(
                "jupyter_remote_kernels: ServerApp.%s is %s, not %s. Remove that setting, or"
                " make the class a subclass of ours. Until then %s.",
                name,
                f"{used.__module__}.{used.__qualname__}",
                f"{own.__module__}.{own.__qualname__}",
                missing,
            )
            good = good and name == CONNECTION
    return good
