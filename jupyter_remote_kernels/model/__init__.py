"""Pure data and decisions: phases, environments, records.

What lives here: dataclasses, enums and functions without I/O, importable on Python 3.9.
What never does: sockets, files, asyncio, names of engines.
"""
