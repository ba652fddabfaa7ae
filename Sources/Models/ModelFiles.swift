import Formats
import Foundation
import Platform

/// The files of a Hugging Face model directory.
struct ModelFiles {
  let directory: String

  init(_ directory: String) throws(RetortError) {
    self.directory = directory
    switch FileSystem.kind(of: directory) {
    case .folder: break
    case .nothing:
      throw RetortError(
        .missingInput, "does not exist; name the folder of a model", path: directory)
    case .file, .other:
      throw RetortError(
        .missingInput, "is not a folder; name the folder that holds config.json", path: directory)
    }
  }

  func path(_ name: String) -> String { directory + "/" + name }

  func has(_ name: String) -> Bool { FileSystem.kind(of: path(name)) == .file }

  func hasFolder(_ name: String) -> Bool { FileSystem.kind(of: path(name)) == .folder }

  /// The decoded JSON file, or nil when there is none.
  func json<Content: Decodable>(
    _ name: String, as type: Content.Type, limit: Int = 1 << 28
  ) throws(RetortError) -> Content? {
    try decoded(name, type, limit) as? Content
  }

  /// `json` for all types: its code is large and needs no copy for each of them.
  @inline(never)
  private func decoded(
    _ name: String, _ type: any Decodable.Type, _ limit: Int
  ) throws(RetortError) -> (any Decodable)? {
    guard has(name) else { return nil }
    let bytes = try FileSystem.read(path(name), limit: limit)
    do {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(type, from: Data(bytes))
    } catch let error as DecodingError {
      throw RetortError(
        .badData, Self.explain(error) + "; correct the file or download it again", path: path(name))
    } catch {
      throw RetortError(
        .badData, "is not valid JSON; download it again", path: path(name), cause: error)
    }
  }

  private static func explain(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context) -> String {
      context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? snakeCase($0.stringValue) }
        .joined(separator: ".")
    }
    // The key as it stands in the file.
    func snakeCase(_ key: String) -> String {
      key.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
    }
    switch error {
    case .keyNotFound(let key, let context):
      let parent = place(context)
      return "has no \(parent.isEmpty ? "" : parent + ".")\(snakeCase(key.stringValue))"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      let field = place(context)
      return field.isEmpty ? "is not a JSON object" : "has a \(field) of the wrong type"
    default: return "is not valid JSON"
    }
  }
}

/// A model directory as every loader begins with it: its configuration is read, its tensors are found.
struct OpenedModel {
  let files: ModelFiles
  let configuration: ModelConfiguration
  let tensors: TensorFiles

  /// Opens a directory of whatever kind but TK; of another kind than `wanted` it is refused where it says
  /// what it is.
  init(_ directory: String, for wanted: ModelKind? = nil) throws(RetortError) {
    files = try ModelFiles(directory)
    configuration = try ModelConfiguration(files, for: wanted)
    tensors = try TensorFiles(files)
    guard let wanted else { return }
    let kind = try self.kind
    // What lacks its head looks like an encoder; which head that is, the loader says.
    guard kind == wanted || kind == .encoder || kind != .prettr && hasHead(of: wanted) else {
      throw kind.refusal(directory, wanted: wanted)
    }
  }

  /// What it is.
  var kind: ModelKind {
    get throws(RetortError) { try ModelKind(files, tensors) }
  }

  /// Whether the head of `wanted` is there, perhaps beside another's.
  private func hasHead(of wanted: ModelKind) -> Bool {
    switch wanted {
    case .crossEncoder: tensors["classifier.weight"] != nil
    case .colbert: ColBERTNetwork.hasProjection(tensors)
    case .encoder, .prettr, .tk: false
    }
  }
}

/// All tensors of a model, from `model.safetensors` or its shards.
struct TensorFiles {
  private(set) var files: [SafeTensors] = []
  private var places: [String: (file: Int, tensor: SafeTensors.Tensor)] = [:]

  private struct Index: Decodable { var weightMap: [String: String] }

  init(_ model: ModelFiles) throws(RetortError) {
    let single = "model.safetensors"
    if model.has(single) {
      try add(SafeTensors(path: model.path(single)))
    } else if let index = try model.json(single + ".index.json", as: Index.self) {
      try add(shardsOf: index, in: model)
    } else if model.has("pytorch_model.bin") || model.has("pytorch_model.bin.index.json") {
      throw RetortError(
        .missingInput,
        "holds its weights as a Python pickle (pytorch_model.bin), which can run code when it is "
          + "read and is not supported; save the model as model.safetensors "
          + "(save_pretrained(…, safe_serialization=True))", path: model.directory)
    } else {
      throw RetortError(
        .missingInput, "has no model.safetensors; download the whole model", path: model.directory)
    }
  }

  private mutating func add(_ file: SafeTensors) throws(RetortError) {
    for tensor in file.tensors {
      guard places.updateValue((files.count, tensor), forKey: tensor.name) == nil else {
        throw RetortError(
          .badData,
          "holds the tensor '\(tensor.name)', and so does another shard; "
            + "download the model again", path: file.path)
      }
    }
    files.append(file)
  }

  private mutating func add(shardsOf index: Index, in model: ModelFiles) throws(RetortError) {
    let indexPath = model.path("model.safetensors.index.json")
    for name in Set(index.weightMap.values).ordered() {
      // The index is data from elsewhere: it may not reach outside the model's folder.
      guard !name.contains("/"), name != "..", !name.isEmpty else {
        throw RetortError(
          .badData,
          "names the shard '\(name)', which is not a plain file name; "
            + "download the model again", path: indexPath)
      }
      try add(SafeTensors(path: model.path(name)))
    }
    for (tensor, shard) in index.weightMap.ordered(by: { $0.key < $1.key }) {
      guard let place = places[tensor], files[place.file].path == model.path(shard) else {
        throw RetortError(
          .badData,
          "says that \(shard) holds the tensor '\(tensor)', but it does not; "
            + "download the model again", path: indexPath)
      }
    }
  }

  /// All names, sorted.
  var names: [String] { places.keys.ordered() }

  /// Where the weights come from, for errors about a tensor that is missing.
  var path: String { files.first?.path ?? "" }

  subscript(name: String) -> (file: SafeTensors, tensor: SafeTensors.Tensor)? {
    places[name].map { (files[$0.file], $0.tensor) }
  }
}
