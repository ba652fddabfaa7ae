import CKernels
import Formats
import Platform
import Tensors
import Text

/// Makes smaller copies of model directories.
public enum ModelQuantizer {
  /// What the weights become.
  public enum Format: String, Sendable, CaseIterable {
    /// Layers and words as eight-bit codes in the order the kernels read them: loaded by mapping,
    /// without any work per weight. Read by Retort only.
    case int8
    /// IEEE 754 half precision under the usual names: half the size, read by everyone.
    case f16
  }

  /// What was written.
  public struct Report: Sendable, Codable {
    /// Bytes of the weights before.
    public var bytesBefore: Int
    /// Bytes of the weights after.
    public var bytesAfter: Int
    /// The lowest cosine on built-in texts between vectors of the original in f32 and of the copy.
    public var leastCosine: Double
    /// Of a re-ranker the correlation, within built-in questions, between scores of the original in
    /// f32 and of the copy; nil of an encoder.
    public var scoreCorrelation: Double?
  }

  /// Writes a copy of the model at `directory` to the new folder `output`.
  ///
  /// Tokenizer, configuration and licence files are copied as they are. The folder appears when it
  /// is complete; an existing one is replaced only with `overwrite`.
  public static func quantize(
    directory: String, output: String, format: Format, overwrite: Bool = false
  ) throws(RetortError) -> Report {
    try ModelFolder.checkOutput(output, overwrite: overwrite, inputs: [directory])
    let model = try ModelFiles(directory)
    let configuration = try ModelConfiguration(model)
    let files = try TensorFiles(model)
    var reader = try WeightReader(files, architecture: configuration.architecture)
    guard !reader.isCoded else {
      throw RetortError(
        .badData, "is quantised already; start from the original", path: directory)
    }
    let transformer = try Transformer(configuration, &reader)
    var writer = SafeTensorsWriter()
    switch format {
    case .int8: try add(transformer, prefix: reader.prefix, files, to: &writer)
    case .f16: try addHalves(files, to: &writer)
    }

    var report = Report(
      bytesBefore: files.files.reduce(0) { $0 + $1.bytes }, bytesAfter: 0, leastCosine: 0)
    try ModelFolder.write(output, overwrite: overwrite) { (partial) throws(RetortError) in
      try ModelFolder.copySideFiles(from: directory, to: partial)
      let weights = partial + "/model.safetensors"
      try writer.write(to: weights)
      report.bytesAfter = try FileSystem.size(of: weights)
      let precision = format == .int8 ? EncoderPrecision.int8 : .f32
      report.leastCosine = try leastCosine(directory, partial, precision)
      let kind = try ModelKind(model, files)
      if let expected = try RankerProbe.scores(kind, directory, .f32),
        let found = try RankerProbe.scores(kind, partial, precision)
      {
        report.scoreCorrelation = RankerProbe.correlation(expected, found)
      }
    }
    return report
  }

  // MARK: Tensors

  private static func add(
    _ transformer: Transformer, prefix: String, _ files: TensorFiles,
    to writer: inout SafeTensorsWriter
  ) throws(RetortError) {
    writer.metadata = ["format": "retort", "precision": "int8"]
    var replaced: Set<String> = []

    func add(
      _ name: String, _ type: SafeTensors.ElementType, _ shape: [Int],
      _ bytes: UnsafeRawBufferPointer
    ) {
      writer.add(name, type: type, shape: shape, bytes: bytes)
      writer.metadata[CodedNames.checksum(of: name)] = String(Checksum.crc32c(bytes))
    }

    func addLayer(_ names: [String], _ weights: LinearWeights) {
      // The codes must suit every CPU that may read them, and have the same bytes wherever made.
      let coded = weights.packed(.int8, level: RETORT_LEVEL_AVX2)
      guard case .packed(let packed) = coded.form else { return }
      let name = prefix + CodedNames.layer(names)
      let filled = PackedWeights.filled(packed.outputs)
      add(
        name + CodedNames.panels, .int8, [filled / 16, (packed.inputs + 3) / 4, 16, 4],
        packed.panels)
      add(name + CodedNames.scales, .float32, [filled], UnsafeRawBufferPointer(packed.scales))
      add(name + CodedNames.sums, .int32, [filled], UnsafeRawBufferPointer(packed.sums))
      add(name + CodedNames.bias, .float32, [filled], UnsafeRawBufferPointer(packed.bias))
      for name in names {
        replaced.formUnion([prefix + name + ".weight", prefix + name + ".bias"])
      }
    }

    let names = TensorNames(transformer.configuration.architecture)
    let distinct = names.isShared ? transformer.layers.prefix(1) : transformer.layers[...]
    for (index, layer) in distinct.enumerated() {
      let base = names.layer(index)
      addLayer(names.queryKeyValue.map { base + $0 }, layer.attention)
      addLayer([base + names.attentionOutput], layer.attentionOutput)
      addLayer([base + names.inner], layer.inner)
      addLayer([base + names.output], layer.output)
    }
    if case .plain(let words) = transformer.words.form {
      let name = prefix + "embeddings.word_embeddings"
      let (codes, scales) = CodedTable.quantize(words)
      codes.withUnsafeBytes {
        add(name + CodedNames.codes, .int8, [words.rows, words.columns], $0)
      }
      scales.withUnsafeBytes { add(name + CodedNames.scales, .float32, [words.rows], $0) }
      let checks = (0..<CodedTable.blocks(words.rows)).map { block in
        let rows = CodedTable.rows(ofBlock: block, of: words.rows)
        let values = (rows.lowerBound * words.columns)..<(rows.upperBound * words.columns)
        return codes[values].withUnsafeBytes { Checksum.crc32c($0).littleEndian }
      }
      checks.withUnsafeBytes { add(name + CodedNames.checks, .uint32, [checks.count], $0) }
      replaced.insert(name + ".weight")
    }
    // Only a classification head reads the pooler, and nothing reads numbers from 0 on.
    replaced.insert(prefix + "embeddings.position_ids")
    if let pooler = names.pooler, !files.names.contains(where: { $0.hasPrefix("classifier.") }) {
      replaced.formUnion([prefix + pooler + ".weight", prefix + pooler + ".bias"])
    }
    for name in files.names where !replaced.contains(name) {
      guard let (file, tensor) = files[name] else { continue }
      writer.add(name, type: tensor.type, shape: tensor.shape, bytes: file.bytes(of: tensor))
    }
  }

  private static func addHalves(
    _ files: TensorFiles, to writer: inout SafeTensorsWriter
  ) throws(RetortError) {
    writer.metadata = ["format": "pt"]
    for name in files.names {
      guard let (file, tensor) = files[name] else { continue }
      guard [.float32, .bfloat16, .float64].contains(tensor.type) else {
        writer.add(name, type: tensor.type, shape: tensor.shape, bytes: file.bytes(of: tensor))
        continue
      }
      var halves: [UInt16] = []
      halves.reserveCapacity(tensor.count)
      for (index, value) in try file.floats(tensor).enumerated() {
        guard let half = SafeTensors.narrow(value) else {
          throw RetortError(
            .badData,
            "has \(value) at element \(index) of the tensor '\(name)', which half precision cannot "
              + "hold; use --precision int8", path: file.path)
        }
        halves.append(half)
      }
      halves.withUnsafeBytes {
        writer.add(name, type: .float16, shape: tensor.shape, bytes: $0)
      }
    }
  }

  private static func leastCosine(
    _ original: String, _ copy: String, _ precision: EncoderPrecision
  ) throws(RetortError) -> Double {
    let tokenizer = try Tokenizer(directory: original)
    let probe = precisionProbe.map { tokenizer.encode($0, maxLength: 64).ids }
    var options = EncoderOptions()
    let reference = try EncoderModel(directory: original, options: options)
    let expected = try reference.encode(probe, threads: 1)
    options.precision = precision
    let quantized = try EncoderModel(directory: copy, options: options)
    return PrecisionChoice.leastCosine(
      expected, try quantized.encode(probe, threads: 1), width: reference.dimension)
  }
}
