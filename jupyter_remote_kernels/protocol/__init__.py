"""Wire formats shared by link and agent: sans-I/O, Python 3.9, standard library only.

What lives here: websocket framing, message signatures, message building, what the agent is
told at its start and what it reports. What never does: sockets, files, asyncio.
"""
