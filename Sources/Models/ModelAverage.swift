import Formats
import Platform

/// Averages the weights of models that share their shape.
///
/// A model fine-tuned on one domain and the one it started from average into a model that keeps most
/// of what each is better at (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" and
/// "Model soups").
public enum ModelAverage {
  /// A model and its share.
  public struct Part: Sendable {
    /// The model's folder.
    public var directory: String
    /// Its share of every weight.
    public var weight: Double

    /// A part.
    public init(directory: String, weight: Double) {
      self.directory = directory
      self.weight = weight
    }
  }

  /// Writes the weighted mean of `parts` to the new folder `output`, in f32.
  ///
  /// The tensors are those of the first part; all others must have every one of them in the same
  /// shape. Configuration, tokenizer and licence files are the first part's. The folder appears when
  /// it is complete; an existing one is replaced only with `overwrite`.
  ///
  /// - Throws: `usage` for fewer than two parts or weights that do not add up to 1;
  ///   `dimensionMismatch` where a part lacks a tensor or has it in another shape.
  public static func write(
    _ parts: [Part], output: String, overwrite: Bool = false
  ) throws(RetortError) {
    guard let first = parts.first, parts.count > 1 else {
      throw RetortError(.usage, "a mean needs two models or more")
    }
    let sum: Double = parts.reduce(0) { $0 + $1.weight }
    guard abs(sum - 1) < 1e-6 else {
      throw RetortError(.usage, "the weights of the models add up to \(sum); they must give 1")
    }
    try ModelFolder.checkOutput(output, overwrite: overwrite, inputs: parts.map(\.directory))
    var tensors: [TensorFiles] = []
    for part in parts {
      let model = try ModelFiles(part.directory)
      let files = try TensorFiles(model)
      let configuration = try ModelConfiguration(model)
      guard try !WeightReader(files, architecture: configuration.architecture).isCoded else {
        throw RetortError(
          .badData, "is quantised, which has no mean; name the original", path: part.directory)
      }
      tensors.append(files)
    }
    var writer = SafeTensorsWriter()
    writer.metadata = ["format": "pt"]
    for name in tensors[0].names {
      guard let (file, tensor) = tensors[0][name] else { continue }
      guard isFloatingPoint(tensor.type) else {
        writer.add(name, type: tensor.type, shape: tensor.shape, bytes: file.bytes(of: tensor))
        continue
      }
      var mean = [Double](repeating: 0, count: tensor.count)
      for (part, files) in zip(parts, tensors) {
        let values = try floats(
          name, like: tensor.shape, of: files, part.directory, first.directory)
        for index in mean.indices { mean[index] += part.weight * Double(values[index]) }
      }
      writer.add(name, shape: tensor.shape, values: mean.map { Float($0) })
    }
    try ModelFolder.write(output, overwrite: overwrite) { (partial) throws(RetortError) in
      try ModelFolder.copySideFiles(from: first.directory, to: partial)
      try writer.write(to: partial + "/model.safetensors")
    }
  }

  private static func floats(
    _ name: String, like shape: [Int], of files: TensorFiles, _ directory: String, _ first: String
  ) throws(RetortError) -> [Float] {
    guard let (file, tensor) = files[name] else {
      throw RetortError(
        .dimensionMismatch,
        "has no tensor '\(name)', which \(first) has; only models of one "
          + "architecture have a mean", path: directory)
    }
    guard tensor.shape == shape, isFloatingPoint(tensor.type) else {
      throw RetortError(
        .dimensionMismatch,
        "has the tensor '\(name)' as \(tensor.type) \(tensor.shape), \(first) as \(shape); only "
          + "models of one shape have a mean", path: directory)
    }
    return try file.floats(tensor)
  }

  private static func isFloatingPoint(_ type: SafeTensors.ElementType) -> Bool {
    switch type {
    case .float16, .bfloat16, .float32, .float64: true
    default: false
    }
  }
}
