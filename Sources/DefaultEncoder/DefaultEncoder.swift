import Platform

/// The encoder that comes with Retort: a BERT_DOT student of six layers and 384 dimensions in int8.
///
/// It is a resource of this module. SwiftPM puts resources beside the program, and they are looked for
/// there and not through `Bundle.module`, which loads Foundation, takes milliseconds of a query's
/// start and ends the process where the folder is missing.
public enum DefaultEncoder {
  /// The name that stands for it on the command line and in an index's manifest: an index that was
  /// built with it opens wherever the program lies.
  public static let name = "default"

  /// The model's folder, in the layout of Hugging Face.
  ///
  /// - Throws: `missingInput` if the program was moved without its resources.
  public static func folder() throws(RetortError) -> String {
    let program = programPath().map(FileSystem.parent) ?? "."
    for place in [program, FileSystem.parent(of: program) + "/share/retort"] {
      let folder = place + "/" + resources + "/Model"
      if FileSystem.kind(of: folder) == .folder { return folder }
    }
    throw RetortError(
      .missingInput,
      "the encoder that comes with the program is not beside it; put the folder back (the build makes "
        + "it), or name another encoder with --model", path: program + "/" + resources)
  }

  #if canImport(Darwin)
    private static let resources = "Retort_DefaultEncoder.bundle"
  #else
    private static let resources = "Retort_DefaultEncoder.resources"
  #endif
}
