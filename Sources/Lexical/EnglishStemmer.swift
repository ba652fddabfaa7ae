// The English stemmer of the Snowball project ("Porter2"), after the description of the algorithm at
// snowballstem.org. Apostrophes never reach it: words end at them. R1 is what follows the first
// consonant after a vowel, R2 is R1's own R1; a suffix only goes where it lies in the region its step
// names, and of a step's suffixes the longest that the word ends in decides alone.

/// Reduces English words to their stems.
enum EnglishStemmer {
  /// Stems a word of small letters in place; others stay as they are.
  static func stem(_ word: inout [UInt8]) {
    guard word.count > 2, word.allSatisfy({ (0x61...0x7A).contains($0) }) else { return }
    if let whole = exceptions[String(decoding: word, as: UTF8.self)] {
      word = Array(whole.utf8)
      return
    }
    var stemming = Stemming(word)
    stemming.run()
    word = stemming.word.map { $0 == Stemming.consonantY ? UInt8(ascii: "y") : $0 }
  }

  private static let exceptions: [String: String] = [
    "skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "idly": "idl",
    "gently": "gentl", "ugly": "ugli", "early": "earli", "only": "onli", "singly": "singl",
    "sky": "sky", "news": "news", "howe": "howe", "atlas": "atlas", "cosmos": "cosmos",
    "bias": "bias", "andes": "andes",
  ]
}

/// A word on its way through the steps.
private struct Stemming {
  /// A y that is a consonant.
  static let consonantY = UInt8(ascii: "Y")

  var word: [UInt8]
  private var r1 = 0
  private var r2 = 0

  init(_ word: [UInt8]) {
    self.word = word
    for place in word.indices where word[place] == UInt8(ascii: "y") {
      if place == 0 || isVowel(place - 1) { self.word[place] = Self.consonantY }
    }
    r1 = regionAfterVowel(from: 0)
    for prefix in ["gener", "commun", "arsen"] where word.starts(with: prefix.utf8) {
      r1 = prefix.utf8.count
    }
    r2 = regionAfterVowel(from: r1)
  }

  mutating func run() {
    step1a()
    if Self.invariants.contains(where: { word.elementsEqual($0.utf8) }) { return }
    step1b()
    step1c()
    step2()
    step3()
    step4()
    step5()
  }

  /// Words that are stems once a final s is gone.
  private static let invariants = [
    "inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed",
  ]

  // MARK: - Parts of words

  private func isVowel(_ place: Int) -> Bool {
    switch word[place] {
    case UInt8(ascii: "a"), UInt8(ascii: "e"), UInt8(ascii: "i"), UInt8(ascii: "o"),
      UInt8(ascii: "u"), UInt8(ascii: "y"):
      true
    default: false
    }
  }

  private func regionAfterVowel(from start: Int) -> Int {
    var place = start
    while place < word.count, !isVowel(place) { place += 1 }
    while place < word.count, isVowel(place) { place += 1 }
    return min(place + 1, word.count)
  }

  private func hasVowel(before end: Int) -> Bool { (0..<end).contains { isVowel($0) } }

  private func ends(in suffix: StaticString) -> Bool {
    let count = suffix.utf8CodeUnitCount
    guard word.count >= count else { return false }
    return suffix.withUTF8Buffer { word[(word.count - count)...].elementsEqual($0) }
  }

  /// Whether the first `end` letters end in a short syllable.
  private func endsInShortSyllable(_ end: Int) -> Bool {
    guard end >= 2, !isVowel(end - 1), isVowel(end - 2) else { return false }
    if end == 2 { return true }
    let isOpen = [UInt8(ascii: "w"), UInt8(ascii: "x"), Self.consonantY].contains(word[end - 1])
    return !isVowel(end - 3) && !isOpen
  }

  private mutating func replace(_ count: Int, with end: StaticString = "") {
    word.removeLast(count)
    end.withUTF8Buffer { word.append(contentsOf: $0) }
  }

  /// Replaces the longest suffix of `rules`, which are sorted by length, where `allowed` says so.
  private mutating func apply(
    _ rules: [(suffix: StaticString, replacement: StaticString)],
    _ allowed: (Stemming, _ start: Int, StaticString) -> Bool
  ) {
    for rule in rules where ends(in: rule.suffix) {
      let count = rule.suffix.utf8CodeUnitCount
      if allowed(self, word.count - count, rule.suffix) { replace(count, with: rule.replacement) }
      return
    }
  }

  // MARK: - Steps

  private mutating func step1a() {
    if ends(in: "sses") {
      replace(2)
    } else if ends(in: "ied") || ends(in: "ies") {
      replace(word.count > 4 ? 2 : 1)
    } else if ends(in: "us") || ends(in: "ss") {
      return
    } else if ends(in: "s"), hasVowel(before: word.count - 2) {
      replace(1)
    }
  }

  private mutating func step1b() {
    if ends(in: "eedly") || ends(in: "eed") {
      let count = ends(in: "eedly") ? 5 : 3
      if word.count - count >= r1 { replace(count, with: "ee") }
      return
    }
    let suffixes: [(StaticString, Int)] = [("ingly", 5), ("edly", 4), ("ing", 3), ("ed", 2)]
    guard let count = suffixes.first(where: { ends(in: $0.0) })?.1,
      hasVowel(before: word.count - count)
    else { return }
    replace(count)
    if ends(in: "at") || ends(in: "bl") || ends(in: "iz") {
      replace(0, with: "e")
    } else if let last = word.last, word.count > 1, word[word.count - 2] == last,
      "bdfgmnprt".utf8.contains(last)
    {
      replace(1)
    } else if word.count <= r1, endsInShortSyllable(word.count) {
      replace(0, with: "e")
    }
  }

  private mutating func step1c() {
    let last = word[word.count - 1]
    guard last == UInt8(ascii: "y") || last == Self.consonantY, word.count > 2,
      !isVowel(word.count - 2)
    else { return }
    replace(1, with: "i")
  }

  private mutating func step2() {
    apply(Self.rules2) { stemming, start, suffix in
      guard start >= stemming.r1 else { return false }
      switch (suffix.utf8CodeUnitCount, start > 0 ? stemming.word[start - 1] : 0) {
      case (2, let before): return "cdeghkmnrt".utf8.contains(before)
      case (3, let before) where stemming.ends(in: "ogi"): return before == UInt8(ascii: "l")
      default: return true
      }
    }
  }

  private static let rules2: [(suffix: StaticString, replacement: StaticString)] = [
    ("ational", "ate"), ("fulness", "ful"), ("iveness", "ive"), ("ization", "ize"),
    ("ousness", "ous"), ("biliti", "ble"), ("lessli", "less"), ("tional", "tion"),
    ("alism", "al"), ("aliti", "al"), ("ation", "ate"), ("entli", "ent"), ("fulli", "ful"),
    ("iviti", "ive"), ("ousli", "ous"), ("abli", "able"), ("alli", "al"), ("anci", "ance"),
    ("ator", "ate"), ("enci", "ence"), ("izer", "ize"), ("bli", "ble"), ("ogi", "og"), ("li", ""),
  ]

  private mutating func step3() {
    apply(Self.rules3) { stemming, start, _ in
      stemming.ends(in: "ative") ? start >= stemming.r2 : start >= stemming.r1
    }
  }

  private static let rules3: [(suffix: StaticString, replacement: StaticString)] = [
    ("ational", "ate"), ("tional", "tion"), ("alize", "al"), ("ative", ""), ("icate", "ic"),
    ("iciti", "ic"), ("ical", "ic"), ("ness", ""), ("ful", ""),
  ]

  private mutating func step4() {
    apply(Self.rules4) { stemming, start, _ in
      guard start >= stemming.r2 else { return false }
      guard stemming.ends(in: "ion") else { return true }
      return start > 0 && "st".utf8.contains(stemming.word[start - 1])
    }
  }

  private static let rules4: [(suffix: StaticString, replacement: StaticString)] = [
    ("ement", ""), ("able", ""), ("ance", ""), ("ence", ""), ("ible", ""), ("ment", ""),
    ("ant", ""), ("ate", ""), ("ent", ""), ("ion", ""), ("ism", ""), ("iti", ""), ("ive", ""),
    ("ize", ""), ("ous", ""), ("al", ""), ("er", ""), ("ic", ""),
  ]

  private mutating func step5() {
    let start = word.count - 1
    if ends(in: "e") {
      if start >= r2 || (start >= r1 && !endsInShortSyllable(start)) { replace(1) }
    } else if ends(in: "ll"), start >= r2 {
      replace(1)
    }
  }
}
