"""Values of R and of Python, and what has to be true of them on the other side."""

from __future__ import annotations

# R: name -> an expression; Python: what it is there.
IN_R = """
frame <- data.frame(i = c(1L, NA), f = c(1.5, 2), s = c("\\u00e9", NA), b = c(TRUE, NA),
  d = as.Date(c("2020-01-01", NA)),
  t = as.POSIXct(c("2020-06-01 12:00:00.25", NA), "Europe/Vienna"),
  stringsAsFactors = FALSE)
frame$fa <- factor(c("x", NA), levels = c("y", "x"))
frame$dt <- as.difftime(c(60, NA), units = "secs")
named_rows <- mtcars[1:2, 1:3]
latin <- "caf\\xe9"; Encoding(latin) <- "latin1"
numbers <- c(1, 2.5, NA, NaN, Inf); integers <- 1:3; with_names <- c(a = 1, b = 2)
matrix2 <- matrix(1:6, 2); array3 <- array(1:24, c(2, 3, 4)); imaginary <- c(1+2i, 3i)
nested <- list(a = 1, b = list("x", NULL, 1:3)); nothing <- NULL; bytes <- as.raw(c(0, 13, 255))
one <- 5L; text <- "x"; logical <- c(TRUE, NA, FALSE); none <- numeric(0)
ordered <- factor("b", levels = c("a", "b"), ordered = TRUE)
day <- as.Date("1969-12-31")
moment <- .POSIXct(0.5, "UTC"); span <- as.difftime(2, units = "mins")
long <- seq_len(300000) / 7; many <- paste0("s", 1:50000); many[7] <- NA
`odd name` <- 1
"""
REFUSED_BY_R = """
bad <- "\\xff\\xfe"; f <- function(x) x + 1; space <- new.env(); con <- textConnection("a")
model <- lm(i ~ f, data.frame(i = 1:3, f = c(1, 2, 4)))
holder <- data.frame(x = 1:2); holder$inner <- list(1, 2)
"""
REFUSED_REASONS = {
    "bad": "it has text of unknown encoding",
    "f": "a function has no counterpart in the target's language",
    "space": "an environment has no counterpart in the target's language",
    "con": "an object of class textConnection has no counterpart in the target's language",
    "model": "an object of class lm has no counterpart in the target's language",
    "holder": "column inner: a column of lists or matrices has no counterpart",
}
HOLD_IN_PYTHON = """
import datetime as D, math
import numpy as np, pandas as pd
assert frame["i"].tolist() == [1, pd.NA] or frame["i"][0] == 1 and frame["i"].isna()[1]
assert str(frame["i"].dtype) == "Int32" and frame["f"].tolist() == [1.5, 2]
assert frame["s"][0] == "\\u00e9" and frame["s"].isna().tolist() == [False, True]
assert frame["b"][0] and frame["b"].isna().tolist() == [False, True]
assert frame["d"].tolist() == [D.date(2020, 1, 1), None]
assert frame["t"][0] == pd.Timestamp("2020-06-01 12:00:00.25", tz="Europe/Vienna")
assert frame["fa"].cat.categories.tolist() == ["y", "x"] and frame["fa"][0] == "x"
assert frame["dt"][0] == pd.Timedelta(60, "s") and frame.loc[1, ["t", "fa", "dt"]].isna().all()
assert named_rows.index.tolist() == ["Mazda RX4", "Mazda RX4 Wag"]
assert named_rows["mpg"].tolist() == [21.0, 21.0] and latin == "caf\\u00e9"
assert numbers[:3] == [1, 2.5, None] and math.isnan(numbers[3]) and numbers[4] == math.inf
assert integers.tolist() == [1, 2, 3] and with_names.to_dict() == {"a": 1, "b": 2}
assert matrix2.tolist() == [[1, 3, 5], [2, 4, 6]] and array3.shape == (2, 3, 4)
assert array3[1, 2, 3] == 24 and imaginary.tolist() == [1 + 2j, 3j]
assert nested["a"] == 1 and nested["b"][:2] == ["x", None] and nested["b"][2].tolist() == [1, 2, 3]
assert nothing is None and bytes == b"\\0\\r\\xff" and (one, text) == (5, "x")
assert logical == [True, None, False] and none.tolist() == []
assert ordered.tolist() == ["b"] and ordered.ordered
assert day == D.date(1969, 12, 31) and span == D.timedelta(minutes=2)
assert moment == D.datetime(1970, 1, 1, 0, 0, 0, 500000, D.timezone.utc)
assert np.array_equal(long, np.arange(1, 300001) / 7)
assert len(many) == 50000 and many[6] is None and many[-1] == "s50000"
assert globals()["odd name"] == 1
"""
IN_PYTHON = """
import datetime as D
import numpy as np, pandas as pd, zoneinfo
table = pd.DataFrame({
    "i": [1, 2], "o": pd.array([1, None], dtype="Int64"), "f": [0.5, -0.0], "s": ["\\u00e9", None],
    "b": [True, False], "z": pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Vienna"),
    "c": pd.Categorical(["x", None], ["y", "x"], ordered=True),
    "d": [D.date(2020, 1, 1), None], "t": pd.to_timedelta([1, None], unit="s")})
labelled = pd.DataFrame({"v": [1, 2]}, index=["a", "b"]); doubled = labelled.set_axis(["a", "a"])
series = pd.Series([1.5, 2.5], index=["x", "y"]); grid = np.arange(6).reshape(2, 3)
masked = np.ma.array([1, 2], mask=[0, 1]); wide = np.array([2**40, 1])
whole, real, truth, word, empty = 3, 2.5, True, "\\u00e9\\n", None
words, gaps, mixed = ["a", "b", None], [1, None], [1, "a", [True]]
table_of = {"a": 1, "b": ["x"]}; raw = b"\\0\\r"; cx = 1 + 2j
when = D.datetime(2020, 1, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Vienna"))
day = D.date(2020, 1, 1)
long = np.arange(300000) / 7
"""
REFUSED_BY_PYTHON = """
huge = 2**60; half = "\\ud800"; zero = "a\\0b"; fun = lambda: 1; gen = (i for i in [1])
keys = {1: 2}; tangle = []; tangle.append(tangle)
odd = pd.DataFrame({"p": pd.period_range("2020", periods=2)})
"""
PYTHON_REASONS = {
    "huge": "it has integers beyond 9007199254740992, which the target cannot hold",
    "half": "it has text with half of a surrogate pair, which is no UTF-8",
    "zero": "it has text with a zero character, which the target cannot hold",
    "fun": "a function has no counterpart in the target's language",
    "gen": "a generator has no counterpart in the target's language",
    "keys": "its keys are not text",
    "tangle": "it is nested too deeply",
    "odd": "column p: values of Period have no counterpart in the target's language",
}
HOLD_IN_R = """
stopifnot(
  identical(table$i, 1:2), identical(table$o, c(1L, NA)), identical(table$f, c(0.5, -0)),
  identical(table$s, c("\\u00e9", NA)), identical(table$b, c(TRUE, FALSE)),
  table$z[1] == as.POSIXct("2020-01-01", tz = "Europe/Vienna"), is.na(table$z[2]),
  attr(table$z, "tzone") == "Europe/Vienna",
  identical(table$c, factor(c("x", NA), levels = c("y", "x"), ordered = TRUE)),
  identical(table$d, as.Date(c("2020-01-01", NA))), inherits(table$t, "difftime"),
  identical(as.double(table$t), c(1, NA)), nrow(table) == 2L,
  identical(rownames(labelled), c("a", "b")), identical(doubled$row_names, c("a", "a")),
  identical(series, c(x = 1.5, y = 2.5)), identical(grid, matrix(0:5, 2, byrow = TRUE)),
  identical(masked, c(1L, NA)), identical(wide, c(2^40, 1)),
  identical(whole, 3L), identical(real, 2.5), isTRUE(truth), word == "\\u00e9\\n", is.null(empty),
  identical(words, c("a", "b", NA)), identical(gaps, c(1L, NA)),
  identical(mixed, list(1L, "a", TRUE)) || identical(mixed, list(1L, "a", c(TRUE))),
  identical(table_of, list(a = 1L, b = "x")), identical(raw, as.raw(c(0, 13))), cx == 1+2i,
  when == as.POSIXct("2020-01-01 12:00:00", tz = "Europe/Vienna"), day == as.Date("2020-01-01"),
  identical(long, (0:299999) / 7))
"""
