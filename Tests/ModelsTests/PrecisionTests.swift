import CKernels
import Formats
import Models
import Platform
import TestSupport
import Testing

/// Encoding in bf16 and int8, quantised checkpoints, and the choice that `auto` makes.
@Suite struct PrecisionTests {
  static let precisions = [EncoderPrecision.f32, .bf16, .int8]

  private func options(_ precision: EncoderPrecision) -> EncoderOptions {
    var options = EncoderOptions()
    options.precision = precision
    return options
  }

  /// Sequences of ids below `vocabulary`, of every length around a tile and around the limit.
  private func sequences(vocabulary: Int, lengths: [Int], seed: UInt64 = 5) -> [[Int32]] {
    var random = SplitMix64(seed: seed)
    return lengths.map { length in
      (0..<length).map { _ in Int32(random.next() % UInt64(vocabulary)) }
    }
  }

  @Test(arguments: TinyModel.Family.allCases)
  func `every body keeps its vectors in every precision`(family: TinyModel.Family) throws {
    let tiny = try TinyModel(family)
    try tiny.write()
    let texts = sequences(vocabulary: 20, lengths: [1, 2, 7, 16, 31, 32])
    let reference = try EncoderModel(directory: tiny.directory).encode(texts, threads: 1)
    for (precision, least) in [(EncoderPrecision.bf16, 0.9995), (.int8, 0.995)] {
      let model = try EncoderModel(directory: tiny.directory, options: options(precision))
      let vectors = try model.encode(texts, threads: 1)
      for row in texts.indices {
        let range = row * 8..<row * 8 + 8
        let cosine = MiniLMTests.cosine(vectors[range], Array(reference[range]))
        #expect(cosine >= least, "\(precision), row \(row)")
        #expect(cosine < 1, "\(precision) computes what f32 does")
      }
    }
  }

  @Test(arguments: precisions)
  func `vectors depend on neither batch nor threads`(precision: EncoderPrecision) throws {
    let folder = try TemporaryFolder()
    try TinyEncoder.write(to: folder.path)
    let model = try EncoderModel(directory: folder.path, options: options(precision))
    let lengths = [0, 1, 48, 49, 512, 513] + (0..<120).map { $0 % 47 }
    let texts = sequences(vocabulary: 150, lengths: lengths)
    let together = try model.encode(texts, threads: 1)
    #expect(together[..<TinyEncoder.width].allSatisfy { $0 == 0 })
    #expect(together.allSatisfy { $0.isFinite })
    for threads in [2, 5] {
      let several = try model.encode(texts, threads: threads)
      #expect(several == together, "\(threads) threads")
    }
    for (row, text) in texts.enumerated() {
      let alone = try model.encode([text], threads: 1)
      #expect(alone == Array(together[row * TinyEncoder.width..<(row + 1) * TinyEncoder.width]))
    }
  }

  @Test func `a batch of a hundred thousand is encoded like its parts`() throws {
    let folder = try TemporaryFolder()
    try TinyEncoder.write(to: folder.path)
    let model = try EncoderModel(directory: folder.path, options: options(.int8))
    let few = sequences(vocabulary: 150, lengths: (0..<100).map { $0 % 5 })
    let part = try model.encode(few, threads: 2)
    let all = try model.encode((0..<100_000).map { few[$0 % 100] }, threads: 2)
    let width = TinyEncoder.width
    #expect(all.count == 100_000 * width)
    for block in stride(from: 0, to: 1000, by: 37) {
      #expect(all[block * part.count..<(block + 1) * part.count].elementsEqual(part))
    }
  }

  // MARK: auto

  @Test func `auto takes int8 where it keeps the vectors and says so`() throws {
    let folder = try TemporaryFolder()
    try TinyEncoder.write(to: folder.path)
    let summary = try TextEncoder(directory: folder.path, options: options(.auto)).summary
    let hasInt8 = retort_level_in_use() != RETORT_LEVEL_SCALAR
    #expect(summary.precision.value == (hasInt8 ? .int8 : .f32))
    #expect(summary.precision.reason.hasPrefix("auto: "))
    #expect(summary.kernels.contains("int8 by"))
    let fixed = try TextEncoder(directory: folder.path, options: options(.int8)).summary
    #expect((fixed.fingerprint == summary.fingerprint) == hasInt8)
    let exact = try TextEncoder(directory: folder.path, options: options(.f32)).summary
    #expect(exact.fingerprint != fixed.fingerprint)
  }

  @Test func `auto keeps f32 where eight bits lose the vectors`() throws {
    // One huge weight in every output of the layers leaves the others one code or none.
    let folder = try TemporaryFolder()
    try TinyEncoder.write(to: folder.path)
    let file = try SafeTensors(path: folder.path + "/model.safetensors")
    var writer = SafeTensorsWriter()
    for tensor in file.tensors {
      var values = try file.floats(tensor)
      if tensor.shape.count == 2, tensor.name.contains("layer.") {
        for row in 0..<tensor.shape[0] { values[row * tensor.shape[1] + row % 3] = 60 }
      }
      writer.add(tensor.name, shape: tensor.shape, values: values)
    }
    try writer.write(to: folder.path + "/model.safetensors")
    let summary = try TextEncoder(directory: folder.path, options: options(.auto)).summary
    #expect(summary.precision.value != .int8)
    if retort_level_in_use() != RETORT_LEVEL_SCALAR {
      #expect(summary.precision.reason.contains("int8 has only a cosine"))
    }
  }

  // MARK: Weights that are not what they should be

  @Test(arguments: [Float.nan, .infinity, -.infinity], precisions)
  func `weights that are not finite are one error`(
    value: Float, precision: EncoderPrecision
  ) throws {
    let tiny = try TinyModel(.bert)
    tiny.tensors["encoder.layer.1.output.dense.weight"]?.values[37] = value
    try tiny.write()
    let error = #expect(throws: RetortError.self) {
      try EncoderModel(directory: tiny.directory, options: options(precision))
    }
    #expect(error?.message.contains("encoder.layer.1.output.dense.weight") == true)
    #expect(error?.message.contains("element 37") == true)
  }

  @Test(arguments: precisions)
  func `a channel of zeros is no trouble`(precision: EncoderPrecision) throws {
    let tiny = try TinyModel(.bert)
    for name in [
      "encoder.layer.0.intermediate.dense.weight", "encoder.layer.1.output.dense.weight",
    ] {
      for column in 0..<8 { tiny.tensors[name]?.values[column] = 0 }
    }
    try tiny.write()
    let texts = sequences(vocabulary: 20, lengths: [9])
    let reference = try EncoderModel(directory: tiny.directory).encode(texts, threads: 1)
    let vectors = try EncoderModel(directory: tiny.directory, options: options(precision))
      .encode(texts, threads: 1)
    #expect(MiniLMTests.cosine(vectors, reference) >= 0.995)
  }

  // MARK: Quantised checkpoints

  @Test func `an int8 checkpoint gives the vectors of int8 but for its words`() throws {
    let folder = try TemporaryFolder()
    let (original, copy) = (folder.path + "/original", folder.path + "/copy")
    try TinyEncoder.write(to: original)
    let report = try ModelQuantizer.quantize(directory: original, output: copy, format: .int8)
    #expect(report.bytesAfter * 2 < report.bytesBefore)
    #expect(report.leastCosine > 0.99)
    let texts = sequences(vocabulary: 150, lengths: [1, 7, 30, 48])
    let expected = try EncoderModel(directory: original, options: options(.int8))
      .encode(texts, threads: 1)
    for precision in [EncoderPrecision.int8, .auto] {
      let model = try EncoderModel(directory: copy, options: options(precision))
      let vectors = try model.encode(texts, threads: 2)
      #expect(MiniLMTests.cosine(vectors, expected) > 0.999)
    }
    // The same input gives the same bytes.
    let again = folder.path + "/again"
    _ = try ModelQuantizer.quantize(directory: original, output: again, format: .int8)
    let first = try FileSystem.read(copy + "/model.safetensors")
    let second = try FileSystem.read(again + "/model.safetensors")
    #expect(first == second)
  }

  @Test(arguments: TinyModel.Family.allCases)
  func `half precision keeps its names and every family loads it`(
    family: TinyModel.Family
  ) throws {
    let tiny = try TinyModel(family)
    try tiny.write()
    let folder = try TemporaryFolder()
    try withVocabulary(tiny)
    for format in ModelQuantizer.Format.allCases {
      let copy = folder.path + "/\(format.rawValue)"
      _ = try ModelQuantizer.quantize(directory: tiny.directory, output: copy, format: format)
      let texts = sequences(vocabulary: 20, lengths: [5, 12])
      let reference = try EncoderModel(directory: tiny.directory).encode(texts, threads: 1)
      let vectors = try EncoderModel(directory: copy, options: options(.auto), probe: texts)
        .encode(texts, threads: 1)
      #expect(MiniLMTests.cosine(vectors, reference) >= 0.995, "\(format)")
      if format == .f16 {
        let names = try SafeTensors(path: copy + "/model.safetensors").tensors.map(\.name)
        #expect(Set(names) == Set(tiny.tensors.keys))
      }
    }
  }

  /// A vocabulary of twenty entries, so that the directory is whole.
  private func withVocabulary(_ tiny: TinyModel) throws {
    let entries =
      ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + "abcdefghijklmno".map { String($0) }
    try tiny.put("vocab.txt", entries.joined(separator: "\n") + "\n")
    try tiny.put("tokenizer_config.json", "{\"do_lower_case\": true}")
  }

  @Test func `the codes of a checkpoint suit AVX2 wherever it is made`() throws {
    let folder = try TemporaryFolder()
    let (original, copy) = (folder.path + "/original", folder.path + "/copy")
    try TinyEncoder.write(to: original)
    _ = try ModelQuantizer.quantize(directory: original, output: copy, format: .int8)
    let path = copy + "/model.safetensors"
    let bytes = try FileSystem.read(path)
    var largest = 0
    for tensor in try SafeTensors(path: path).tensors where tensor.name.hasSuffix(".panels") {
      let codes = bytes[tensor.range].map { Int(Int8(bitPattern: $0)) }
      for pair in stride(from: 0, to: codes.count, by: 2) {
        largest = max(largest, abs(codes[pair] + codes[pair + 1]))
      }
    }
    // Of some rows it is a pair that decides the scale; without the limit it would be above 128.
    #expect(largest == 128)
  }

  @Test func `a damaged checkpoint is one error and never other vectors`() throws {
    let folder = try TemporaryFolder()
    let (original, copy) = (folder.path + "/original", folder.path + "/copy")
    try TinyEncoder.write(to: original)
    _ = try ModelQuantizer.quantize(directory: original, output: copy, format: .int8)
    let path = copy + "/model.safetensors"
    let file = try SafeTensors(path: path)
    let bytes = try FileSystem.read(path)
    let coded = file.tensors.filter {
      $0.name.hasSuffix(".panels") || $0.name.hasSuffix(".sums") || $0.name.hasSuffix(".scales")
        || $0.name.hasSuffix(".codes") || $0.name.contains("+")
    }
    #expect(coded.count > 20)
    for tensor in coded {
      var damaged = bytes
      damaged[tensor.range.lowerBound + tensor.range.count / 2] ^= 0x10
      try FileSystem.replace(path, with: damaged)
      let error = #expect(throws: RetortError.self) {
        let model = try EncoderModel(directory: copy, options: options(.int8))
        // Words are verified where they are looked up.
        _ = try model.encode([Array(0..<150)], threads: 1)
      }
      #expect(error?.code == .checksumMismatch)
      #expect(error?.message.contains(tensor.name) == true)
    }
  }

  @Test func `a damaged word is an error for the texts that hold it or a neighbour`() throws {
    let folder = try TemporaryFolder()
    let (original, copy) = (folder.path + "/original", folder.path + "/copy")
    try TinyEncoder.write(to: original)
    _ = try ModelQuantizer.quantize(directory: original, output: copy, format: .int8)
    let whole = try EncoderModel(directory: copy, options: options(.int8))
    let path = copy + "/model.safetensors"
    let codes = try #require(
      try SafeTensors(path: path).tensors.first { $0.name.hasSuffix("word_embeddings.codes") })
    var bytes = try FileSystem.read(path)
    // The first value of word 100, which is verified together with the words 64 to 127.
    bytes[codes.range.lowerBound + 100 * TinyEncoder.width] ^= 1
    let expected = try whole.encode([[0, 63, 128, 149]], threads: 1)
    try FileSystem.replace(path, with: bytes)
    let model = try EncoderModel(directory: copy, options: options(.int8))
    for id: Int32 in [64, 100, 127, 64] {
      let error = #expect(throws: RetortError.self) {
        try model.encode([[0], [1, id]], threads: 1)
      }
      #expect(error?.code == .checksumMismatch)
    }
    #expect(try model.encode([[0, 63, 128, 149]], threads: 1) == expected)
  }

  @Test func `a quantised checkpoint without checksums of parts of its words is the same model`()
    throws
  {
    let folder = try TemporaryFolder()
    let (original, copy) = (folder.path + "/original", folder.path + "/copy")
    try TinyEncoder.write(to: original)
    _ = try ModelQuantizer.quantize(directory: original, output: copy, format: .int8)
    let path = copy + "/model.safetensors"
    let model = try EncoderModel(directory: copy, options: options(.int8))
    let file = try SafeTensors(path: path)
    // All of the word table is verified when it is opened then.
    var writer = SafeTensorsWriter()
    writer.metadata = file.metadata.filter { !$0.key.hasSuffix(".checks") }
    for tensor in file.tensors where !tensor.name.hasSuffix(".checks") {
      writer.add(
        tensor.name, type: tensor.type, shape: tensor.shape, bytes: file.bytes(of: tensor))
    }
    try writer.write(to: path)
    #expect(writer.metadata.count == file.metadata.count - 1)
    let bare = try EncoderModel(directory: copy, options: options(.int8))
    #expect(bare.identity == model.identity)
    let texts = sequences(vocabulary: 150, lengths: [3, 40])
    let vectors = try bare.encode(texts, threads: 1)
    #expect(try vectors == model.encode(texts, threads: 1))
    var bytes = try FileSystem.read(path)
    let codes = try #require(
      try SafeTensors(path: path).tensors.first { $0.name.hasSuffix("word_embeddings.codes") })
    bytes[codes.range.lowerBound] ^= 1
    try FileSystem.replace(path, with: bytes)
    let error = #expect(throws: RetortError.self) {
      try EncoderModel(directory: copy, options: options(.int8))
    }
    #expect(error?.code == .checksumMismatch)
  }

  @Test func `quantising what cannot be quantised is one error that leaves nothing`() throws {
    let folder = try TemporaryFolder()
    let (original, copy) = (folder.path + "/original", folder.path + "/copy")
    try TinyEncoder.write(to: original)
    _ = try ModelQuantizer.quantize(directory: original, output: copy, format: .int8)
    func failure(_ from: String, _ to: String, overwrite: Bool = false) -> RetortError? {
      #expect(throws: RetortError.self) {
        try ModelQuantizer.quantize(
          directory: from, output: to, format: .int8, overwrite: overwrite)
      }
    }
    #expect(failure(copy, folder.path + "/twice")?.message.contains("already") == true)
    #expect(failure(original, copy)?.message.contains("--overwrite") == true)
    #expect(failure(original, original, overwrite: true)?.message.contains("itself") == true)
    #expect(failure(folder.path + "/none", folder.path + "/x")?.code == .missingInput)
    let names = try FileSystem.names(in: folder.path).sorted()
    #expect(names == ["copy", "original"])
    let error = #expect(throws: RetortError.self) {
      try EncoderModel(directory: copy, options: options(.f32))
    }
    #expect(error?.message.contains("int8") == true)
  }

  @Test func `half precision rounds to the nearest and comes back`() {
    for bits in UInt16(0)...0x7BFF {
      let value = SafeTensorsHalf.widen(bits)
      #expect(SafeTensors.narrow(value) == bits)
      #expect(SafeTensors.narrow(-value) == bits | 0x8000)
    }
    #expect(SafeTensors.narrow(1 + 0x1p-11) == 0x3C00)  // a tie goes to even
    #expect(SafeTensors.narrow(1 + 0x1.8p-10) == 0x3C02)
    #expect(SafeTensors.narrow(65519) == 0x7BFF)
    #expect(SafeTensors.narrow(65520) == nil)
    #expect(SafeTensors.narrow(.nan) == nil)
    #expect(SafeTensors.narrow(0x1p-25) == 0)
    #expect(SafeTensors.narrow(0x1.1p-25) == 1)
  }
}

/// Half precision from its definition.
private enum SafeTensorsHalf {
  static func widen(_ bits: UInt16) -> Float {
    let (exponent, fraction) = (Int(bits >> 10 & 31), Float(bits & 0x3FF))
    return exponent == 0
      ? fraction * 0x1p-24
      : (1 + fraction / 1024) * Float(sign: .plus, exponent: exponent - 15, significand: 1)
  }
}

/// int8 and bf16 of the real encoder against its stored vectors.
@Suite(.enabled(if: dataFolder != nil, "set RETORT_DATA to the folder that holds models/"))
struct MiniLMPrecisionTests {
  @Test(arguments: [(EncoderPrecision.bf16, 0.999), (.int8, 0.99), (.auto, 0.99)])
  func `embeddings stay close to the stored ones`(
    precision: EncoderPrecision, least: Double
  ) throws {
    let items = try MiniLMTests.golden().items
    var options = EncoderOptions()
    options.precision = precision
    let model = try EncoderModel(
      directory: MiniLMTests.directory, options: options, probe: items.map(\.ids))
    let vectors = try model.encode(items.map(\.ids), threads: 2)
    for (index, item) in items.enumerated() {
      let row = vectors[index * 384..<(index + 1) * 384]
      #expect(MiniLMTests.cosine(row, item.normalized) >= least, "\(item.text)")
    }
  }
}
