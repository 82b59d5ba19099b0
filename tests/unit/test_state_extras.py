"""What a kernel holds beside its variables: how it is looked for."""

from __future__ import annotations

import os

from jupyter_remote_kernels.state.extras import _make_resolve


def test_folders_are_resolved_as_the_system_does(tmp_path, monkeypatch):
    deep = tmp_path / "real" / "deep" / "deeper"
    deep.mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "circle").symlink_to("circle")
    monkeypatch.chdir(tmp_path / "link")
    resolve = _make_resolve()
    for folder in (
        str(deep),
        str(tmp_path / "link" / "deep" / "deeper"),
        str(tmp_path / "link" / ".." / "link" / "deep"),
        str(tmp_path / "real" / "circle" / "x"),
        str(tmp_path / "nobody" / "there"),
        "deep/deeper",
        "deep/",
        "./deep",
        "..",
        "",
        "/",
    ):
        assert resolve(folder) == os.path.realpath(folder), folder
