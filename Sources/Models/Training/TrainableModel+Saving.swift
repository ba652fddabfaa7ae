import Platform

extension TrainableModel {
  /// Writes a model directory in the layout of Hugging Face and sentence-transformers into the
  /// existing folder `folder`: the same weights give the same bytes.
  package func save(to folder: String) throws(RetortError) {
    let checkpoint = CheckpointFolder(start: files, path: folder)
    try checkpoint.copyFiles()
    let architecture = transformer.configuration.architecture
    // transformers' DistilBERT for classification has a layer before the head; without it the class
    // would draw one at random.
    let isClassifier =
      kind == .bertCat && (architecture != .distilbert || network?.pooler != nil)
    var fields: [String: Any] = [
      "architectures": [
        architecture.classStem + (isClassifier ? "ForSequenceClassification" : "Model")
      ]
    ]
    if kind == .bertCat {
      fields["num_labels"] = 1
      fields["id2label"] = ["0": "LABEL_0"]
      fields["label2id"] = ["LABEL_0": 0]
    }
    try checkpoint.writeConfiguration(fields)
    try checkpoint.write(maxLength: passageLength)
    if kind == .bertDot { try saveModules(checkpoint) }
    try checkpoint.write(parameters, kept: kept)
  }

  private func saveModules(_ checkpoint: CheckpointFolder) throws(RetortError) {
    func module(_ index: Int, _ kind: String, _ path: String) -> [String: Any] {
      [
        "idx": index, "name": "\(index)", "path": path,
        "type": "sentence_transformers.models.\(kind)",
      ]
    }
    let folder = checkpoint.path + "/1_Pooling"
    try FileSystem.makeFolder(folder)
    var modules = [module(0, "Transformer", ""), module(1, "Pooling", "1_Pooling")]
    if normalizes { modules.append(module(2, "Normalize", "2_Normalize")) }
    try checkpoint.write(modules, to: "modules.json")
    try checkpoint.write(
      [
        "word_embedding_dimension": transformer.configuration.width,
        "pooling_mode_cls_token": pooling == .cls,
        "pooling_mode_mean_tokens": pooling == .mean, "pooling_mode_max_tokens": false,
        "pooling_mode_mean_sqrt_len_tokens": false,
      ] as [String: Any], to: "1_Pooling/config.json")
    try checkpoint.write(
      ["similarity_fn_name": "dot", "prompts": [String: String]()] as [String: Any],
      to: "config_sentence_transformers.json")
    try FileSystem.syncFolder(folder)
  }
}
