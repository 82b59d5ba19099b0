"""The agent: one process beside one kernel.

What lives here: the kernel process, its messages, its limits and its lease, served over HTTP
and one websocket. It runs on Python 3.9 with what ``ipykernel`` brings (tornado, pyzmq,
psutil) and starts the kernel before it imports anything heavy.
What never does: the control plane's storage, jupyter_server, anything that executes what a
stranger says.
"""
