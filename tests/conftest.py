"""What all tests share: a process that can be interrupted, however it was started."""

from __future__ import annotations

import signal


def pytest_configure():
    """Undo what a shell or ``nohup`` has ignored: every program that a test starts inherits it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
