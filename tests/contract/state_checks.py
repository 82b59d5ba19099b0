"""What a session can hold of Python itself: how it is made in one kernel and checked in another.

Names of one check are used by no other, so that all of them fit into one namespace, with those of
``library_checks.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One kind of state."""

    name: str
    make: str
    verify: str
    needs: tuple[str, ...] = ()
    # Names that are refused, each with a reason; nothing is verified then.
    refused: tuple[str, ...] = ()


PYTHON_CHECKS = [
    Check(
        "iterators",
        "it_zip = zip([1, 2], 'ab'); next(it_zip); it_list = iter([1, 2, 3]); next(it_list)\n"
        "it_enum = enumerate('xyz'); next(it_enum)",
        "assert list(it_zip) == [(2, 'b')] and list(it_list) == [2, 3]\n"
        "assert list(it_enum) == [(1, 'y'), (2, 'z')]",
    ),
    Check(
        "pattern",
        "import re\nre_p = re.compile(r'(\\w+)=(\\d+)', re.I)",
        "assert re_p.match('a=1').groups() == ('a', '1') and re_p.flags & 2",
    ),
    Check(
        "exception",
        "try:\n    {}['missing']\nexcept KeyError as error:\n    exc_e = error\n"
        "exc_o = OSError(2, 'gone', 'file')",
        "assert exc_e.args == ('missing',) and exc_o.errno == 2 and exc_o.filename == 'file'",
    ),
    Check("list alias", "al_x = [1, 2]; al_y = al_x", "assert al_x is al_y; al_x.append(3)"),
    Check(
        "same object in list and dict",
        "sh_o = {'n': 1}; sh_l = [sh_o, 2]; sh_d = {'o': sh_o}",
        "assert sh_l[0] is sh_o and sh_d['o'] is sh_o",
    ),
    Check(
        "same object as attribute and variable",
        "class AtHolder: pass\nat_data = [1]; at_h = AtHolder(); at_h.data = at_data",
        "assert at_h.data is at_data and type(at_h) is AtHolder",
    ),
    Check(
        "cycle",
        "cy_l = [1]; cy_l.append(cy_l); cy_d = {}; cy_d['self'] = {'up': cy_d}",
        "assert cy_l[1] is cy_l and cy_d['self']['up'] is cy_d",
    ),
    Check(
        "modules",
        "import json as mo_json, os.path as mo_path, xml.dom.minidom as mo_dom",
        "assert mo_json.dumps([1]) == '[1]' and mo_path.join('a', 'b') and mo_dom.parseString",
    ),
    Check(
        "subclass with super",
        "class SuBase:\n    def __init__(self, n): self.n = n\n"
        "class SuChild(SuBase):\n    def __init__(self, n): super().__init__(n * 2)\n"
        "su_c = SuChild(2)",
        "assert SuChild(3).n == 6 and isinstance(su_c, SuBase) and su_c.n == 4",
    ),
    Check(
        "async function",
        "async def as_f(n):\n    return n + 1\n",
        "assert await as_f(1) == 2",
    ),
    Check(
        "class and instance",
        "class ClThing:\n    made = 0\n    tags = ['a']\n"
        "    def grow(self): return self.made + 1\n"
        "cl_t = ClThing(); ClThing.made = 7; ClThing.tags.append('b')",
        "assert cl_t.made == 7 and type(cl_t) is ClThing and cl_t.grow() == 8\n"
        "ClThing.made = 9; assert cl_t.made == 9 and ClThing.tags == ['a', 'b']",
    ),
    Check(
        "recursive function",
        "def rf_fact(n): return 1 if n < 2 else n * rf_fact(n - 1)\n"
        "def rf_outer():\n    def inner(n): return 1 if n < 2 else n * inner(n - 1)\n"
        "    return inner\nrf_inner = rf_outer()",
        "assert rf_fact(5) == 120 and rf_inner(5) == 120",
    ),
    Check(
        "dataclass, enum, namedtuple",
        "import dataclasses, enum, collections\n@dataclasses.dataclass\nclass DcPoint:\n"
        "    x: int\n    tags: list = dataclasses.field(default_factory=list)\n"
        "class DcColor(enum.Enum):\n    RED = 1\n"
        "DcPair = collections.namedtuple('DcPair', 'a b')\n"
        "dc_p = DcPoint(3, ['t']); dc_c = DcColor.RED; dc_n = DcPair(1, 2)",
        "assert dc_p == DcPoint(3, ['t']) and DcPoint(4).tags == [] and dc_c is DcColor.RED\n"
        "import dataclasses; assert [f.name for f in dataclasses.fields(dc_p)] == ['x', 'tags']\n"
        "assert dc_n.b == 2 and type(dc_n) is DcPair and DcColor(1) is DcColor.RED",
    ),
    Check(
        "function and its list",
        "fl_log = []\ndef fl_make(log):\n    def add(x): log.append(x)\n    return add\n"
        "fl_add = fl_make(fl_log); fl_add(1)\ndef fl_default(x, log=fl_log): log.append(x)",
        "fl_add(2); fl_default(3); assert fl_log == [1, 2, 3]",
    ),
    Check(
        "closures sharing a nonlocal",
        "def nl_make():\n    n = 0\n    def inc():\n        nonlocal n\n        n += 1\n"
        "    def get(): return n\n    return inc, get\nnl_inc, nl_get = nl_make(); nl_inc()",
        "nl_inc(); assert nl_get() == 2",
    ),
    Check(
        "weakref",
        "import weakref\nclass WrThing: pass\nwr_t = WrThing(); wr_r = weakref.ref(wr_t)\n"
        "wr_v = weakref.WeakValueDictionary({'t': wr_t}); wr_s = weakref.WeakSet([wr_t])",
        "assert wr_r() is wr_t and wr_v['t'] is wr_t and wr_t in wr_s",
    ),
    Check(
        "function sees later globals",
        "gl_rate = 2\ndef gl_f(x): return x * gl_rate",
        "gl_rate = 5; assert gl_f(2) == 10",
    ),
    Check(
        "history",
        "41 + 1",
        "assert '41 + 1' in In and 42 in Out.values() and any(\n"
        "    v == '41 + 1' for k, v in list(globals().items()) if k.startswith('_i'))",
    ),
    Check("private names", "_pn_a = 1; __pn_b = [2]", "assert _pn_a == 1 and __pn_b == [2]"),
    Check(
        "held lock",
        "import threading\nlk_l = threading.Lock(); lk_l.acquire(); lk_free = threading.Lock()\n"
        "lk_r = threading.RLock(); lk_r.acquire(); lk_e = threading.Event(); lk_e.set()\n"
        "import queue; lk_q = queue.Queue(); lk_q.put(5)",
        "assert lk_l.locked() and not lk_free.locked(); lk_l.release(); lk_r.release()\n"
        "assert lk_e.is_set() and lk_q.get() == 5",
    ),
    Check(
        "lru_cache",
        "import functools\n@functools.lru_cache(maxsize=50)\n"
        "def lc_fib(n): return n if n < 2 else lc_fib(n - 1) + lc_fib(n - 2)\nlc_fib(10)",
        "assert lc_fib(30) == 832040 and lc_fib.cache_info().maxsize == 50",
    ),
    Check(
        "partial",
        "import functools\ndef pt_f(a, b): return a - b\npt_p = functools.partial(pt_f, 10)",
        "assert pt_p(3) == 7 and pt_p.func is pt_f",
    ),
    Check(
        "file open for reading",
        "import tempfile\nof_path = tempfile.mkstemp()[1]\n"
        "open(of_path, 'w').write('one\\ntwo\\n')\n"
        "of_f = open(of_path); of_f.readline(); of_b = open(of_path, 'rb'); of_b.read(2)",
        "assert of_f.readline() == 'two\\n' and of_b.read(1) == b'e'",
    ),
    Check(
        "module beside the notebook",
        "import sys, tempfile, pathlib\nmd_dir = tempfile.mkdtemp()\n"
        "pathlib.Path(md_dir, 'md_helper.py').write_text('class Thing:\\n    n = 3\\n')\n"
        "sys.path.insert(0, md_dir)\nimport md_helper\nmd_t = md_helper.Thing(); md_t.x = 1",
        "assert md_t.x == 1 and type(md_t) is md_helper.Thing",
    ),
    Check(
        "sqlite file",
        "import sqlite3, tempfile\nsq_path = tempfile.mkstemp()[1]\n"
        "sq_c = sqlite3.connect(sq_path); sq_c.execute('create table t (a)')\n"
        "sq_c.execute('insert into t values (5)'); sq_c.commit()",
        "assert sq_c.execute('select a from t').fetchall() == [(5,)]",
    ),
    Check(
        "match",
        "import re\nrm_m = re.search(r'(?P<k>\\w)=(\\d)', 'zz b=2')\n"
        "rm_l = list(re.finditer('o', 'oxo'))",
        "assert rm_m['k'] == 'b' and rm_m.span() == (3, 6) and rm_l[1].span() == (2, 3)",
    ),
    Check(
        "context variable",
        "import contextvars\ncv_v = contextvars.ContextVar('cv_v', default=1); cv_v.set(5);",
        "assert cv_v.get() == 5 and cv_v.name == 'cv_v'",
    ),
    Check(
        "generator midway",
        "gn_g = (i for i in range(3)); next(gn_g)",
        "",
        refused=("gn_g",),
    ),
    Check(
        "sqlite cursor midway",
        "import sqlite3\nsc_c = sqlite3.connect(':memory:'); sc_c.execute('create table t (a)')\n"
        "sc_c.executemany('insert into t values (?)', [(1,), (2,)]); sc_c.commit()\n"
        "sc_cur = sc_c.execute('select a from t'); sc_cur.fetchone()",
        "",
        refused=("sc_cur",),
    ),
    Check(
        "mmap",
        "import mmap, tempfile\nmm_path = tempfile.mkstemp()[1]\n"
        "open(mm_path, 'wb').write(b'abcdef' * 1000)\n"
        "mm_open = open(mm_path, 'r+b')\n"
        "mm_file = mmap.mmap(mm_open.fileno(), 0); mm_file.seek(3)\n"
        "mm_mem = mmap.mmap(-1, 100); mm_mem[:3] = b'xyz'",
        "assert mm_file.read(3) == b'def' and mm_mem[:3] == b'xyz'\n"
        "mm_file[:1] = b'Z'; mm_file.flush(); assert open(mm_path, 'rb').read(1) == b'Z'",
    ),
    Check(
        "ctypes array",
        "import ctypes\nct_a = (ctypes.c_int * 3)(1, 2, 3)\n"
        "class CtPoint(ctypes.Structure):\n    _fields_ = [('x', ctypes.c_int)]\n"
        "ct_p = CtPoint(4)",
        "assert list(ct_a) == [1, 2, 3] and ct_p.x == 4 and type(ct_p) is CtPoint",
    ),
    Check(
        "TypeVar and NewType",
        "import typing\nTvT = typing.TypeVar('TvT', bound=int); TvId = typing.NewType('TvId', int)",
        "assert TvT.__bound__ is int and TvId(5) == 5 and TvId.__supertype__ is int",
    ),
    Check(
        "listening socket",
        "import socket\nls_s = socket.socket(); ls_s.bind(('127.0.0.1', 0)); ls_s.listen()",
        "",
        refused=("ls_s",),
    ),
    Check(
        "execution count",
        "ec_before = get_ipython().execution_count",
        "assert get_ipython().execution_count > ec_before",
    ),
    Check(
        "state of a module",
        "import sys, tempfile, pathlib\nms_dir = tempfile.mkdtemp()\n"
        "pathlib.Path(ms_dir, 'ms_counter.py').write_text('count = 0\\nseen = []\\n')\n"
        "sys.path.insert(0, ms_dir)\nimport ms_counter\n"
        "ms_counter.count = 5; ms_counter.seen.append('x'); ms_seen = ms_counter.seen",
        "import ms_counter\nassert ms_counter.count == 5 and ms_counter.seen == ['x']\n"
        "assert ms_seen is ms_counter.seen",
    ),
    Check(
        "running thread",
        "import threading\nrt_stop = threading.Event()\n"
        "rt_t = threading.Thread(target=rt_stop.wait, daemon=True); rt_t.start()",
        "",
        refused=("rt_t",),
    ),
    Check(
        "asyncio task",
        "import asyncio\nat_task = asyncio.ensure_future(asyncio.sleep(1000))",
        "",
        refused=("at_task",),
    ),
    Check(
        "file open for writing",
        "import tempfile\nfw_path = tempfile.mkstemp()[1]\nfw_f = open(fw_path, 'w')\n"
        "fw_f.write('abc')",
        "fw_f.write('def'); fw_f.flush(); assert open(fw_path).read() == 'abcdef'",
    ),
    Check(
        "working directory",
        "import os, tempfile\nwd_path = tempfile.mkdtemp(); os.chdir(wd_path)",
        "import os\nassert os.path.samefile(os.getcwd(), wd_path)",
    ),
    Check(
        "environment variables",
        "import os\nos.environ['EV_SET'] = 'yes'; os.environ.pop('EV_GONE', None)",
        "import os\nassert os.environ['EV_SET'] == 'yes' and 'EV_GONE' not in os.environ",
    ),
    Check(
        "sys.path",
        "import sys, tempfile\nsy_dir = tempfile.mkdtemp(); sys.path.insert(1, sy_dir)",
        "import sys\nassert sy_dir in sys.path[:8]",
    ),
    Check(
        "random state",
        "import random\nrandom.seed(3); random.random(); rs_state = random.getstate()\n"
        "rs_next = random.random(); random.setstate(rs_state)",
        "import random\nassert random.random() == rs_next",
    ),
    Check(
        "warnings filters",
        "import warnings\nclass WfWarning(UserWarning): pass\n"
        "warnings.filterwarnings('error', category=WfWarning)",
        "import warnings\ntry:\n    warnings.warn('x', WfWarning)\n    raise SystemExit\n"
        "except WfWarning:\n    pass",
    ),
    Check(
        "extensions",
        "%load_ext autoreload\n%autoreload 2",
        "magics = get_ipython().magics_manager.registry['AutoreloadMagics']\n"
        "assert magics._reloader.enabled and magics._reloader.check_all",
    ),
    Check(
        "logging handlers",
        "import logging, tempfile\nlh_path = tempfile.mkstemp()[1]\n"
        "lh_log = logging.getLogger('lh.app'); lh_log.setLevel('INFO')\n"
        "lh_h = logging.FileHandler(lh_path, mode='w')\n"
        "lh_h.setFormatter(logging.Formatter('%(message)s!')); lh_log.addHandler(lh_h)\n"
        "lh_log.info('one')",
        "assert lh_log.handlers == [lh_h] and lh_log.level == 20; lh_log.info('two')\n"
        "assert open(lh_path).read() == 'one!\\ntwo!\\n'",
    ),
    Check(
        "deep nesting",
        "dn_l = []\nfor _ in range(3000): dn_l = [dn_l]\n"
        "class DnNode:\n    next = None\ndn_head = None\n"
        "for dn_i in range(3000):\n    dn_node = DnNode(); dn_node.next = dn_head\n"
        "    dn_head = dn_node\n",
        "depth = 0; walk = dn_l\nwhile walk: walk = walk[0]; depth += 1\nassert depth == 3000\n"
        "length = 0; walk = dn_head\nwhile walk is not None: walk = walk.next; length += 1\n"
        "assert length == 3000",
    ),
    Check(
        "line magic",
        "from IPython.core.magic import register_line_magic\n@register_line_magic\n"
        "def lm_double(line): return int(line) * 2\n",
        "assert get_ipython().run_line_magic('lm_double', '4') == 8",
    ),
    Check(
        "patched module",
        "import json\nmp_old = json.dumps\ndef mp_dumps(value, **kw): return 'patched'\n"
        "json.mp_dumps = mp_dumps\nimport fractions\n"
        "def mp_half(self): return self / 2\nfractions.Fraction.half = mp_half",
        "import json, fractions\nassert json.mp_dumps(1) == 'patched'\n"
        "assert json.mp_dumps is mp_dumps\n"
        "assert fractions.Fraction(1, 2).half() == fractions.Fraction(1, 4)",
    ),
    Check(
        "child process",
        "import subprocess\nch_p = subprocess.Popen(['sleep', '1000'])",
        "",
        refused=("ch_p",),
    ),
]

# How a source kernel is left clean: what a check has started ends with it.
CLEAN_UP = "ch_p.kill(); ch_p.wait(); rt_stop.set(); at_task.cancel()"
