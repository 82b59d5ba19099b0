"""Cells for several versions of Python, and what has to be true in any other version."""

from __future__ import annotations

# Cell -> expressions that are true in a kernel of another version.
FUNCTIONS = """
import contextlib, functools, math
scale = 3
def plain(n, *, times=2):
    "doc"
    return n * scale * times
square = lambda n: n * n
pair = [lambda n: n + 1, lambda n: n - 1, lambda n: n + 1]
def outer(a):
    total = a
    def up(by=1):
        nonlocal total
        total += by
        return total
    return up, lambda: total
up, read = outer(10)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
def gen(n): yield from (i * i for i in range(n))
def comp(n): return [[x * y for x in range(n)] for y in range(n)], {k: (lambda: k)() for k in [n]}
async def later(x): return x + 1
@contextlib.contextmanager
def managed(x): yield x + 1
@functools.lru_cache(maxsize=None)
def cached(n): return n + 100
def decorate(f):
    @functools.wraps(f)
    def wrapper(*a): return ("decorated", f(*a))
    return wrapper
@decorate
def decorated(a): return a
part = functools.partial(plain, times=5)
"""
FUNCTIONS_HOLD = """
assert plain(2) == 12 and plain.__doc__ == "doc"
scale = 1; assert plain(2) == 4; scale = 3
assert square(4) == 16 and [f(5) for f in pair] == [6, 4, 6]
assert up() == 11 and read() == 11
assert fib(10) == 55 and list(gen(4)) == [0, 1, 4, 9]
assert comp(2) == ([[0, 0], [0, 1]], {2: 2})
try:
    later(1).send(None)
except StopIteration as end:
    assert end.value == 2
with managed(1) as entered:
    assert entered == 2
assert cached(1) == 101 and decorated(1) == ("decorated", 1)
assert decorated.__name__ == "decorated" and part(1) == 15
import inspect; assert "nonlocal total" in inspect.getsource(up)
"""
CLASSES = """
import abc, collections, dataclasses, enum, functools, math, typing
class Base:
    count = 0
    def __init__(self, name): self.name = name; self.__private = 1
    def hello(self): return "base " + self.name
    @property
    def loud(self): return self.name.upper()
    @staticmethod
    def twice(x): return 2 * x
    @classmethod
    def make(cls): return cls("made")
    @functools.cached_property
    def length(self): return len(self.name)
    def secret(self): return self.__private
class Child(Base):
    def hello(self): return super().hello() + "/child"
Base.count = 7
child = Child("kid")
class Slots:
    __slots__ = ("a", "b")
    def __init__(self): self.a = 1
slots = Slots()
class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...
class Square(Shape):
    def __init__(self, side): self.side = side
    def area(self): return self.side ** 2
T = typing.TypeVar("T")
class Stack(typing.Generic[T]):
    def __init__(self): self.items = []
    def push(self, x: T) -> None: self.items.append(x)
stack = Stack(); stack.push(4)
@dataclasses.dataclass
class Point:
    x: int
    y: int = 2
    tags: list = dataclasses.field(default_factory=list)
    def norm(self): return math.hypot(self.x, self.y)
point = Point(3, 4, ["a"])
@dataclasses.dataclass(frozen=True, order=True)
class Fixed:
    a: int
    b: str = "b"
fixed = Fixed(1)
@dataclasses.dataclass
class Sub(Point):
    z: float = 0.5
@dataclasses.dataclass
class Slim:
    __slots__ = ("u", "w")
    u: int
    w: int
slim = Slim(1, 2)
class Color(enum.Enum):
    RED = 1
    GREEN = "g"
    def shout(self): return self.name + "!"
class Flag(enum.IntFlag):
    A = 1
    B = 2
color, flags = Color.GREEN, Flag.A | Flag.B
Pair = collections.namedtuple("Pair", "x y", defaults=[5])
pair = Pair(1)
class Employee(typing.NamedTuple):
    name: str
    number: int = 3
    def label(self): return f"{self.name}-{self.number}"
employee = Employee("joe")
@functools.total_ordering
class Version:
    def __init__(self, n): self.n = n
    def __eq__(self, other): return self.n == other.n
    def __lt__(self, other): return self.n < other.n
"""
CLASSES_HOLD = """
def fails(kind, function, *arguments):
    try: function(*arguments)
    except kind: return True
    return False
assert child.hello() == "base kid/child" and child.loud == "KID" and Child.twice(2) == 4
assert Child.make().name == "made" and child.length == 3 and child.secret() == 1
assert isinstance(child, Base) and type(child) is Child and Child.count == 7
assert slots.a == 1 and fails(AttributeError, setattr, slots, "c", 1)
assert Square(3).area() == 9 and fails(TypeError, Shape)
assert stack.items == [4] and Stack[int]
assert repr(point) == "Point(x=3, y=4, tags=['a'])" and point == Point(3, 4, ["a"])
assert Point(1) == Point(1, 2, []) and point.norm() == 5 and fails(TypeError, hash, point)
assert dataclasses.asdict(point) == {"x": 3, "y": 4, "tags": ["a"]}
assert hash(fixed) == hash(Fixed(1)) and Fixed(1) < Fixed(2)
assert fails(dataclasses.FrozenInstanceError, setattr, fixed, "a", 2)
assert [f.name for f in dataclasses.fields(Sub)] == ["x", "y", "tags", "z"] and Sub(1).z == 0.5
assert slim == Slim(1, 2) and repr(slim) == "Slim(u=1, w=2)" and not hasattr(slim, "__dict__")
assert color is Color.GREEN is Color("g") and color.shout() == "GREEN!"
assert list(Color) == [Color.RED, Color.GREEN] and flags == 3 and Flag.A in flags
assert pair == (1, 5) and pair._replace(x=2) == (2, 5) and repr(pair) == "Pair(x=1, y=5)"
assert Pair._make([1, 2]).y == 2 and pair._asdict() == {"x": 1, "y": 5}
assert employee.label() == "joe-3" and employee._replace(number=4).number == 4
assert Version(2) >= Version(1)
"""
VALUES = """
import array, collections, datetime, decimal, fractions, io, pathlib, random, re, uuid, zoneinfo
plain = [1, 2.5, "\\u00e9\\ud800", b"\\x00\\r\\n", None, True, 1j, {1}, frozenset([1]), {"a": (1,)}]
dates = [datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), datetime.timedelta(1)]
others = [decimal.Decimal("1.1"), fractions.Fraction(1, 3), uuid.UUID(int=5), pathlib.Path("/x"),
          re.compile("a+"), collections.Counter("aab"), collections.deque([1], 3), range(3),
          array.array("d", [1.5]), zoneinfo.ZoneInfo("UTC")]
text, generator = io.StringIO("x"), random.Random(3)
loop = [1]; loop.append(loop); alias = loop
"""
VALUES_HOLD = """
import hashlib
shown = repr([plain, dates, others, text.getvalue(), generator.random(), sorted(map(repr, plain))])
assert loop[1] is loop is alias
"""
FRAMES = """
import numpy as np, pandas as pd
ints, cut = np.arange(5000), np.linspace(0, 1, 10).reshape(2, 5, order="F")
mixed = [np.array([1, "a", None], dtype=object), np.array(["2020-01-01"], dtype="M8[ns]"),
         np.array(["ab", "c"]), np.zeros(3, dtype=[("a", "i4"), ("b", "f8")])]
view = ints[::2]
single = [np.float64(1.5), np.int8(3), np.str_("x"), np.datetime64("2020-01-01"), np.bool_(True)]
rng, masked = np.random.default_rng(3), np.ma.array([1, 2], mask=[0, 1])
frames = {
    "numbers": pd.DataFrame({"i": [1, 2], "f": [0.5, np.nan]}),
    "objects": pd.DataFrame({"o": pd.Series([1, "a"], dtype=object)}),
    "texts": pd.DataFrame({"n": range(2000), "t": pd.Series(["é", None] * 1000, dtype=object)}),
    "strings": pd.DataFrame({"s": ["a", None]}),
    "categories": pd.DataFrame({"c": pd.Categorical(["x", "y"], ["y", "x"], ordered=True)}),
    "times": pd.DataFrame({"t": pd.date_range("2020", periods=2),
                           "z": pd.date_range("2020", periods=2, tz="Europe/Vienna"),
                           "d": pd.to_timedelta([1, 2], unit="s")}),
    "nullable": pd.DataFrame({"i": pd.array([1, None], dtype="Int64"),
                              "b": pd.array([True, None], dtype="boolean")}),
    "periods": pd.DataFrame({"p": pd.period_range("2020", periods=2, freq="M"),
                             "v": pd.interval_range(0, 2)}),
    "sparse": pd.DataFrame({"s": pd.arrays.SparseArray([0, 0, 1])}),
    "indexed": pd.DataFrame({"v": [1, 2]}, index=pd.date_range("2020", periods=2, freq="D")),
    "levels": pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
}
column, stamp, nothing = pd.Series([1, 2], name="n"), pd.Timestamp("2020-01-01", tz="UTC"), pd.NaT
"""
FRAMES_HOLD = """
view[0] = 7
assert ints[0] == 7
def show(frame):
    return frame.to_csv(), [str(kind) for kind in frame.dtypes], repr(frame.index)
shown = repr([ints.tolist(), cut.tolist(), cut.flags.f_contiguous, mixed, single, rng.random(),
              masked, {name: show(frame) for name, frame in frames.items()},
              column.tolist(), column.name, stamp, nothing])
"""
