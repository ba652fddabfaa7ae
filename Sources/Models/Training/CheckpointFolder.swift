import Formats
import Foundation
import Platform
import Tensors

/// A model directory in the making, in the layout of Hugging Face.
struct CheckpointFolder {
  /// The directory that training started from.
  let start: ModelFiles
  /// An existing folder.
  let path: String

  /// Tokenizer files and licences, copied as they are.
  private static let copied = [
    "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "spiece.model", "spm.model",
  ]

  /// Copies what training does not change.
  func copyFiles() throws(RetortError) {
    for name in try FileSystem.names(in: start.directory)
    where Self.copied.contains(name) || name.hasPrefix("LICENSE") || name.hasPrefix("NOTICE") {
      guard start.has(name) else { continue }
      try FileSystem.replace(path + "/" + name, with: try FileSystem.read(start.path(name)))
    }
  }

  /// Writes `config.json` of the start with some fields changed.
  func writeConfiguration(_ changes: [String: Any]) throws(RetortError) {
    let source = start.path("config.json")
    let data = Data(try FileSystem.read(source))
    guard var fields = (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] else {
      throw RetortError(.badData, "is not valid JSON; download it again", path: source)
    }
    fields["torch_dtype"] = "float32"
    fields["_name_or_path"] = nil
    try write(fields.merging(changes) { $1 }, to: "config.json")
  }

  /// Writes the longest text where sentence-transformers look for it.
  func write(maxLength: Int) throws(RetortError) {
    try write(
      ["max_seq_length": maxLength, "do_lower_case": false] as [String: Any],
      to: "sentence_bert_config.json")
  }

  /// Writes indented JSON with sorted keys.
  func write(_ content: Any, to name: String) throws(RetortError) {
    do {
      let data = try JSONSerialization.data(
        withJSONObject: content, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
      try FileSystem.replace(path + "/" + name, with: Array(data) + [UInt8(ascii: "\n")])
    } catch let error as RetortError {
      throw error
    } catch {
      throw RetortError(.badData, "cannot be written as JSON", cause: error)
    }
  }

  /// Writes the weights: the same give the same bytes.
  func write(
    _ parameters: ParameterList, kept: [(name: String, tensor: WeightReader.Source)] = []
  ) throws(RetortError) {
    try Self.write(parameters, kept: kept, to: path)
  }

  /// Writes `model.safetensors` into a folder.
  static func write(
    _ parameters: ParameterList, kept: [(name: String, tensor: WeightReader.Source)] = [],
    to folder: String
  ) throws(RetortError) {
    var writer = SafeTensorsWriter()
    writer.metadata = ["format": "pt"]
    try parameters.add(to: &writer)
    for (name, source) in kept {
      writer.add(name, shape: source.tensor.shape, values: try source.file.floats(source.tensor))
    }
    try writer.write(to: folder + "/model.safetensors")
    try FileSystem.syncFolder(folder)
  }
}

extension Architecture {
  /// How transformers' classes of the family begin.
  var classStem: String {
    switch self {
    case .bert: "Bert"
    case .distilbert: "DistilBert"
    case .albert: "Albert"
    }
  }
}
