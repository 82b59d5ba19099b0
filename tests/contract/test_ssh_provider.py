"""The provider of hosts over SSH keeps the contract, on a real sshd and on hosts of their own."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("jupyter_remote_kernels.testing.provider_contract")

import sys  # noqa: E402 - after the line above

from jupyter_remote_kernels.providers.processes import read_processes  # noqa: E402
from jupyter_remote_kernels.providers.ssh import SshProvider  # noqa: E402
from jupyter_remote_kernels.testing.provider_contract import ProviderContract  # noqa: E402


class TestOverLoopback(ProviderContract):
    @pytest.fixture(autouse=True)
    def _place(self, sshd):
        self.home = sshd.home
        self.options = {**sshd.options, "python": sys.executable}
        self.refused_options = {**self.options, "python": "/nowhere/python"}

    @pytest.fixture
    def provider(self):
        return SshProvider()

    def survivors(self, label):
        directory = self.home / ".cache" / "jupyter_remote_kernels" / label
        left = [str(directory)] if directory.exists() else []
        return [*left, *read_processes().members(label)]


class TestOnAnotherHost(TestOverLoopback):
    @pytest.fixture(autouse=True)
    def _place(self, hosts):
        self.home = hosts[0].home
        self.options = {**hosts[0].options, "python": sys.executable}
        self.refused_options = {**self.options, "cwd": "/nowhere"}
