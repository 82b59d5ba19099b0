"""R kernels: values go to Python and back, what cannot go is named, sessions go from R to R."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.protocol.state_stream import encode_json
from tests.contract import r_values
from tests.contract.local_kernels import Kernels
from tests.contract.state_kernel import read_report
from tests.engines.tools import give_up

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def kernels():
    if "ir" not in KernelSpecManager().find_kernel_specs():
        give_up("missing: apt-get install r-cran-irkernel")
    with Kernels() as started:
        yield started


@pytest.fixture(scope="module")
def r_kernel(kernels):
    return kernels.start("ir")


@pytest.fixture(scope="module")
def other_r(kernels):
    return kernels.start("ir")


@pytest.fixture(scope="module")
def python(kernels):
    return kernels.start("python3")


@pytest.fixture(autouse=True)
def _clean(r_kernel, other_r, python):
    python.run("%reset -f")
    for kernel in (r_kernel, other_r):
        kernel.run("rm(list = ls(all.names = TRUE))")


def read_reasons(report):
    return {entry["name"]: entry["reason"] for entry in report["lost"]}


def test_from_r_to_python(kernels, r_kernel, python):
    r_kernel.run(r_values.IN_R + r_values.REFUSED_BY_R)
    report, stream = kernels.move(r_kernel, python)
    assert read_reasons(report) == r_values.REFUSED_REASONS
    python.run(r_values.HOLD_IN_PYTHON)
    told = read_report(stream)
    assert told["frame"]["type"] == "data.frame"
    assert told["long"]["size_bytes"] == 8 * 300_000
    assert {told[name]["status"] for name in r_values.REFUSED_REASONS} == {"refused"}
    assert r_kernel.run("cat(exists('chunk'), exists('describe'))") == "FALSE FALSE"


def test_from_python_to_r(kernels, r_kernel, python):
    python.run(r_values.IN_PYTHON + r_values.REFUSED_BY_PYTHON)
    report, _ = kernels.move(python, r_kernel)
    modules = {"D", "np", "pd", "zoneinfo"}
    reasons = read_reasons(report)
    assert modules <= reasons.keys()
    assert {n: r for n, r in reasons.items() if n not in modules} == r_values.PYTHON_REASONS
    r_kernel.run(r_values.HOLD_IN_R)


def test_there_and_back(kernels, r_kernel, other_r, python):
    r_kernel.run(r_values.IN_R)
    kernels.move(r_kernel, python)
    python.run("del frame")
    report, _ = kernels.move(python, other_r)
    assert report["lost"] == []
    # And straight, to compare with.
    kernels.move(r_kernel, other_r, on_conflict="rename")
    assert int(other_r.run("cat(length(grep('_1$', ls())))")) > 20
    different = (
        "for (n in sub('_1$', '', grep('_1$', ls(), value = TRUE))) "
        "if (!isTRUE(all.equal(get(n), get(paste0(n, '_1'))))) cat(n, '')"
    )
    # Two minutes have become 120 seconds.
    assert other_r.run(different) == "span "
    other_r.run("stopifnot(as.numeric(span, 'secs') == as.numeric(span_1, 'secs'))")


def test_between_r_kernels_everything_r_has(kernels, r_kernel, other_r):
    r_kernel.run(
        "counter <- function() { n <- 0; list(up = function() n <<- n + 1, read = function() n) }\n"
        "both <- counter(); both$up(); up <- both$up\n"
        "fit <- lm(mpg ~ wt, mtcars); setClass('P', representation(x = 'numeric'))\n"
        "p <- new('P', x = 1); scale <- 3; scaled <- function(n) n * scale\n"
        "con <- file('/dev/null', 'r')"
    )
    report, _ = kernels.move(r_kernel, other_r)
    assert read_reasons(report) == {"con": "an open connection cannot be moved"}
    other_r.run(
        "up(); stopifnot(both$read() == 2, all.equal(unname(coef(fit))[2], -5.344472, "
        "tolerance = 1e-6), p@x == 1, scaled(2) == 6); scale <- 1; stopifnot(scaled(2) == 2)"
    )


def test_a_whole_session_comes_back(kernels, r_kernel, other_r, tmp_path):
    r_kernel.run(
        f"setwd('{tmp_path}'); library(splines); set.seed(3); x <- 1; first <- runif(1); .h <- 2"
    )

    async def carry():
        async def body():
            yield encode_json({"op": "restore", "names": None})
            command = encode_json({"op": "capture", "names": None, "hash": "none"})
            async for piece in r_kernel.calls.capture(command):
                yield bytes(piece)

        return await other_r.calls.restore(body())

    assert kernels.ask(carry())["lost"] == []
    expected = r_kernel.run("cat(getwd(), 'package:splines' %in% search(), x, runif(1))")
    assert other_r.run("cat(getwd(), 'package:splines' %in% search(), x, runif(1))") == expected
    assert Path(expected.split()[0]) == tmp_path


def test_conflicts(kernels, r_kernel, python):
    python.run("a = 'new'; b = 'new'")
    r_kernel.run("a <- 'own'")
    with pytest.raises(RemoteKernelsError) as refused:
        kernels.move(python, r_kernel, on_conflict="refuse")
    assert refused.value.reason == "name_conflict"
    assert r_kernel.run("cat(a, exists('b'))") == "own FALSE"
    assert kernels.move(python, r_kernel, on_conflict="keep")[0]["kept"] == ["a"]
    assert kernels.move(python, r_kernel, ["a"], "rename")[0]["renamed"] == {"a": "a_1"}
    assert r_kernel.run("cat(a, a_1, b)") == "own new new"
    assert kernels.move(python, r_kernel, ["a"])[0]["restored"] == ["a"]
    assert r_kernel.run("cat(a)") == "new"


def test_what_is_listed(kernels, r_kernel):
    r_kernel.run("x <- 1:3; f <- function() 1; con <- file('/dev/null', 'r')")
    listed = kernels.ask(r_kernel.calls.variables())
    told = {entry["name"]: (entry["type"], entry["status"]) for entry in listed["variables"]}
    assert told == {
        "x": ("integer", "carried"),
        "f": ("function", "carried"),
        "con": ("file", "refused"),
    }
    assert listed["variables"][-1]["preview"] == "1 2 3"
    missing = kernels.ask(r_kernel.calls.plan(["nobody"]))["variables"][0]
    assert missing["reason"] == "there is no such variable"


def test_who_goes_away_leaves_all_as_it_was(kernels, r_kernel, other_r):
    r_kernel.run("x <- rnorm(4e6); small <- 1")
    other_r.run("x <- 'own'")

    async def break_off():
        stream = r_kernel.calls.capture(encode_json({"op": "capture", "names": ["x", "small"]}))
        pieces = [bytes(await anext(stream))]

        async def body():
            yield encode_json({"op": "restore", "names": ["small", "x"]})
            yield pieces[0]
            raise ConnectionError("the source has gone")

        with contextlib.suppress(ConnectionError):
            await other_r.calls.restore(body())
        await stream.aclose()

    kernels.ask(break_off())
    assert r_kernel.run("cat(length(x), small)") == "4000000 1"
    assert other_r.run("cat(x, exists('small'))") == "own FALSE"


def test_one_that_dies_says_so(kernels, python):
    mortal = kernels.start("ir")
    mortal.run("x <- 1")

    async def kill():
        async def body():
            yield encode_json({"op": "restore", "names": None})
            os.kill(mortal.pid, signal.SIGKILL)
            while True:
                yield bytes(1 << 16)
                await asyncio.sleep(0)

        with pytest.raises(RemoteKernelsError) as error:
            await mortal.calls.restore(body())
        return error.value.reason

    assert kernels.ask(kill()) == "kernel_died"
