"""The command line: ``jupyter remote-kernels``. It prints and asks; the work is done below."""
