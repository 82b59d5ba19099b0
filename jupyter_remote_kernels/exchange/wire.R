# What an R kernel runs in a call: it reads and writes the state stream, in base R and jsonlite,
# which IRkernel brings. All of it is in one environment of its own, which is gone afterwards.

# -- The wire: records and chunks
chunk <- 1048576
integers <- function(bytes) {
  x <- readBin(bytes, "integer", 2L, 4L, endian = "little")
  x <- ifelse(is.na(x), 2^31, ifelse(x < 0, x + 2^32, x))
  x[1] + x[2] * 2^32
}
length_of <- function(n) {
  parts <- c(n %% 2^32, n %/% 2^32)
  parts <- suppressWarnings(as.integer(ifelse(parts >= 2^31, parts - 2^32, parts)))
  writeBin(parts, raw(), endian = "little")
}
joined <- function(pieces) if (length(pieces) == 1L) pieces[[1]] else do.call(c, pieces)
get <- function(n) {
  pieces <- list()
  at <- 0
  while (at < n) {
    piece <- readBin(input, "raw", min(n - at, chunk))
    if (!length(piece)) stop("closed")
    at <- at + length(piece)
    pieces[[length(pieces) + 1L]] <- piece
  }
  if (n == 0) raw(0) else joined(pieces)
}
head <- function() {
  bytes <- get(9)
  list(kind = rawToChar(bytes[1]), size = integers(bytes[2:9]))
}
from_json <- function(bytes) {
  text <- rawToChar(bytes)
  Encoding(text) <- "UTF-8"
  jsonlite::fromJSON(text, simplifyVector = FALSE)
}
to_json <- function(value) {
  text <- jsonlite::toJSON(value, auto_unbox = TRUE, null = "null", digits = NA)
  charToRaw(enc2utf8(as.character(text)))
}
record <- function() {
  at <- head()
  if (at$kind != "J") return(list(type = at$kind, bytes = get(at$size)))
  from_json(get(at$size))
}
put <- function(kind, payload) {
  writeBin(c(charToRaw(kind), length_of(length(payload)), payload), output)
}
say <- function(value) {
  put("J", to_json(value))
  flush(output)
}
put_chunk <- function(x, size) {
  writeBin(c(charToRaw("D"), length_of(size + 32), raw(32)), output)
  writeBin(x, output, endian = "little")
}
put_raw <- function(bytes) {
  if (length(bytes) && length(bytes) <= chunk) return(put_chunk(bytes, length(bytes)))
  at <- 0
  while (at < length(bytes)) {
    count <- min(chunk, length(bytes) - at)
    put_chunk(bytes[(at + 1):(at + count)], count)
    at <- at + count
  }
}
receive <- function(size) {
  pieces <- list()
  at <- 0
  while (at < size) {
    part <- head()
    if (part$kind != "D" || part$size <= 32) stop("A record is in the wrong place.")
    get(32)
    pieces[[length(pieces) + 1L]] <- get(part$size - 32)
    at <- at + part$size - 32
  }
  if (size == 0) raw(0) else joined(pieces)
}
empty <- structure(list(), names = character(0))
refuse <- function(...) stop(structure(class = c("refused", "error", "condition"),
  list(message = paste0(...), call = NULL)))
