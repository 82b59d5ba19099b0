# -- What can be asked for
everything <- function() ls(globalenv())
is_there <- function(name) exists(name, envir = globalenv(), inherits = FALSE)
value_of <- function(name) base::get(name, envir = globalenv(), inherits = FALSE)
dead <- function(x, seen = new.env()) {
  if (typeof(x) %in% c("externalptr", "weakref")) return("a handle of its process cannot be moved")
  if (inherits(x, "connection")) return("an open connection cannot be moved")
  if (is.environment(x)) {
    if (identical(x, globalenv()) || isNamespace(x) || environmentName(x) != "") return(NULL)
    key <- format(x)
    if (!is.null(seen[[key]])) return(NULL)
    assign(key, TRUE, envir = seen)
    return(first(lapply(ls(x, all.names = TRUE), function(n)
      if (bindingIsActive(as.symbol(n), x)) NULL else dead(x[[n]], seen))))
  }
  if (is.function(x)) return(if (is.primitive(x)) NULL else dead(environment(x), seen))
  if (is.list(x)) return(first(lapply(unclass(x), dead, seen = seen)))
  NULL
}
first <- function(found) {
  found <- Filter(Negate(is.null), found)
  if (length(found)) found[[1]] else NULL
}
preview <- function(x) {
  text <- if (!is.null(dim(x))) paste("dim", paste(dim(x), collapse = " x "))
    else if (is.atomic(x) && length(x) <= 10) paste(format(x), collapse = " ")
    else if (is.function(x)) "function" else paste(length(x), "items")
  substr(enc2utf8(text), 1, 200)
}
report <- function(names, is_native, with_preview) lapply(names, function(name) {
  entry <- list(name = name, type = "", size_bytes = 0, status = "refused", reason = NULL,
    path = NULL)
  if (!is_there(name)) {
    entry["reason"] <- "there is no such variable"
    return(entry)
  }
  x <- value_of(name)
  entry$type <- class(x)[1]
  buffers <<- list()
  reason <- tryCatch({
    if (is_native) dead(x) else { describe(x); NULL }
  }, error = conditionMessage)
  if (is.null(reason)) {
    entry$status <- "carried"
    entry$size_bytes <- if (is_native) as.numeric(object.size(x)) else total(buffers)
  } else entry["reason"] <- reason
  if (with_preview) entry$preview <- tryCatch(preview(x), error = function(e) "")
  entry
})
total <- function(buffers) sum(0, vapply(buffers, function(each) each$size, 0))
chosen <- function(command) if (is.null(command$names)) everything() else unlist(command$names)
is_native <- function(command) is.null(command$target) || identical(command$target$language, "R")
plan <- function(command) {
  entries <- report(chosen(command), is_native(command), command$op == "variables")
  sizes <- vapply(entries, function(each) each$size_bytes, 0)
  say(list(type = command$op, variables = entries, total_bytes = sum(0, sizes)))
}
group <- function(names, kind, stream, sizes = list()) {
  list(type = "group", id = 0, names = as.list(names), kind = kind, stream_bytes = stream,
    singles = empty, buffers = lapply(sizes, function(n) list(size = n)))
}
capture <- function(command) {
  while (identical(record()$type, "H")) NULL
  native <- is_native(command)
  entries <- report(chosen(command), native, FALSE)
  good <- Filter(function(each) each$status == "carried", entries)
  good <- vapply(good, function(each) each$name, "")
  sizes <- vapply(entries, function(each) each$size_bytes, 0)
  session <- if (if (is.null(command$session)) is.null(command$names) else command$session)
    serialize(list(packages = rev(.packages()), directory = getwd(),
      seed = globalenv()[[".Random.seed"]]), NULL, xdr = FALSE)
  values <- if (native && length(good))
    serialize(mget(good, envir = globalenv()), NULL, xdr = FALSE)
  say(list(type = "begin", version = 1, hash = "none", language = "R",
    total_bytes = length(session) + if (native) length(values) else sum(0, sizes),
    python = "", implementation = "IRkernel", files = list()))
  if (length(session)) {
    say(list(type = "session", stream_bytes = length(session), singles = empty, buffers = list()))
    put_raw(session)
  }
  if (length(values)) {
    say(group(good, "r", length(values)))
    put_raw(values)
  }
  if (!native) for (name in good) {
    buffers <<- list()
    text <- to_json(describe(value_of(name)))
    say(group(name, "plain", length(text), lapply(buffers, function(each) each$size)))
    put_raw(text)
    for (each in buffers) if (each$size) emit(each)
  }
  say(list(type = "end", variables = entries))
}
enter_session <- function(bytes) {
  facts <- unserialize(bytes)
  for (package in facts$packages) suppressPackageStartupMessages(
    require(package, character.only = TRUE, quietly = TRUE))
  if (dir.exists(facts$directory)) setwd(facts$directory)
  if (!is.null(facts$seed)) assign(".Random.seed", facts$seed, envir = globalenv())
}
restore <- function(command) {
  told <- list(type = "restored", restored = list(), lost = list(), renamed = empty,
    unlinked = list(), kept = list(), notes = empty)
  lose <- function(name, reason) {
    told$lost[[length(told$lost) + 1L]] <<- list(name = name, reason = reason, path = NULL)
  }
  wanted <- function(name) is.null(command$names) || name %in% unlist(command$names)
  taken <- everything()
  policy <- if (is.null(command$on_conflict)) "replace" else command$on_conflict
  clash <- intersect(taken, unlist(command$names))
  if (policy == "refuse" && length(clash)) {
    message <- paste("The kernel has variables of these names already:",
      paste(clash, collapse = ", "))
    say(list(type = "error", reason = "name_conflict", message = message,
      hint = "Say whether to replace or to keep them."))
    return()
  }
  before <- list()
  done <- FALSE
  on.exit(if (!done) for (name in names(before)) {
    if (is.null(before[[name]])) rm(list = name, envir = globalenv())
    else assign(name, before[[name]]$value, envir = globalenv())
  })
  bind <- function(name, value) {
    target <- name
    if (name %in% taken && policy == "keep") {
      told$kept[[length(told$kept) + 1L]] <<- name
      return()
    }
    if (name %in% taken && policy == "rename") {
      n <- 1
      while (is_there(target <- paste0(name, "_", n))) n <- n + 1
      told$renamed[[name]] <<- target
    }
    old <- if (is_there(target)) list(value = value_of(target))
    before[target] <<- list(old)
    assign(target, value, envir = globalenv())
    told$restored[[length(told$restored) + 1L]] <<- name
  }
  with_session <- if (is.null(command$session)) is.null(command$names) else command$session
  repeat {
    facts <- record()
    if (facts$type == "end") break
    if (facts$type == "error") stop(facts$message)
    if (facts$type == "begin") next
    stream <- receive(facts$stream_bytes)
    for (single in facts$singles) receive(single$stream_bytes)
    parts <- lapply(facts$buffers, function(each) receive(each$size))
    if (facts$type == "session") {
      if (with_session) tryCatch(enter_session(stream),
        error = function(e) lose("session", conditionMessage(e)))
      next
    }
    names <- Filter(wanted, unlist(facts$names))
    made <- tryCatch(switch(facts$kind,
      plain = list(make(from_json(stream), parts)),
      r = unserialize(stream),
      refuse("it was saved by a kernel of another language")), error = identity)
    for (name in names) {
      if (inherits(made, "error")) lose(name, conditionMessage(made))
      else bind(name, if (facts$kind == "plain") made[[1]] else made[[name]])
    }
  }
  for (entry in facts$variables)
    if (entry$status == "refused" && wanted(entry$name)) lose(entry$name, entry$reason)
  say(told)
  done <- TRUE
}

# -- One operation
nothing <- function(condition) NULL
# Who has called this off has taken the pipes away.
command <- list(op = "")
input <- tryCatch(file(@FROM@, "rb", raw = TRUE), error = nothing, warning = nothing)
output <- if (!is.null(input)) file(@TO@, "wb", raw = TRUE)
if (!is.null(output)) {
  fail <- function(reason, message) {
    told <- list(type = "error", reason = reason, message = message, hint = "")
    try(say(told), silent = TRUE)
  }
  tryCatch({
    writeBin(charToRaw("@TOKEN@\n"), output)
    flush(output)
    command <- record()
    switch(command$op,
      describe = say(list(type = "description", language = "R", implementation = "IRkernel",
        version = paste(R.version$major, R.version$minor, sep = "."), names = as.list(everything()),
        modules = empty)),
      variables = , plan = plan(command),
      capture = capture(command),
      restore = restore(command),
      fail("invalid_input", "There is no such operation."))
  }, interrupt = function(e) fail("cancelled", "The kernel was interrupted."),
    error = function(e) if (conditionMessage(e) != "closed") {
      name <- if (identical(command$op, "restore")) "restore_failed" else "capture_failed"
      fail(name, conditionMessage(e))
    },
    finally = { try(close(output), silent = TRUE); try(close(input), silent = TRUE) })
}
