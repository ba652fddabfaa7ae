# Functions shared by the scripts in this folder; sourced, never run.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for the scripts that source this file
retort_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What the build links against, beside Swift, and OpenBLAS, which the program opens when it needs it.
retort_packages=(libopenblas0 liblz4-dev zlib1g-dev libedit-dev)

# Prints one line on standard error and ends with a status (1 unless given).
die() {
  echo "$(basename "$0"): error: $1" >&2
  exit "${2:-1}"
}

# Prints how many whole gigabytes are free on a file system.
free_gigabytes() { df --output=avail --block-size=1G "$1" | tail -n 1 | tr -d ' '; }

# Runs a command as root, through sudo where needed.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    return 1
  fi
}

# Fails with one line unless Swift 6.1 or newer is there.
require_swift() {
  local version major minor
  local remedy="install Swift 6.1 or newer, see https://www.swift.org/install"
  command -v swift >/dev/null 2>&1 || die "swift was not found; $remedy"
  # "Swift version 6.3.1 (swift-6.3.1-RELEASE)" or "Apple Swift version 6.1 (…)"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1) ||
    version=""
  [ -n "$version" ] || die "swift does not tell its version; $remedy"
  major=${version%%.*}
  minor=${version#"$major"}
  minor=${minor#.}
  minor=${minor%%.*}
  if [ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "${minor:-0}" -lt 1 ]; }; then
    die "Swift $version is too old; $remedy"
  fi
}

package_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs the Debian packages named that are missing. With RETORT_NO_INSTALL=1, or where that is
# impossible, fails with the one line to run.
require_packages() {
  local name missing=()
  # Elsewhere (macOS, other Linux families) the compiler names what it does not find.
  command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 || return 0
  for name in "$@"; do
    package_installed "$name" || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local remedy="apt-get update && apt-get install ${missing[*]}"
  [ -z "${RETORT_NO_INSTALL:-}" ] || die "packages are missing; as root run: $remedy"
  echo "installing ${missing[*]}" >&2
  # The package lists of a fresh machine are empty, those of an old one stale: a first attempt
  # without an update spares both the download where it is not needed.
  install_packages "${missing[@]}" && return 0
  as_root apt-get update -qq >&2 || die "apt-get update failed; as root run: $remedy"
  install_packages "${missing[@]}" || die "the installation failed; as root run: $remedy"
}

install_packages() {
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null 2>&1
}

# Everything a build needs.
require_build_tools() {
  require_swift
  require_packages "${retort_packages[@]}"
  # A kernel chosen by hand makes numbers incomparable and can crash on another processor.
  unset OPENBLAS_CORETYPE
}

# Says on standard error what is done, and after how many seconds; results go to standard output.
step() { printf '[%3d s] %s\n' "$SECONDS" "$1" >&2; }

# Whether Swift can put its runtime into a program.
has_static_runtime() {
  local resources
  resources=$(swiftc -print-target-info 2>/dev/null | sed -n 's/.*"runtimeResourcePath": "\(.*\)".*/\1/p')
  [ "$(uname -s)" = Linux ] && [ -n "$resources" ] && [ -d "${resources}_static" ]
}

# Builds the program unless no source is younger, and sets `retort` to its path.
#
# On Linux the program holds Swift's runtime, where Swift brings it in that form: it answers a question
# a fifth sooner and runs where Swift is not installed. Tests are compiled otherwise; a folder for
# each keeps both builds.
build_program() {
  local options=(-c release --product retort) scratch=$retort_root/.build
  if has_static_runtime; then
    scratch=$retort_root/.build/static
    options+=(--static-swift-stdlib --scratch-path "$scratch")
  fi
  retort=$scratch/release/retort
  [ -x "$retort" ] && [ -z "$(find "$retort_root/Package.swift" "$retort_root/Sources" -newer "$retort" -print -quit)" ] &&
    return
  require_build_tools
  step "building the program (minutes the first time)"
  (cd "$retort_root" && swift build "${options[@]}" >&2) ||
    die "the build failed; its messages are above"
  # A build that found nothing to do leaves the program's date alone.
  touch "$retort"
}

# The user's cache folder, as the program finds it.
user_cache() {
  if [ -n "${RETORT_CACHE:-}" ]; then
    echo "$RETORT_CACHE"
    return
  fi
  case "${XDG_CACHE_HOME:-}" in
    /*) echo "$XDG_CACHE_HOME/retort" ;;
    *)
      [ -n "${HOME:-}" ] || die "no home folder is known; set RETORT_CACHE to a folder for models"
      echo "$HOME/.cache/retort"
      ;;
  esac
}
