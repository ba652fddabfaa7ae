/// Cuts the vocabulary out of `tokenizer.json`.
///
/// It is nearly all of the file, and where `vocab.txt` is there, nobody reads it: decoding half a
/// megabyte of it in general terms would be most of a query's start.
struct VocabularySkipper {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var at = 0

  /// `bytes` with null in the place of the value of `vocab` below `model`; as they are where they
  /// are not JSON of such a shape, whose defects the decoder will name.
  static func skip(_ bytes: [UInt8]) -> [UInt8] {
    let range = bytes.withUnsafeBufferPointer { buffer -> Range<Int>? in
      var skipper = VocabularySkipper(buffer)
      guard let model = skipper.value(of: "model") else { return nil }
      skipper.at = model.lowerBound
      return skipper.value(of: "vocab")
    }
    guard let vocabulary = range else { return bytes }
    return bytes[..<vocabulary.lowerBound] + Array("null".utf8) + bytes[vocabulary.upperBound...]
  }

  private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// Where the value of a key lies in the object that begins here.
  private mutating func value(of key: String) -> Range<Int>? {
    guard take("{") else { return nil }
    repeat {
      guard let name = string(), take(":") else { return nil }
      skipSpace()
      let start = at
      guard skipValue() else { return nil }
      if bytes[name].elementsEqual(key.utf8) { return start..<at }
    } while take(",")
    return nil
  }

  /// The bytes of a string, without its quotation marks.
  private mutating func string() -> Range<Int>? {
    guard take("\"") else { return nil }
    let start = at
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "\""):
        at += 1
        return start..<(at - 1)
      case UInt8(ascii: "\\"): at += 2
      default: at += 1
      }
    }
    return nil
  }

  /// Moves behind the value that begins here; false where it does not end.
  private mutating func skipValue() -> Bool {
    var depth = 0
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "\""):
        guard string() != nil else { return false }
        if depth == 0 { return true }
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        at += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        // The end of the object around a number or a word.
        if depth == 0 { return true }
        depth -= 1
        at += 1
        if depth == 0 { return true }
      case UInt8(ascii: ","):
        if depth == 0 { return true }
        at += 1
      default: at += 1
      }
    }
    return false
  }

  private mutating func skipSpace() {
    while at < bytes.count, bytes[at] <= 0x20 { at += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }
}
