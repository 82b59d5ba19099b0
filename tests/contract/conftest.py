"""Fixtures of the contract tests: the engines that providers run on."""

from tests.engines.fixtures import *  # noqa: F403 - fixtures are found by their names
