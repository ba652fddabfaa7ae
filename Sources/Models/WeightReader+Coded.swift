import Formats
import Platform
import Tensors

/// The tensors of a quantised checkpoint (`retort model quantize --precision int8`).
///
/// A layer named L has, in place of L.weight and L.bias, the panels of `retort_matrix.h`:
///   L.panels  I8 [⌈outputs/16⌉, ⌈inputs/4⌉, 16, 4]   codes
///   L.scales  F32 [16⌈outputs/16⌉]                   value = scale × code
///   L.sums    I32 [16⌈outputs/16⌉]                   the sum of an output's codes
///   L.bias    F32 [16⌈outputs/16⌉]
/// and the word table W has W.codes I8 [words, width] and W.scales F32 [words]. Layers that share
/// their input are stacked, and their names joined by `+`. `__metadata__` has the CRC-32C of each.
/// A question has a few words only, so W.checks U32 [⌈words/64⌉] has the CRC-32C of every 64 rows of
/// the codes: they are verified when one of them is first looked up. Files without it are as good.
enum CodedNames {
  static let panels = ".panels"
  static let codes = ".codes"
  static let scales = ".scales"
  static let sums = ".sums"
  static let bias = ".bias"
  static let checks = ".checks"

  static func layer(_ names: [String]) -> String { names.joined(separator: "+") }

  static func checksum(of tensor: String) -> String { "crc32c:" + tensor }
}

extension WeightReader {
  /// Whether the words, and with them the layers, are stored as codes.
  var isCoded: Bool { hasHead(prefix + "embeddings.word_embeddings" + CodedNames.codes) }

  /// The layer as stored panels, or nil where the file has plain weights.
  mutating func coded(
    _ names: [String], outputs: Int, inputs: Int
  ) throws(RetortError) -> LinearWeights? {
    let name = CodedNames.layer(names)
    guard hasHead(prefix + name + CodedNames.panels) else { return nil }
    let filled = PackedWeights.filled(outputs)
    let panels = try part(
      name, CodedNames.panels, .int8, [filled / 16, (inputs + 3) / 4, 16, 4])
    let scales = try part(name, CodedNames.scales, .float32, [filled])
    let sums = try part(name, CodedNames.sums, .int32, [filled])
    let bias = try part(name, CodedNames.bias, .float32, [filled])
    _ = try panels.source.file.floats(scales.source.tensor)
    _ = try panels.source.file.floats(bias.source.tensor)
    parameters += outputs * inputs + outputs
    return LinearWeights(
      PackedWeights(
        outputs: outputs, inputs: inputs, panels: panels.aligned(), scales: scales.aligned(),
        sums: sums.aligned(), bias: bias.aligned()))
  }

  /// The table as stored codes, or nil where the file has plain vectors.
  mutating func codedTable(
    _ name: String, rows: Int, width: Int
  ) throws(RetortError) -> EmbeddingWeights? {
    guard hasHead(prefix + name + CodedNames.codes) else { return nil }
    let blocks = try checks(name, rows: rows, width: width)
    let codes = try part(
      name, CodedNames.codes, .int8, [rows, width], isVerified: blocks == nil)
    let scales = try part(name, CodedNames.scales, .float32, [rows])
    _ = try scales.source.file.floats(scales.source.tensor)
    parameters += rows * width
    return EmbeddingWeights(
      CodedTable(
        rows: rows, columns: width, codes: codes.aligned(), scales: scales.aligned(),
        blocks: blocks))
  }

  /// What verifies a table's codes where they are touched; nil where they must be verified at once.
  private mutating func checks(
    _ name: String, rows: Int, width: Int
  ) throws(RetortError) -> BlockGuard? {
    guard verifiesWordsLater, hasHead(prefix + name + CodedNames.checks) else { return nil }
    let count = CodedTable.blocks(rows)
    // No part of what makes up the model: with it or without, the vectors are the same.
    let expected = try part(name, CodedNames.checks, .uint32, [count], isRecorded: false).source
    let codes = try find(
      prefix + name + CodedNames.codes, as: name + CodedNames.codes, shape: [rows, width])
    return BlockGuard(count: count) { block throws(RetortError) in
      let range = CodedTable.rows(ofBlock: block, of: rows)
      let bytes = UnsafeRawBufferPointer(
        rebasing: codes.file.bytes(of: codes.tensor)[
          (range.lowerBound * width)..<(range.upperBound * width)])
      let stored = expected.file.bytes(of: expected.tensor)
        .loadUnaligned(fromByteOffset: block * 4, as: UInt32.self)
      guard Checksum.crc32c(bytes) == UInt32(littleEndian: stored) else {
        throw Self.damaged(codes)
      }
    }
  }

  /// A tensor whose bytes are used where they lie.
  private struct Part {
    var source: Source

    func aligned() -> SharedBytes {
      SharedBytes(source.file.bytes(of: source.tensor), owner: source.file)
    }
  }

  private mutating func part(
    _ name: String, _ suffix: String, _ type: SafeTensors.ElementType, _ shape: [Int],
    isVerified: Bool = true, isRecorded: Bool = true
  ) throws(RetortError) -> Part {
    let source = try find(prefix + name + suffix, as: name + suffix, shape: shape)
    let tensor = source.tensor
    guard tensor.type == type else {
      throw RetortError(
        .badData,
        "holds \(tensor.type.rawValue) in the tensor '\(tensor.name)', where a quantised model has "
          + "\(type.rawValue); quantise the model again", path: source.file.path)
    }
    guard let stored = source.file.metadata[CodedNames.checksum(of: tensor.name)],
      let checksum = UInt32(stored),
      !isVerified || Checksum.crc32c(source.file.bytes(of: tensor)) == checksum
    else { throw Self.damaged(source) }
    take(source, checksum: checksum, isRecorded: isRecorded)
    return Part(source: source)
  }

  private static func damaged(_ source: Source) -> RetortError {
    RetortError(
      .checksumMismatch,
      "has a tensor '\(source.tensor.name)' that is not what was written; the file is damaged: copy "
        + "it or quantise the model again", path: source.file.path,
      at: .offset(UInt64(source.tensor.range.lowerBound)))
  }
}
