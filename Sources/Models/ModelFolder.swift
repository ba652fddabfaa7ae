import Platform

/// Writing a copy of a model's folder: what quantising and averaging have in common.
enum ModelFolder {
  /// Refuses an output that exists, unless it may be replaced, and one that is an input.
  static func checkOutput(
    _ output: String, overwrite: Bool, inputs: [String]
  ) throws(RetortError) {
    guard overwrite || FileSystem.kind(of: output) == .nothing else {
      throw RetortError(
        .usage, "exists already; name another folder or replace it with --overwrite",
        path: output)
    }
    for input in inputs where FileSystem.resolved(output) == FileSystem.resolved(input) {
      throw RetortError(.usage, "is the model itself; name another folder", path: output)
    }
    try FileSystem.checkOutputFolder(FileSystem.parent(of: output))
  }

  /// Makes the folder `output` of what `fill` puts into a folder of another name, when it is complete.
  static func write(
    _ output: String, overwrite: Bool, fill: (String) throws(RetortError) -> Void
  ) throws(RetortError) {
    let partial = output + ".partial"
    try FileSystem.removeTree(partial)
    try FileSystem.makeFolder(partial)
    try fill(partial)
    try FileSystem.syncFolder(partial)
    if overwrite { try FileSystem.removeTree(output) }
    try FileSystem.rename(partial, to: output)
  }

  /// Copies everything that is not weights; of folders, their configuration.
  static func copySideFiles(from source: String, to target: String) throws(RetortError) {
    for name in try FileSystem.names(in: source) where !name.hasPrefix(".") {
      switch FileSystem.kind(of: source + "/" + name) {
      case .file where !weightEndings.contains(where: name.hasSuffix):
        try copy(source + "/" + name, to: target + "/" + name)
      case .folder where FileSystem.kind(of: source + "/\(name)/config.json") == .file:
        try FileSystem.makeFolder(target + "/" + name)
        try copy(source + "/\(name)/config.json", to: target + "/\(name)/config.json")
      default: continue
      }
    }
  }

  private static let weightEndings = [
    ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".onnx", ".h5",
    ".msgpack", ".ot", ".pt",
  ]

  private static func copy(_ source: String, to target: String) throws(RetortError) {
    try FileSystem.replace(target, with: try FileSystem.read(source))
  }
}
