"""The command line: ``jupyter remote-kernels``.

What lives here: subcommands that read arguments, print tables and ask.
What never does: decisions; the work is done below.
"""
