# -- Values for other languages, as plain columns
buffers <- list()
add <- function(form, x, size) {
  buffers[[length(buffers) + 1L]] <<- list(form = form, x = x, size = size)
  length(buffers) - 1L
}
mark <- function(column, missing) {
  if (any(missing)) column$missing <- add("raw", as.raw(missing), length(missing))
  column
}
column <- function(type, x, missing, form = "double", width = 8) {
  made <- list(type = type, n = length(x), buffers = list(add(form, x, width * length(x))))
  mark(made, missing)
}
texts <- function(x) {
  gone <- is.na(x)
  x[gone] <- ""
  unknown <- Encoding(x) %in% c("unknown", "bytes")
  # What does not say what it is may be UTF-8, but must not be guessed to be anything else.
  if (!all(validUTF8(x[unknown]))) refuse("it has text of unknown encoding")
  Encoding(x[unknown]) <- "UTF-8"
  x <- enc2utf8(x)
  made <- list(type = "str", n = length(x),
    buffers = list(add("character", x, sum(nchar(x, "bytes")) + length(x))))
  mark(made, gone)
}
vector_of <- function(x) {
  gone <- is.na(x)
  if (is.factor(x)) {
    codes <- as.integer(x) - 1L
    codes[gone] <- -1L
    made <- column("factor", codes, FALSE, "integer", 4)
    return(c(made, list(ordered = is.ordered(x), levels = texts(levels(x)))))
  }
  if (inherits(x, "Date")) return(column("date", as.double(unclass(x)), gone))
  if (inherits(x, "POSIXct")) {
    zone <- attr(x, "tzone")[1]
    if (is.null(zone) || is.na(zone) || zone == "") zone <- Sys.timezone()
    if (is.null(zone) || is.na(zone) || zone %in% c("GMT", "Etc/UTC")) zone <- "UTC"
    return(c(column("time", as.double(unclass(x)), gone), list(zone = zone)))
  }
  if (inherits(x, "difftime")) return(column("delta", as.double(x, units = "secs"), gone))
  unknown <- setdiff(class(x), c(class(unclass(x)), "table", "noquote", "AsIs", "matrix", "array"))
  if (is.object(x) && length(unknown))
    refuse("an object of class ", unknown[1], " has no counterpart in the target's language")
  x <- as.vector(unclass(x))
  switch(typeof(x),
    logical = { x[gone] <- FALSE; column("b1", as.raw(x), gone, "raw", 1) },
    integer = { x[gone] <- 0L; column("i4", x, gone, "integer", 4) },
    double = column("f8", x, gone & !is.nan(x)),
    complex = column("c16", x, gone, "complex", 16),
    character = texts(x),
    refuse("values of type ", typeof(x), " have no counterpart in the target's language"))
}
row_names <- function(x) {
  if (.row_names_info(x) < 0L) NULL else texts(as.character(attr(x, "row.names")))
}
describe <- function(x, depth = 0) {
  if (depth > 100) refuse("it is nested too deeply")
  if (is.null(x)) return(list(form = "nothing"))
  if (inherits(x, "POSIXlt")) x <- as.POSIXct(x)
  if (is.data.frame(x)) {
    columns <- lapply(seq_along(x), function(i) tryCatch({
      if (!is.null(dim(x[[i]])) || (is.list(x[[i]]) && !inherits(x[[i]], "POSIXlt")))
        refuse("a column of lists or matrices has no counterpart")
      each <- if (inherits(x[[i]], "POSIXlt")) as.POSIXct(x[[i]]) else x[[i]]
      c(list(name = names(x)[i]), vector_of(each))
    }, refused = function(e) refuse("column ", names(x)[i], ": ", conditionMessage(e))))
    return(list(form = "frame", rows = nrow(x), columns = columns, row_names = row_names(x)))
  }
  if (is.raw(x)) return(list(form = "bytes", buffer = add("raw", as.vector(x), length(x))))
  if (is.atomic(x)) {
    if (length(dim(x)) == 1L) x <- structure(c(x), names = names(x))
    named <- !is.null(unlist(dimnames(x)))
    if (named && length(dim(x)) == 2L)
      return(describe(as.data.frame(unclass(x), optional = TRUE), depth))
    if (named && length(dim(x)) > 2L) refuse("it has names of dimensions")
    made <- list(column = vector_of(x))
    if (!is.null(dim(x))) return(c(list(form = "vector"), made, list(shape = as.list(dim(x)))))
    if (!is.null(names(x))) return(c(list(form = "vector"), made, list(names = texts(names(x)))))
    return(c(list(form = if (length(x) == 1L && !is.factor(x)) "scalar" else "vector"), made))
  }
  if (is.list(x) && (!is.object(x) || inherits(x, "AsIs"))) {
    named <- if (length(x)) names(x) else NULL
    items <- lapply(unname(x), describe, depth = depth + 1)
    return(list(form = "list", names = if (!is.null(named)) texts(named), items = items))
  }
  what <- if (is.object(x)) paste("an object of class", class(x)[1])
    else if (is.function(x)) "a function"
    else if (is.environment(x)) "an environment" else paste("a value of type", typeof(x))
  refuse(what, " has no counterpart in the target's language")
}
emit <- function(buffer) {
  x <- buffer$x
  if (buffer$form == "raw") return(put_raw(x))
  if (buffer$form == "character") {
    waiting <- raw(0)
    for (at in seq.int(1, length(x), 16384)) {
      part <- writeBin(x[at:min(length(x), at + 16383)], raw())
      waiting <- c(waiting, part)
      while (length(waiting) >= chunk) {
        put_raw(waiting[1:chunk])
        waiting <- waiting[-(1:chunk)]
      }
    }
    return(put_raw(waiting))
  }
  width <- c(double = 8, integer = 4, complex = 16)[[buffer$form]]
  for (at in seq.int(1, length(x), chunk / width)) {
    part <- x[at:min(length(x), at + chunk / width - 1)]
    put_chunk(part, width * length(part))
  }
}

# -- Values from other languages
make <- function(facts, parts) {
  part <- function(n) parts[[n + 1L]]
  values <- function(column) {
    n <- column$n
    bytes <- part(column$buffers[[1]])
    number <- function(type) readBin(bytes, type, n, endian = "little")
    x <- switch(column$type,
      f8 = , date = , time = , delta = number("double"),
      i4 = , factor = number("integer"),
      b1 = as.logical(as.integer(bytes)),
      c16 = number("complex"),
      str = { text <- readBin(bytes, "character", n); Encoding(text) <- "UTF-8"; text },
      stop("There is no such column."))
    if (length(x) != n) stop("A column has another length.")
    if (!is.null(column$missing)) x[part(column$missing) != 0] <- NA
    switch(column$type,
      date = structure(x, class = "Date"),
      time = .POSIXct(x, tz = column$zone),
      delta = .difftime(x, "secs"),
      factor = {
        x[!is.na(x) & x < 0L] <- NA
        structure(x + 1L, levels = values(column$levels),
          class = if (isTRUE(column$ordered)) c("ordered", "factor") else "factor")
      },
      x)
  }
  build <- function(facts) switch(facts$form,
    nothing = NULL,
    bytes = part(facts$buffer),
    scalar = values(facts$column),
    vector = {
      x <- values(facts$column)
      if (!is.null(facts$names)) names(x) <- values(facts$names)
      if (!is.null(facts$shape)) dim(x) <- as.integer(unlist(facts$shape))
      x
    },
    list = {
      x <- lapply(facts$items, build)
      if (!is.null(facts$names)) names(x) <- values(facts$names)
      x
    },
    frame = {
      x <- lapply(facts$columns, values)
      names(x) <- vapply(facts$columns, function(each) each$name, "")
      rows <- if (is.null(facts$row_names)) NULL else values(facts$row_names)
      if (anyDuplicated(rows) || anyNA(rows)) {
        # Row names of R are unique; what is not is a column.
        x <- c(list(row_names = rows), x)
        rows <- NULL
      }
      attr(x, "row.names") <- if (is.null(rows)) .set_row_names(facts$rows) else rows
      class(x) <- "data.frame"
      x
    },
    stop("There is no such form."))
  build(facts)
}
