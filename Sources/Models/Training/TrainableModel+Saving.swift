import Formats
import Foundation
import Platform
import Tensors

extension TrainableModel {
  /// Tokenizer files and licences, copied as they are.
  private static let copied = [
    "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "spiece.model", "spm.model",
  ]

  /// Writes a model directory in the layout of Hugging Face and sentence-transformers into the
  /// existing folder `folder`: the same weights give the same bytes.
  package func save(to folder: String) throws(RetortError) {
    for name in try FileSystem.names(in: files.directory)
    where Self.copied.contains(name) || name.hasPrefix("LICENSE") || name.hasPrefix("NOTICE") {
      guard files.has(name) else { continue }
      try FileSystem.replace(folder + "/" + name, with: try FileSystem.read(files.path(name)))
    }
    try FileSystem.replace(folder + "/config.json", with: try configurationFile())
    try FileSystem.replace(
      folder + "/sentence_bert_config.json",
      with: try Self.bytes(
        ["max_seq_length": passageLength, "do_lower_case": false] as [String: Any]))
    if kind == .bertDot { try saveModules(to: folder) }
    var writer = SafeTensorsWriter()
    writer.metadata = ["format": "pt"]
    try parameters.add(to: &writer)
    for (name, source) in kept {
      writer.add(
        name, shape: source.tensor.shape, values: try source.file.floats(source.tensor))
    }
    try writer.write(to: folder + "/model.safetensors")
    try FileSystem.syncFolder(folder)
  }

  /// `config.json` of the start, with the class that the weights now belong to.
  private func configurationFile() throws(RetortError) -> [UInt8] {
    let path = files.path("config.json")
    let data = Data(try FileSystem.read(path))
    guard var fields = (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] else {
      throw RetortError(.badData, "is not valid JSON; download it again", path: path)
    }
    let stem =
      switch transformer.configuration.architecture {
      case .bert: "Bert"
      case .distilbert: "DistilBert"
      case .albert: "Albert"
      }
    // transformers' DistilBERT for classification has a layer before the head; without it the class
    // would draw one at random.
    let isClassifier =
      kind == .bertCat
      && (transformer.configuration.architecture != .distilbert || network?.pooler != nil)
    fields["architectures"] = [stem + (isClassifier ? "ForSequenceClassification" : "Model")]
    fields["torch_dtype"] = "float32"
    fields["_name_or_path"] = nil
    if kind == .bertCat {
      fields["num_labels"] = 1
      fields["id2label"] = ["0": "LABEL_0"]
      fields["label2id"] = ["LABEL_0": 0]
    }
    return try Self.bytes(fields)
  }

  private func saveModules(to folder: String) throws(RetortError) {
    func module(_ index: Int, _ kind: String, _ path: String) -> [String: Any] {
      [
        "idx": index, "name": "\(index)", "path": path,
        "type": "sentence_transformers.models.\(kind)",
      ]
    }
    try FileSystem.makeFolder(folder + "/1_Pooling")
    var modules = [module(0, "Transformer", ""), module(1, "Pooling", "1_Pooling")]
    if normalizes { modules.append(module(2, "Normalize", "2_Normalize")) }
    let contents: [(String, Any)] = [
      ("modules.json", modules),
      (
        "1_Pooling/config.json",
        [
          "word_embedding_dimension": transformer.configuration.width,
          "pooling_mode_cls_token": pooling == .cls,
          "pooling_mode_mean_tokens": pooling == .mean, "pooling_mode_max_tokens": false,
          "pooling_mode_mean_sqrt_len_tokens": false,
        ] as [String: Any]
      ),
      (
        "config_sentence_transformers.json",
        ["similarity_fn_name": "dot", "prompts": [String: String]()] as [String: Any]
      ),
    ]
    for (name, content) in contents {
      try FileSystem.replace(folder + "/" + name, with: try Self.bytes(content))
    }
    try FileSystem.syncFolder(folder + "/1_Pooling")
  }

  private static func bytes(_ value: Any) throws(RetortError) -> [UInt8] {
    do {
      let data = try JSONSerialization.data(
        withJSONObject: value, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
      return Array(data) + [UInt8(ascii: "\n")]
    } catch {
      throw RetortError(.badData, "cannot be written as JSON", cause: error)
    }
  }
}
