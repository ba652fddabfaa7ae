import Formats
import Platform
import Tensors

/// Takes the tensors of a model of ours by name and shape.
struct PlainWeightReader {
  private let files: TensorFiles
  /// One line per tensor taken: name, format, shape and checksum.
  private(set) var record: [String] = []
  /// The number of values taken.
  private(set) var parameters = 0

  init(_ model: ModelFiles) throws(RetortError) { files = try TensorFiles(model) }

  /// A matrix of the expected shape.
  mutating func matrix(_ name: String, rows: Int, columns: Int) throws(RetortError) -> Matrix {
    try read(name, shape: [rows, columns], rows: rows, columns: columns)
  }

  /// A vector of the expected length, [1 × count].
  mutating func vector(_ name: String, count: Int) throws(RetortError) -> Matrix {
    try read(name, shape: [count], rows: 1, columns: count)
  }

  /// `name.weight` and `name.bias`.
  mutating func linear(
    _ name: String, outputs: Int, inputs: Int
  ) throws(RetortError) -> LinearWeights {
    LinearWeights(
      weight: try matrix(name + ".weight", rows: outputs, columns: inputs),
      bias: try vector(name + ".bias", count: outputs))
  }

  mutating func layerNorm(
    _ name: String, width: Int, epsilon: Float
  ) throws(RetortError) -> LayerNormWeights {
    LayerNormWeights(
      weight: try vector(name + ".weight", count: width),
      bias: try vector(name + ".bias", count: width), epsilon: epsilon)
  }

  private mutating func read(
    _ name: String, shape: [Int], rows: Int, columns: Int
  ) throws(RetortError) -> Matrix {
    guard let (file, tensor) = files[name], tensor.shape == shape else {
      throw RetortError(
        .badData,
        "has no tensor '\(name)' of the shape \(shape), which config.json asks for; train the model "
          + "again", path: files.path)
    }
    // Memory is only asked for what the file holds.
    let matrix = Matrix(
      buffer: FloatBuffer(capacity: tensor.count), rows: rows, columns: columns)
    try file.readFloats(tensor, into: matrix.storage(0..<tensor.count))
    let checksum = Checksum.crc32c(file.bytes(of: tensor))
    record.append("\(name) \(tensor.type.rawValue) \(shape) \(checksum)")
    parameters += tensor.count
    return matrix
  }
}
