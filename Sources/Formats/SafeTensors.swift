import Platform

/// A mapped safetensors file: named tensors of numbers, nothing executable.
///
/// Layout: u64 header length (little-endian), a JSON header
/// `{name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__": {…}}`, then the data that
/// the offsets point into. Everything the header claims is checked when the file is opened: offsets
/// against the file's size, lengths against dtype × shape, overlaps and gaps between tensors. Data
/// may start at any byte, so values are copied out, never viewed.
package final class SafeTensors: Sendable {
  /// The number formats of the format's specification that have whole bytes.
  package enum ElementType: String, Sendable, CaseIterable {
    case bool = "BOOL"
    case uint8 = "U8"
    case int8 = "I8"
    case float8e5m2 = "F8_E5M2"
    case float8e4m3 = "F8_E4M3"
    case uint16 = "U16"
    case int16 = "I16"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case uint32 = "U32"
    case int32 = "I32"
    case float32 = "F32"
    case uint64 = "U64"
    case int64 = "I64"
    case float64 = "F64"

    /// Bytes per element.
    package var size: Int {
      switch self {
      case .bool, .uint8, .int8, .float8e5m2, .float8e4m3: 1
      case .uint16, .int16, .float16, .bfloat16: 2
      case .uint32, .int32, .float32: 4
      case .uint64, .int64, .float64: 8
      }
    }
  }

  /// One tensor of the file.
  package struct Tensor: Sendable {
    /// Its name.
    package let name: String
    /// Its number format.
    package let type: ElementType
    /// Its extents, outermost first; empty for a scalar.
    package let shape: [Int]
    /// The number of elements.
    package let count: Int
    /// Its bytes in the file.
    package let range: Range<Int>
  }

  /// The longest header that is read: 100 MB, as in the reference implementation.
  package static let headerLimit: UInt64 = 100_000_000

  /// The file's path.
  package var path: String { file.path }
  /// All tensors in the order of their data.
  package let tensors: [Tensor]
  /// The free-form strings under `__metadata__`.
  package let metadata: [String: String]

  /// The mapping that all tensors lie in.
  package let file: MappedFile
  private let indices: [String: Int]

  /// Maps and checks `path`.
  package init(path: String) throws(RetortError) {
    file = try MappedFile(path: path)
    guard file.count >= 8 else {
      throw RetortError(
        .truncated, "is too short for a safetensors file; download or export it again", path: path)
    }
    let length = Self.headerLength(file)
    guard length <= Self.headerLimit else {
      throw RetortError(
        .badMagic,
        "claims a header of \(length) bytes, more than the \(Self.headerLimit) a safetensors file "
          + "may have; it is not a safetensors file or damaged: download or export it again",
        path: path, at: .offset(0))
    }
    let header = try SafeTensorsHeader(
      try file.slice(offset: 8, length: length), path: path, base: 8)
    tensors = try Self.check(header.entries, dataStart: 8 + Int(length), file: file)
    metadata = header.metadata
    try file.checkIntact()
    indices = Dictionary(
      uniqueKeysWithValues: tensors.indices.map { [tensors] in
        (tensors[$0].name, $0)
      })
  }

  /// The tensor of that name.
  package subscript(name: String) -> Tensor? { indices[name].map { tensors[$0] } }

  /// Turns header entries into tensors, or says which one lies.
  private static func check(
    _ entries: [SafeTensorsHeader.Entry], dataStart: Int, file: MappedFile
  ) throws(RetortError) -> [Tensor] {
    let available = UInt64(file.count - dataStart)
    var tensors: [Tensor] = []
    var expected: UInt64 = 0
    for entry in entries.ordered(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
      func failure(_ code: RetortError.Code, _ text: String) -> RetortError {
        RetortError(
          code,
          "the tensor \(quoted(entry.name)) \(text); the file is damaged or incomplete: "
            + "download or export it again", path: file.path, at: .offset(UInt64(entry.offset)))
      }
      guard let type = ElementType(rawValue: entry.type) else {
        throw RetortError(
          .unsupportedVersion,
          "the tensor \(quoted(entry.name)) has the number format \(quoted(entry.type)); known are "
            + ElementType.allCases.map(\.rawValue).joined(separator: ", ") + ": convert the model",
          path: file.path, at: .offset(UInt64(entry.offset)))
      }
      guard entry.begin <= entry.end else { throw failure(.badData, "ends before it begins") }
      guard entry.end <= available else {
        throw failure(
          .truncated, "ends at byte \(entry.end) of the data, of which there are \(available)")
      }
      var bytes = UInt64(type.size)
      var overflow = false
      for extent in entry.shape {
        let product = bytes.multipliedReportingOverflow(by: extent)
        overflow = overflow || product.overflow
        bytes = product.partialValue
      }
      if entry.shape.contains(0) {
        bytes = 0
        overflow = entry.shape.contains { $0 > UInt64(Int32.max) }
      }
      guard !overflow, bytes == entry.end - entry.begin else {
        throw failure(
          .dimensionMismatch,
          "has \(entry.end - entry.begin) bytes, which is not what \(type.rawValue) × "
            + "\(entry.shape) needs")
      }
      guard entry.begin >= expected else {
        throw failure(.badData, "overlaps the tensor before it")
      }
      guard entry.begin == expected else {
        throw failure(.badData, "leaves \(entry.begin - expected) bytes before it unnamed")
      }
      expected = entry.end
      tensors.append(
        Tensor(
          name: entry.name, type: type, shape: entry.shape.map { Int($0) },
          count: Int(bytes) / type.size,
          range: dataStart + Int(entry.begin)..<dataStart + Int(entry.end)))
    }
    guard expected == available else {
      throw RetortError(
        .badData,
        "has \(available - expected) bytes after its last tensor; the file is damaged: "
          + "download or export it again", path: file.path,
        at: .offset(UInt64(dataStart) + expected))
    }
    return tensors
  }
}
