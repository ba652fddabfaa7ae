import Foundation
import Platform

/// What BERT's basic tokenizer does with each Unicode character, as a two-stage table.
///
/// One entry folds the steps that look at single characters: cleaning, the CJK test, canonical
/// decomposition, removal of non-spacing marks (Mn) and lower-casing, each with the meaning of the
/// reference (Hugging Face's fast BertNormalizer and BertPreTokenizer). Two of its habits are kept
/// on purpose: unassigned characters (Cn) are ordinary ones, so that text with characters newer
/// than this Unicode version yields [UNK] and not a silent gap, and lower-casing is by character,
/// without the final-sigma rule. The marks that survive decomposition are not put into canonical
/// order: only spacing marks (Mc) with a combining class are concerned.
///
/// The four tables (lower-case or not, strip or not) are made on the first non-ASCII character
/// that needs them, in about 20 ms.
final class BertCharacters: Sendable {
  /// Bits 0–1: `input`; bits 2–3: `output`; bit 4: mapped; bits 8–31: where the mapping lies.
  struct Entry: Hashable {
    var bits: UInt32

    /// What the character is to the cleaning and CJK steps.
    enum Input: UInt32 { case ordinary, control, cjk }
    /// What the character is to the splitting into words, after mapping.
    enum Output: UInt32 { case word, punctuation, whitespace }

    init(input: Input, output: Output, mapping: Int?) {
      bits = input.rawValue | output.rawValue << 2
      if let mapping { bits |= 16 | UInt32(mapping) << 8 }
    }

    init(bits: UInt32) { self.bits = bits }

    var isControl: Bool { bits & 3 == Input.control.rawValue }
    var isCJK: Bool { bits & 3 == Input.cjk.rawValue }
    var isPunctuation: Bool { bits & 12 == Output.punctuation.rawValue << 2 }
    var isWhitespace: Bool { bits & 12 == Output.whitespace.rawValue << 2 }
    /// The offset in `pool` of a length byte and that many bytes of UTF-8, or nil: maps to itself.
    var mapping: Int? { bits & 16 != 0 ? Int(bits >> 8) : nil }
  }

  private let pages: [UInt16]
  private let entries: [UInt32]
  /// The mappings' UTF-8, each behind a length byte.
  let pool: [UInt8]

  private static let neither = BertCharacters(lowercase: false, strip: false)
  private static let lowered = BertCharacters(lowercase: true, strip: false)
  private static let stripped = BertCharacters(lowercase: false, strip: true)
  private static let both = BertCharacters(lowercase: true, strip: true)

  /// The table of these settings, shared by all tokenizers of the process.
  static func table(lowercase: Bool, strip: Bool) -> BertCharacters {
    switch (lowercase, strip) {
    case (false, false): neither
    case (true, false): lowered
    case (false, true): stripped
    case (true, true): both
    }
  }

  /// The entry of a scalar value.
  @inline(__always)
  func entry(_ scalar: UInt32) -> Entry {
    let page = Int(scalar >> 8)
    return Entry(bits: entries[Int(pages[page]) << 8 | Int(scalar & 255)])
  }

  private init(lowercase: Bool, strip: Bool) {
    let decompositions = strip ? CanonicalDecomposition.all() : [:]
    var pool: [UInt8] = []
    var pages: [UInt16] = []
    var entries: [UInt32] = []
    var known: [[UInt32]: UInt16] = [:]
    for page in 0..<UInt32(0x1100) {
      // The planes without assigned characters repeat one page; do not classify 800,000 of them.
      if (0x400..<0xE00).contains(page) || (0xE10..<0xF00).contains(page), let last = pages.last {
        pages.append(page == 0x400 || page == 0xE10 ? Self.ordinaryPage(&entries) : last)
        continue
      }
      if (0xF01..<0xFFF).contains(page) || (0x1001..<0x10FF).contains(page), let last = pages.last {
        pages.append(last)
        continue
      }
      var content: [UInt32] = []
      content.reserveCapacity(256)
      for value in page << 8..<(page + 1) << 8 {
        content.append(
          Self.classify(value, lowercase, strip, decompositions[value], &pool).bits)
      }
      let number = known[content] ?? UInt16(entries.count >> 8)
      if known.updateValue(number, forKey: content) == nil { entries += content }
      pages.append(number)
    }
    self.pages = pages
    self.entries = entries
    self.pool = pool
  }

  private static func ordinaryPage(_ entries: inout [UInt32]) -> UInt16 {
    let number = UInt16(entries.count >> 8)
    entries += [UInt32](
      repeating: Entry(input: .ordinary, output: .word, mapping: nil).bits, count: 256)
    return number
  }

  private static func classify(
    _ value: UInt32, _ lowercase: Bool, _ strip: Bool, _ decomposition: [Unicode.Scalar]?,
    _ pool: inout [UInt8]
  ) -> Entry {
    // Surrogates never occur in valid UTF-8.
    guard let scalar = Unicode.Scalar(value) else {
      return Entry(input: .control, output: .word, mapping: nil)
    }
    let properties = scalar.properties
    var output = Entry.Output.word
    var input = Entry.Input.ordinary
    let category = properties.generalCategory
    switch category {
    case .control, .format, .privateUse, .surrogate: input = .control
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
      .initialPunctuation, .finalPunctuation, .otherPunctuation:
      output = .punctuation
    default: break
    }
    if value < 128,
      (33...47).contains(value) || (58...64).contains(value)
        || (91...96).contains(value) || (123...126).contains(value)
    {
      output = .punctuation
    }
    if value == 0xFFFD { input = .control }
    if properties.isWhitespace {
      output = .whitespace
      // Tab, line feed and carriage return are the controls that cleaning turns into spaces.
      if [9, 10, 13].contains(value) { input = .ordinary }
    }
    if isCJK(value) { input = .cjk }

    var mapped: [Unicode.Scalar] = decomposition ?? [scalar]
    if strip { mapped.removeAll { $0.properties.generalCategory == .nonspacingMark } }
    if lowercase {
      mapped = mapped.flatMap {
        $0.properties.changesWhenLowercased
          ? Array($0.properties.lowercaseMapping.unicodeScalars) : [$0]
      }
    }
    if mapped == [scalar] { return Entry(input: input, output: output, mapping: nil) }
    let offset = pool.count
    pool.append(0)
    for scalar in mapped { pool += UTF8.encode(scalar).map { Array($0) } ?? [] }
    pool[offset] = UInt8(pool.count - offset - 1)
    return Entry(input: input, output: output, mapping: offset)
  }

  /// The ideograph blocks that BERT sets off with spaces.
  static func isCJK(_ value: UInt32) -> Bool {
    switch value {
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F,
      0x2B740...0x2B81F, 0x2B820...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }
}

/// Canonical decompositions of single characters, asked from Foundation in one call.
enum CanonicalDecomposition {
  /// The blocks that hold every character with a canonical decomposition.
  private static let blocks: [ClosedRange<UInt32>] = [
    0xC0...0x33FF, 0xA000...0xD7FF, 0xF900...0xFFFF, 0x10000...0x1D7FF, 0x2F800...0x2FA1F,
  ]

  /// Every character whose canonical decomposition (NFD) differs from itself.
  static func all() -> [UInt32: [Unicode.Scalar]] {
    var scalars = String.UnicodeScalarView()
    for block in blocks {
      // A line feed between two candidates keeps marks from being reordered across them.
      for value in block {
        if let scalar = Unicode.Scalar(value) {
          scalars.append(scalar)
          scalars.append("\n")
        }
      }
    }
    let decomposed = Array(String(scalars).decomposedStringWithCanonicalMapping.unicodeScalars)
    var result: [UInt32: [Unicode.Scalar]] = [:]
    var position = decomposed.startIndex
    for block in blocks {
      for value in block where Unicode.Scalar(value) != nil {
        let start = position
        while position < decomposed.endIndex, decomposed[position] != "\n" { position += 1 }
        let form = decomposed[start..<position]
        if form.count != 1 || form.first?.value != value { result[value] = Array(form) }
        position += 1
      }
    }
    return result
  }
}
