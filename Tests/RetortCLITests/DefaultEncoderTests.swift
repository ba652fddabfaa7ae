import DefaultEncoder
import Models
import Platform
import Store
import TestSupport
import Testing

@Suite struct DefaultEncoderTests {
  private let folder: TemporaryFolder
  private let passages = """
    p1\tThe heart pumps blood through the body.
    p2\tBread is baked from flour, water and yeast.
    p3\tThe moon goes round the earth in about a month.

    """

  init() throws {
    folder = try TemporaryFolder("default-encoder")
    try folder.file("corpus.tsv", Array(passages.utf8))
  }

  @Test func `an index needs no model, and opens without one`() throws {
    let index = folder.path + "/index"
    let built = try CLIRunner.run([
      "index", "build", "--corpus", folder.path + "/corpus.tsv", "--output", index, "--quiet",
    ])
    #expect(built.exitCode == 0, "\(built)")
    let found = try CLIRunner.run([
      "search", index, "What does a baker need?", "--hits", "1", "--output-format", "trec",
    ])
    #expect(found.exitCode == 0, "\(found)")
    #expect(found.standardOutput.contains("p2"), "\(found)")
    // Its name is in the manifest, not the place where it lies today.
    let info = try CLIRunner.run(["index", "info", index])
    #expect(info.standardOutput.contains("model:        default\n"), "\(info)")
  }

  @Test func `it is an int8 checkpoint of 24 MB at most, and says where it comes from`() throws {
    let model = try DefaultEncoder.folder()
    var bytes = 0
    for name in try FileSystem.names(in: model)
    where FileSystem.kind(of: model + "/" + name) == .file {
      bytes += try FileSystem.size(of: model + "/" + name)
    }
    #expect(bytes <= 24_000_000)
    var options = EncoderOptions()
    options.precision = .auto
    let encoder = try TextEncoder(directory: model, options: options)
    #expect(encoder.dimension == 384 && encoder.summary.precision.value == .int8)
    for name in ["NOTICE", "README.md"] {
      #expect(try FileSystem.size(of: model + "/" + name) > 500)
    }
  }

  @Test func `a program without its encoder says what is missing`() throws {
    let result = try CLIRunner.shell(
      """
      cp "$0" "\(folder.path)/retort" && cd "\(folder.path)" && \
      exec ./retort index build --corpus corpus.tsv --output lonely
      """)
    #expect(result.exitCode == 66, "\(result)")
    #expect(result.standardError.contains("--model"), "\(result)")
    #expect(FileSystem.kind(of: folder.path + "/lonely") == .nothing)
  }
}
