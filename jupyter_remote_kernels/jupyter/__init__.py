"""Jupyter's hooks and HTTP: the only place that knows jupyter_server.

What lives here: the server extension, its configuration, handlers and events, the kernel
provisioner, the managers' subclasses, kernelspecs. They translate and decide nothing.
What never does: engines, the life cycle.
"""
