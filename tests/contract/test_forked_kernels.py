"""A forked kernel behaves as a spawned one: every test runs against both."""

from __future__ import annotations

import os
import queue
import signal
import time

import psutil
import pytest

from jupyter_remote_kernels.providers.processes import is_alive, look_at
from tests.contract.job_kernels import is_forked, nursery_provider, start_kernel, until

# Everything in which a process can differ from another, as far as Python can tell.
DESCRIBE = """
import os
def find_files():
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue  # the listing itself
        # For a moment SQLite also opens the directory in which the history lies.
        is_history = "sqlite" in target or target.endswith("profile_default")
        if not target.startswith(("socket:", "anon_inode:", "pipe:")) and not is_history:
            yield [number if int(number) < 3 else "", os.path.basename(target)]

def describe():
    import locale, resource, signal, sys, threading
    names = [item for item in signal.Signals if item not in (9, 19)]
    status = open("/proc/self/status").read().splitlines()
    with open("/proc/self/cmdline", "rb") as file:
        command = file.read().rstrip(b"\\0").decode().split("\\0")
    hidden = ("JPY_PARENT_PID", "JUPYTER_REMOTE_KERNELS_LABEL")
    return {
        "environ": {name: os.environ[name] for name in os.environ if name not in hidden},
        "path": sys.path,
        "arguments": [len(sys.argv), os.path.basename(sys.argv[0]), sys.argv[1]],
        "original": [part for part in sys.orig_argv if "json" not in part],
        "command": [part for part in command if "json" not in part],
        "executable": [sys.executable, sys.prefix, sys.base_prefix],
        "flags": [repr(sys.flags), repr(sys._xoptions), sys.warnoptions],
        "main": [__name__, sorted(name for name in globals() if name.startswith("__"))],
        "handlers": {item.name: str(signal.getsignal(item)).split(" at ")[0] for item in names},
        "masks": [line for line in status if line.startswith(("SigB", "SigI", "SigC"))],
        "umask": [line for line in status if line.startswith("Umask")],
        "limits": [resource.getrlimit(number) for number in range(16)],
        "nice": os.nice(0),
        "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
        "parent": os.environ["JPY_PARENT_PID"] == str(os.getppid()),
        "threads": sorted(thread.name.split("-")[0] for thread in threading.enumerate()),
        "files": sorted(find_files()),
        "streams": [type(sys.stdin).__name__, type(sys.stdout).__name__, sys.stdout.encoding],
        "locale": [locale.setlocale(locale.LC_ALL), sys.getfilesystemencoding()],
        "cwd": os.getcwd(),
    }
result = describe()
"""
BREAKPOINT_CELL = "first = 1\nsecond = 2\nthird = 3"


@pytest.fixture(scope="module")
def provider():
    with nursery_provider() as made:
        yield made


@pytest.fixture(params=["spawned", "forked"])
def make_kernel(request, provider):
    made = []

    def make(**options):
        kernel = start_kernel(provider, fork=request.param == "forked", **options)
        made.append(kernel)
        assert is_forked(provider, kernel.agent_pid) == (request.param == "forked")
        return kernel.connect()

    yield make
    for kernel in made:
        kernel.stop()


@pytest.fixture
def kernel(make_kernel):
    return make_kernel()


def test_processes_look_the_same_from_inside(provider, tmp_path):
    found = []
    for fork in (False, True):
        kernel = start_kernel(provider, fork=fork, cwd=str(tmp_path), env={"OURS": "yes"})
        try:
            found.append(kernel.connect().value(DESCRIBE))
        finally:
            kernel.stop()
    spawned, forked = found
    assert forked == spawned
    assert spawned["environ"]["OURS"] == "yes"
    assert spawned["cwd"] == str(tmp_path)


def test_the_code_of_the_state_is_there_from_birth(provider):
    kernel = start_kernel(provider, fork=True)
    try:
        found = kernel.connect().value("import sys; result = sorted(sys.modules)")
        assert {"_jrk_state", "_jrk_state.entry", "_jrk_state.tensors"} <= set(found)
        # What depends on the user's own packages is not decided before he can choose them.
        assert not {"cloudpickle", "numpy", "xxhash"} & set(found)
    finally:
        kernel.stop()


def test_the_table_of_open_files_need_not_grow(provider):
    kernel = start_kernel(provider, fork=True)
    try:
        status = kernel.connect().value("result = open('/proc/self/status').read()")
        assert int(status.partition("FDSize:")[2].split()[0]) >= 256
    finally:
        kernel.stop()


@pytest.mark.parametrize("cell", ["while True: pass", "import time; time.sleep(60)"])
@pytest.mark.parametrize("way", ["signal", "message"])
def test_interrupt(kernel, cell, way):
    message = run_until_interrupted(kernel.client, cell)
    started_s = time.monotonic()
    if way == "signal":
        kernel.act("interrupt")
    else:
        request = kernel.client.session.msg("interrupt_request", {})
        kernel.client.control_channel.send(request)
    assert read_reply(kernel.client, message)["ename"] == "KeyboardInterrupt"
    assert time.monotonic() - started_s < 2
    assert kernel.value("result = 1 + 1") == 2


def run_until_interrupted(client, cell):
    """Start a cell; returns when it runs, not when the kernel is about to run it."""
    message = client.execute(f"print('running', flush=True)\n{cell}", stop_on_error=False)
    while True:
        got = client.get_iopub_msg(timeout=10)
        if got["parent_header"].get("msg_id") == message and got["msg_type"] == "stream":
            time.sleep(0.1)  # until it has left the printing, which swallows an interrupt
            return message


def read_reply(client, message):
    """Return the content of a reply; those to earlier questions may come late."""
    while True:
        reply = client.get_shell_msg(timeout=10)
        if reply["parent_header"]["msg_id"] == message:
            return reply["content"]


def test_interrupt_reaches_its_children(kernel):
    cell = "import subprocess; subprocess.run(['sleep', '60'])"
    message = run_until_interrupted(kernel.client, cell)
    pid = kernel.kernel_pid
    until(lambda: psutil.Process(pid).children())
    (child,) = psutil.Process(pid).children()
    kernel.act("interrupt")
    assert read_reply(kernel.client, message)["status"] == "error"
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_death_by_a_signal_is_explained(kernel, signum):
    os.kill(kernel.kernel_pid, signum)
    until(lambda: kernel.ask("remote-kernels/status")["exit"])
    assert kernel.ask("remote-kernels/status")["exit"]["signal"] == signum


def test_exit_code_is_told(kernel):
    kernel.client.execute("import os; os._exit(3)")
    until(lambda: kernel.ask("remote-kernels/status")["exit"])
    assert kernel.ask("remote-kernels/status")["exit"]["code"] == 3


def test_shutdown_runs_what_is_registered_for_the_end(kernel, tmp_path):
    path = tmp_path / "end"
    kernel.run(f"import atexit, pathlib; atexit.register(pathlib.Path({str(path)!r}).touch)")
    kernel.client.shutdown()
    until(lambda: kernel.ask("remote-kernels/status")["exit"])
    assert kernel.ask("remote-kernels/status")["exit"]["code"] == 0
    assert path.exists()


def test_restart(kernel):
    before = kernel.value("import os; result = os.getpid()")
    kernel.act("restart")
    kernel.connect(generation=2)
    assert kernel.value("import os; result = os.getpid()") != before
    assert "before" not in kernel.value("result = sorted(globals())")
    message = run_until_interrupted(kernel.client, "import time; time.sleep(60)")
    kernel.act("interrupt")
    assert read_reply(kernel.client, message)["ename"] == "KeyboardInterrupt"


def test_kernel_ends_with_its_agent(kernel):
    pid = kernel.kernel_pid
    identity = look_at(pid).identity
    os.kill(kernel.agent_pid, signal.SIGKILL)
    until(lambda: not is_alive(pid, identity))


def test_environment_variables_and_directory(make_kernel, tmp_path):
    kernel = make_kernel(env={"GREETING": "héllo wörld", "EMPTY": ""}, cwd=str(tmp_path))
    code = "import os; result = [os.environ[n] for n in ('GREETING', 'EMPTY')] + [os.getcwd()]"
    assert kernel.value(code) == ["héllo wörld", "", str(tmp_path)]
    # The C library has them too, and so has every child.
    code = "import subprocess; result = subprocess.check_output('echo $GREETING; pwd', shell=True)"
    assert kernel.value(code + ".decode()").split("\n")[:2] == ["héllo wörld", str(tmp_path)]


def test_modules_of_the_working_directory_can_be_imported(make_kernel, tmp_path):
    (tmp_path / "helper.py").write_text("value = 42\n")
    kernel = make_kernel(cwd=str(tmp_path))
    assert kernel.value("import helper; result = helper.value") == 42


def test_numpy_uses_its_threads(kernel):
    code = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "2"
before = len(os.listdir("/proc/self/task"))
import numpy
square = numpy.ones((400, 400))
total = float((square @ square).sum())
result = [total, len(os.listdir("/proc/self/task")) - before]
"""
    total, threads = kernel.value(code)
    assert total == 400.0**3
    assert threads == min(2, os.cpu_count()) - 1


def test_matplotlib_draws_into_the_notebook(kernel):
    _, outputs = kernel.run("import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()")
    images = [each for each in outputs if each["msg_type"] == "display_data"]
    assert "image/png" in images[0]["content"]["data"]
    backend = kernel.value("import matplotlib; result = matplotlib.get_backend()")
    assert backend in ("inline", "module://matplotlib_inline.backend_inline")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(kernel, method):
    code = f"""
import math, multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
with multiprocessing.get_context({method!r}).Pool(2) as pool:
    result = pool.map(math.sqrt, [1, 4, 9])
"""
    assert kernel.value(code) == [1, 2, 3]


def test_a_process_pool_and_threads(kernel):
    code = """
import concurrent.futures, math
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    result = list(pool.map(math.sqrt, [1, 4]))
"""
    assert kernel.value(code) == [1, 2]


def test_subprocesses(kernel):
    code = """
import subprocess, sys
done = subprocess.run([sys.executable, "-c", "import sys; sys.exit(7)"])
piped = subprocess.run(["cat"], input=b"through", stdout=subprocess.PIPE)
result = [done.returncode, piped.stdout.decode()]
"""
    assert kernel.value(code) == [7, "through"]
    _, outputs = kernel.run("!echo from a shell")
    assert "from a shell" in "".join(each["content"].get("text", "") for each in outputs)


def test_output_of_children_is_caught(kernel):
    kernel.client.execute("import os; os.write(1, b'low level\\n'); os.system('echo child')")
    text = ""
    while "low level" not in text or "child" not in text:
        text += kernel.client.get_iopub_msg(timeout=20)["content"].get("text", "")


def test_input(kernel):
    prompts = []

    def answer(message):
        prompts.append(message["content"]["prompt"])
        kernel.client.input("Ada")

    kernel.client.execute_interactive(
        "name = input('Who? ')", timeout=20, allow_stdin=True, stdin_hook=answer
    )
    assert prompts == ["Who? "]
    assert kernel.value("result = name") == "Ada"


def test_two_kernels_draw_different_random_numbers(make_kernel):
    code = """
import multiprocessing, numpy, os, random, secrets, tempfile, uuid
key = bytes(multiprocessing.current_process().authkey).hex()
result = [random.random(), float(numpy.random.rand()), secrets.token_hex(), str(uuid.uuid4()),
          next(tempfile._get_candidate_names()), os.urandom(8).hex(), key]
"""
    first, second = (make_kernel().value(code) for _ in range(2))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_history_and_completion(kernel):
    kernel.run("remembered = [1]")
    completions = kernel.client.complete("remembe", reply=True, timeout=20)
    assert "remembered" in completions["content"]["matches"]
    inspected = kernel.client.inspect("remembered", reply=True, timeout=20)
    assert "list" in inspected["content"]["data"]["text/plain"]
    assert kernel.value("result = In[1]") == "remembered = [1]"


def test_asyncio_at_top_level(kernel):
    kernel.run("import asyncio")
    assert kernel.value("result = await asyncio.sleep(0.01, 'done')") == "done"


def test_agent_needs_little_memory(kernel, provider):
    kernel.run("1 + 1")
    megabytes = psutil.Process(kernel.agent_pid).memory_full_info().pss / 1e6
    assert megabytes < (25 if is_forked(provider, kernel.agent_pid) else 45)


def test_debugger_stops_at_a_breakpoint(kernel):
    client = kernel.client
    assert debug(client, "initialize", {"clientID": "t", "adapterID": ""})["success"]
    assert debug(client, "attach", {})["success"]
    source = debug(client, "dumpCell", {"code": BREAKPOINT_CELL})["body"]["sourcePath"]
    arguments = {"source": {"path": source}, "breakpoints": [{"line": 2}], "sourceModified": False}
    assert debug(client, "setBreakpoints", arguments)["body"]["breakpoints"][0]["verified"]
    assert debug(client, "configurationDone", {})["success"]
    client.execute(BREAKPOINT_CELL)
    stopped = wait_debug_event(client, "stopped")
    assert stopped["body"]["reason"] == "breakpoint"
    frames = debug(client, "stackTrace", {"threadId": stopped["body"]["threadId"]})
    assert frames["body"]["stackFrames"][0]["line"] == 2
    assert debug(client, "continue", {"threadId": stopped["body"]["threadId"]})["success"]
    assert client.get_shell_msg(timeout=20)["content"]["status"] == "ok"
    assert kernel.value("result = third") == 3


def debug(client, command, arguments):
    debug.sequence += 1
    content = {
        "type": "request",
        "seq": debug.sequence,
        "command": command,
        "arguments": arguments,
    }
    request = client.session.msg("debug_request", content)
    client.control_channel.send(request)
    while True:
        reply = client.get_control_msg(timeout=20)
        if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
            return reply["content"]


debug.sequence = 0


def wait_debug_event(client, name):
    while True:
        try:
            message = client.get_iopub_msg(timeout=20)
        except queue.Empty:
            raise AssertionError(f"no event {name!r}") from None
        if message["msg_type"] == "debug_event" and message["content"]["event"] == name:
            return message["content"]
