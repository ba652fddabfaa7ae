import Formats
import Platform
import Tensors

/// Takes the tensors of a model by name and shape, and remembers which were taken.
struct WeightReader {
  let files: TensorFiles
  /// What precedes the encoder's tensor names in this file: nothing, `bert.`, `0.auto_model.`, …
  let prefix: String
  /// One line per tensor taken: canonical name, format, shape and checksum.
  private(set) var record: [String] = []
  private var taken: Set<String> = []
  /// The number formats seen.
  private(set) var formats: Set<String> = []
  /// The number of values taken.
  var parameters = 0
  /// Whether the caller verifies words before it looks them up, where the file lets it.
  var verifiesWordsLater = false

  private static let wordTable = "embeddings.word_embeddings.weight"
  private static let wordCodes = "embeddings.word_embeddings" + CodedNames.codes

  init(_ files: TensorFiles, architecture: Architecture) throws(RetortError) {
    self.files = files
    var prefixes: [String] = []
    for suffix in [Self.wordTable, Self.wordCodes] {
      for name in files.names where name.hasSuffix(suffix) {
        let stem = name.dropLast(suffix.count)
        if stem.isEmpty || stem.hasSuffix(".") { prefixes.append(String(stem)) }
      }
    }
    if let usual = prefixes.first(where: { ["", architecture.rawValue + "."].contains($0) }) {
      prefix = usual
    } else if prefixes.count == 1 {
      prefix = prefixes[0]
    } else if prefixes.isEmpty {
      throw Self.missing(Self.wordTable, path: files.path)
    } else {
      throw RetortError(
        .badData, "holds several encoders (\(prefixes.joined(separator: ", "))); keep one",
        path: files.path)
    }
  }

  /// The files that the weights stay in, where they are multiplied as they lie; throws where one was
  /// cut while it was read.
  func mappedFiles() throws(RetortError) -> [MappedFile] {
    for file in files.files { try file.file.checkIntact() }
    return isCoded ? files.files.map(\.file) : []
  }

  /// Names of tensors that were not taken, sorted.
  var ignored: [String] { files.names.filter { !taken.contains($0) } }

  func hasHead(_ name: String) -> Bool { files[name] != nil }

  func headRows(_ name: String) -> Int? { files[name]?.tensor.shape.first }

  // MARK: Tensors of the encoder (with the prefix)

  mutating func linear(_ name: String, outputs: Int, inputs: Int) throws(RetortError)
    -> LinearWeights
  {
    try stacked([name], outputs: outputs, inputs: inputs)
  }

  /// Several layers over the same input as one: their rows below each other.
  mutating func stacked(_ names: [String], outputs: Int, inputs: Int) throws(RetortError)
    -> LinearWeights
  {
    if let packed = try coded(names, outputs: names.count * outputs, inputs: inputs) {
      return packed
    }
    let weights = try names.map { name throws(RetortError) in
      try find(prefix + name + ".weight", as: name + ".weight", shape: [outputs, inputs])
    }
    let biases = try names.map { name throws(RetortError) in
      try find(prefix + name + ".bias", as: name + ".bias", shape: [outputs])
    }
    return LinearWeights(
      weight: try read(weights, columns: inputs), bias: try vector(biases))
  }

  mutating func embedding(_ name: String, rows: Int, width: Int) throws(RetortError)
    -> EmbeddingWeights
  {
    if let table = try codedTable(name, rows: rows, width: width) { return table }
    let source = try find(prefix + name + ".weight", as: name + ".weight", shape: [rows, width])
    return EmbeddingWeights(table: try read([source], columns: width))
  }

  /// Old TensorFlow conversions call the two vectors gamma and beta.
  mutating func layerNorm(_ name: String, width: Int, epsilon: Float) throws(RetortError)
    -> LayerNormWeights
  {
    var vectors: [Matrix] = []
    for (part, alias) in [("weight", "gamma"), ("bias", "beta")] {
      let usual = prefix + name + "." + part
      let old = prefix + name + "." + alias
      let source = try find(
        files[usual] == nil && files[old] != nil ? old : usual, as: name + "." + part,
        shape: [width])
      vectors.append(try vector([source]))
    }
    return LayerNormWeights(weight: vectors[0], bias: vectors[1], epsilon: epsilon)
  }

  // MARK: Tensors of a head (never prefixed)

  mutating func head(_ name: String, outputs: Int, inputs: Int) throws(RetortError)
    -> LinearWeights
  {
    let weight = try find(name + ".weight", as: name + ".weight", shape: [outputs, inputs])
    let bias = try find(name + ".bias", as: name + ".bias", shape: [outputs])
    return LinearWeights(
      weight: try read([weight], columns: inputs), bias: try vector([bias]))
  }

  mutating func headNorm(_ name: String, width: Int, epsilon: Float) throws(RetortError)
    -> LayerNormWeights
  {
    let weight = try find(name + ".weight", as: name + ".weight", shape: [width])
    let bias = try find(name + ".bias", as: name + ".bias", shape: [width])
    return LayerNormWeights(
      weight: try vector([weight]), bias: try vector([bias]), epsilon: epsilon)
  }

  /// A layer whose outputs the file decides, and which may have no bias: then it is zero.
  mutating func projection(_ name: String, inputs: Int) throws(RetortError) -> LinearWeights {
    let outputs = headRows(name + ".weight") ?? 0
    guard (1...(1 << 20)).contains(outputs) else {
      throw RetortError(
        .badData, "has a tensor '\(name).weight' of \(outputs) rows; download the model again",
        path: files.path)
    }
    if hasHead(name + ".bias") { return try head(name, outputs: outputs, inputs: inputs) }
    let weight = try find(name + ".weight", as: name + ".weight", shape: [outputs, inputs])
    return LinearWeights(
      weight: try read([weight], columns: inputs), bias: Matrix(rows: 1, columns: outputs))
  }

  // MARK: One tensor

  /// A tensor of the expected shape, not yet copied: memory is only asked for what a file holds.
  struct Source {
    var canonical: String
    var file: SafeTensors
    var tensor: SafeTensors.Tensor
  }

  func find(
    _ name: String, as canonical: String, shape: [Int]
  ) throws(RetortError) -> Source {
    guard let (file, tensor) = files[name] else { throw Self.missing(name, path: files.path) }
    guard tensor.shape == shape else {
      throw RetortError(
        .dimensionMismatch,
        "the tensor '\(name)' has the shape \(tensor.shape), but config.json makes it \(shape); "
          + "the two do not belong together: download the model again", path: file.path)
    }
    return Source(canonical: canonical, file: file, tensor: tensor)
  }

  private mutating func vector(_ sources: [Source]) throws(RetortError) -> Matrix {
    let column = try read(sources, columns: 1)
    return Matrix(buffer: column.buffer, rows: 1, columns: column.rows)
  }

  /// The tensors' rows below each other.
  private mutating func read(_ sources: [Source], columns: Int) throws(RetortError) -> Matrix {
    let count = sources.reduce(0) { $0 + $1.tensor.count }
    let matrix = Matrix(
      buffer: FloatBuffer(capacity: count), rows: count / columns, columns: columns)
    var offset = 0
    for source in sources {
      try source.file.readFloats(
        source.tensor, into: matrix.storage(offset..<offset + source.tensor.count))
      offset += source.tensor.count
      take(source, checksum: Checksum.crc32c(source.file.bytes(of: source.tensor)))
      parameters += source.tensor.count
    }
    return matrix
  }

  /// Remembers that a tensor was used; those that are not recorded do not identify the model.
  mutating func take(_ source: Source, checksum: UInt32, isRecorded: Bool = true) {
    let tensor = source.tensor
    taken.insert(tensor.name)
    guard isRecorded else { return }
    record.append("\(source.canonical) \(tensor.type.rawValue) \(tensor.shape) \(checksum)")
    formats.insert(tensor.type.rawValue)
  }

  private static func missing(_ name: String, path: String) -> RetortError {
    RetortError(
      .badData,
      "has no tensor '\(name)', which the model needs; it is incomplete or of another "
        + "architecture than config.json says: download the model again", path: path)
  }
}
