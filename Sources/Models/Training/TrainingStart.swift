import Platform
import Text

/// The folder that training starts from, opened.
struct TrainingStart {
  let files: ModelFiles
  let configuration: ModelConfiguration
  let tokenizer: Tokenizer?
  var reader: WeightReader

  /// Opens a folder whose weights can be trained; `tokenizes: false` for sequences of ids only.
  init(_ directory: String, tokenizes: Bool) throws(RetortError) {
    files = try ModelFiles(directory)
    configuration = try ModelConfiguration(files)
    let tensors = try TensorFiles(files)
    tokenizer = tokenizes ? try Tokenizer(directory: directory) : nil
    try tokenizer?.check(against: configuration, directory: directory)
    reader = try WeightReader(tensors, architecture: configuration.architecture)
    guard !reader.isCoded else {
      throw RetortError(
        .badData, "is quantised, which cannot be trained; start from the original", path: directory)
    }
  }

  /// What identifies the weights read so far.
  var origin: String { fingerprint(of: reader.record.ordered() + [configuration.identity]) }

  /// The pooler's tensors, which a model does not use but other programs look for.
  var pooler: [(name: String, tensor: WeightReader.Source)] {
    guard let name = TensorNames(configuration.architecture).pooler else { return [] }
    let width = configuration.width
    return [(name + ".weight", [width, width]), (name + ".bias", [width])].compactMap { part in
      (try? reader.find(reader.prefix + part.0, as: part.0, shape: part.1)).map { (part.0, $0) }
    }
  }
}
