"""Fixtures of the fault tests."""

from __future__ import annotations

import pytest

from tests.faults.support import Home


@pytest.fixture
def home(tmp_path):
    """A home of its own; no test may leave anything of ours in it."""
    made = Home(tmp_path / "home")
    yield made
    assert made.leftovers() == {}
