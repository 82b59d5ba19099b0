"""A pytest plugin that puts our multi kernel manager in place of jupyter_client's.

It is imported before collection, so the tests' own imports find our class under the old name.
"""

from __future__ import annotations

import jupyter_client
import jupyter_client.multikernelmanager as upstream

from jupyter_remote_kernels.jupyter.kernel_manager import RemoteMultiKernelManager

setattr(upstream, "AsyncMultiKernelManager", RemoteMultiKernelManager)  # noqa: B010 - a type checker refuses the plain assignment
setattr(jupyter_client, "AsyncMultiKernelManager", RemoteMultiKernelManager)  # noqa: B010 - as above
