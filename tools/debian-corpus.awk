# Makes a corpus of Debian package descriptions, one JSON object per line:
#   {"id": "<package>", "text": "<package>: <short description>. <long description>"}
#
#   awk -v limit=12000 -f debian-corpus.awk PACKAGES TRANSLATIONS
#
# PACKAGES holds the stanzas of the Packages files (for the sections), TRANSLATIONS those of the
# Translation-en files (for the long descriptions, which the former lack). Programs people look for
# by what they do are kept; libraries, headers, documentation, translations and placeholders, whose
# descriptions repeat one another, are not. Of what remains `limit` packages are drawn: first those
# named like their source package (git, not git-svn), and among equals those with the smallest
# description hashes, a sample without a bent that a later run repeats.

BEGIN {
  unwanted = " libs libdevel doc debug localization oldlibs introspection tasks metapackages " \
    "haskell rust golang ocaml perl ruby gnu-r php javascript java kernel "
  for (code = 1; code < 32; code++) control[sprintf("%c", code)] = sprintf("\\u%04x", code)
}

FNR == 1 { pass++ }

pass == 1 && /^Package: / { package = $2; variant[package] = 0 }
pass == 1 && /^Source: / { variant[package] = $2 != package }
pass == 1 && /^Section: / {
  # Ubuntu and non-free sections read "universe/net".
  count = split($2, parts, "/")
  section[package] = parts[count]
}
pass == 1 { next }

/^Package: / { package = $2; hash = ""; brief = ""; long = ""; inside = 0; next }
/^Description-md5: / { hash = $2; next }
/^Description-en: / { brief = substr($0, 17); inside = 1; next }
/^ / && inside {
  line = substr($0, 2)
  if (line == ".") next
  gsub(/^[ \t]+|[ \t]+$/, "", line)
  long = long == "" ? line : long " " line
  next
}
/^$/ { finish(); next }
END { finish(); draw() }

# Keeps the stanza just read, if it is wanted and its description is new.
function finish() {
  if (package == "" || hash == "" || brief == "") return
  if (wanted(package, brief, long) && !(package in text) && !(hash in seen)) {
    seen[hash] = 1
    kept++
    keys[kept] = variant[package] hash
    names[keys[kept]] = package
    text[package] = package ": " brief (brief ~ /[.!?]$/ ? " " : ". ") long
  }
  package = ""
}

function wanted(package, brief, long) {
  if (!(package in section)) return 0
  if (index(unwanted, " " section[package] " ")) return 0
  if (package ~ /^(lib|node-|python3?-|golang-|ruby-|fonts-|task-|gir1\.2-)/) return 0
  if (package ~ /-(dev|dbg|dbgsym|doc|docs|data|common|l10n|locales?|examples?|headers)$/) return 0
  if (package ~ /-(dev|dbg|doc|l10n|i18n|locale|help|dict)-|-linux-gnu|-mingw-w64/) return 0
  if (tolower(brief) ~ /transitional|dummy|metapackage|meta-package|debug symbols/) return 0
  return length(long) >= 80
}

# Prints the `limit` kept stanzas of the smallest keys, in the order they were read.
function draw(    ordered, index_) {
  for (index_ = 1; index_ <= kept; index_++) ordered[index_] = keys[index_]
  threshold = "g"
  if (kept > limit) {
    sort(ordered, 1, kept)
    threshold = ordered[limit]
  }
  for (index_ = 1; index_ <= kept; index_++) {
    if (keys[index_] <= threshold) {
      name = names[keys[index_]]
      printf "{\"id\": \"%s\", \"text\": \"%s\"}\n", escaped(name), escaped(text[name])
    }
  }
}

# Heap sort of strings, in place; plain awk has no sort of its own.
function sort(list, low, high,    root, last, swap) {
  for (root = int(high / 2); root >= low; root--) sift(list, root, high)
  for (last = high; last > low; last--) {
    swap = list[low]; list[low] = list[last]; list[last] = swap
    sift(list, low, last - 1)
  }
}

function sift(list, root, last,    child, swap) {
  while ((child = 2 * root) <= last) {
    if (child < last && list[child] < list[child + 1]) child++
    if (list[root] >= list[child]) return
    swap = list[root]; list[root] = list[child]; list[child] = swap
    root = child
  }
}

function escaped(value,    code) {
  gsub(/\\/, "\\\\\\\\", value)
  gsub(/"/, "\\\"", value)
  gsub(/\t/, " ", value)
  if (value ~ /[\001-\037]/) {
    for (code in control) gsub(code, "\\" control[code], value)
  }
  return value
}
