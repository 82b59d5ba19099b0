"""The link: bytes between this process and an agent, and the bridge that speaks ZMQ locally.

What lives here: the agent's client, the link that keeps it connected, the five local sockets
of a kernel and the stand-in that answers on them while no kernel can.
What never does: engines, HTTP routes, the registry.
"""
