import Foundation
import Platform

// One entry folds the steps that look at single characters: cleaning, the CJK test, canonical
// decomposition, removal of non-spacing marks (Mn) and lower-casing, each with the meaning of the
// reference (Hugging Face's fast BertNormalizer and BertPreTokenizer). Two of its habits are kept
// on purpose: unassigned characters (Cn) are ordinary ones, so that text with characters newer
// than this Unicode version yields [UNK] and not a silent gap, and lower-casing is by character,
// without the final-sigma rule. The marks that survive decomposition are not put into canonical
// order: only spacing marks (Mc) with a combining class are concerned.

extension BertCharacters {
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
    /// The offset in the page's pool of a length byte and that many bytes of UTF-8, or nil: maps to
    /// itself.
    var mapping: Int? { bits & 16 != 0 ? Int(bits >> 8) : nil }
  }
}

/// The entries of 256 characters, and what they map to.
struct PageContent {
  private(set) var entries: [UInt32] = []
  /// The mappings' UTF-8, each behind a length byte.
  private(set) var pool: [UInt8] = []

  init(_ page: UInt32, lowercase: Bool, strip: Bool) {
    let values = page << 8..<(page + 1) << 8
    let decompositions = strip ? CanonicalDecomposition.of(values) : [:]
    entries.reserveCapacity(256)
    for value in values {
      entries.append(classify(value, lowercase, strip, decompositions[value]).bits)
    }
  }

  private mutating func classify(
    _ value: UInt32, _ lowercase: Bool, _ strip: Bool, _ decomposition: [Unicode.Scalar]?
  ) -> BertCharacters.Entry {
    typealias Entry = BertCharacters.Entry
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
    if Self.isCJK(value) { input = .cjk }

    let isMark = strip && category == .nonspacingMark
    if decomposition == nil, !isMark, !(lowercase && properties.changesWhenLowercased) {
      return Entry(input: input, output: output, mapping: nil)
    }
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
private enum CanonicalDecomposition {
  /// The characters of `values` whose canonical decomposition (NFD) differs from themselves.
  static func of(_ values: Range<UInt32>) -> [UInt32: [Unicode.Scalar]] {
    var scalars = String.UnicodeScalarView()
    // A line feed between two characters keeps marks from being reordered across them.
    for value in values {
      if let scalar = Unicode.Scalar(value), value != 10 { scalars.append(scalar) }
      scalars.append("\n")
    }
    let decomposed = String(scalars).decomposedStringWithCanonicalMapping.unicodeScalars
    var result: [UInt32: [Unicode.Scalar]] = [:]
    for (value, form) in zip(
      values, decomposed.split(separator: "\n", omittingEmptySubsequences: false))
    {
      if !form.isEmpty, form.count != 1 || form.first?.value != value {
        result[value] = Array(form)
      }
    }
    return result
  }
}
