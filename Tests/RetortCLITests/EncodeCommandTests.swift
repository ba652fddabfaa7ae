import Formats
import Foundation
import Indexing
import Models
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct EncodeCommandTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("encode")
  }

  private func encode(
    _ more: String..., to name: String, corpus: String? = nil, input: [UInt8] = [],
    environment: [String: String] = [:]
  ) throws -> CLIResult {
    try CLIRunner.run(
      [
        "encode", "--corpus", corpus ?? fixture.corpusPath, "--model", fixture.model, "--output",
        path(name), "--batch-size", "50", "--precision", "f32", "--quiet",
      ] + more, input: input, environment: environment)
  }

  private func path(_ name: String) -> String { folder.path + "/" + name }

  private func ids(_ name: String) throws -> [String] {
    String(decoding: try FileSystem.read(path(name)), as: UTF8.self)
      .split(separator: "\n").map(String.init)
  }

  /// The largest difference; sums may be rounded differently in batches of another make-up.
  private func distance(_ one: [Float], _ other: [Float]) -> Float {
    one.count == other.count ? zip(one, other).map { abs($0 - $1) }.max() ?? 0 : .infinity
  }

  @Test func `peak memory is the program's, not that of the one that started it`() throws {
    // Untouched pages would not be resident.
    let mine = [UInt8](repeating: 1, count: 400_000_000)
    let result = try encode("--json", to: "small.npy")
    #expect(mine[mine.count - 1] == 1)
    let report = try JSONDecoder().decode(
      CorpusEncodingReport.self, from: Data(result.standardOutput.utf8))
    #expect((1_000_000..<300_000_000).contains(report.peakBytes), "\(report.peakBytes)")
  }

  @Test func `vectors are those of the library, in the order of the ids`() throws {
    let result = try encode("--json", to: "out.npy")
    #expect(result.exitCode == 0, "\(result)")
    let report = try JSONDecoder().decode(
      CorpusEncodingReport.self, from: Data(result.standardOutput.utf8))
    #expect(report.count == 400 && report.encoded == 400 && report.dimension == TinyEncoder.width)
    #expect(report.stages.read > 0 && report.stages.encode > 0 && report.stages.tokenize > 0)
    #expect(report.peakBytes > 0 && report.seconds > 0)
    let encoder = try TextEncoder(directory: fixture.model)
    let passages = fixture.corpus.passages
    let expected = try encoder.encode(texts: passages.map(\.text), threads: 1)
    let table = try VectorTable(path: path("out.npy"))
    #expect(table.count == 400)
    #expect(distance(try table.rows(0..<400), expected) < 1e-5)
    #expect(try ids("out.ids") == passages.map(\.id))
    #expect(try FileSystem.names(in: folder.path) == ["out.ids", "out.json", "out.npy"])
    let description = String(decoding: try FileSystem.read(path("out.json")), as: UTF8.self)
    #expect(description.contains("\"fingerprint\" : \"\(encoder.fingerprint)\""))
  }

  @Test func `all formats hold the same vectors, whatever the threads, batches and sources`() throws
  {
    #expect(try encode("--threads", "1", to: "a.npy").exitCode == 0)
    let expected = try VectorTable(path: path("a.npy")).rows(0..<400)
    let beir = try folder.file("beir/corpus.jsonl", fixture.corpus.jsonl)
    _ = try CLIRunner.shell("gzip -c '\(fixture.corpusPath)' > '\(path("corpus.tsv.gz"))'")
    for (name, corpus, more) in [
      ("b.npy", fixture.corpusPath, ["--threads", "2", "--batch-size", "7"]),
      ("c.fvecs", path("corpus.tsv.gz"), ["--threads", "3"]), ("d.fbin", path("beir"), []),
      ("e.npy", "-", []), ("f.fbin", beir, ["--max-length", "48"]),
    ] {
      let result = try CLIRunner.run(
        [
          "encode", "--corpus", corpus, "--model", fixture.model, "--output", path(name),
          "--precision", "f32",
        ] + more,
        input: corpus == "-" ? Array(fixture.corpus.tsv.utf8) : [])
      #expect(result.exitCode == 0, "\(result)")
      let vectors = try VectorTable(path: path(name)).rows(0..<400)
      #expect(distance(vectors, expected) < 1e-5, "\(name)")
    }
    #expect(try encode("--threads", "3", to: "g.npy").exitCode == 0)
    #expect(try FileSystem.read(path("a.npy")) == FileSystem.read(path("g.npy")))
  }

  @Test func `queries are encoded, from a BEIR folder too`() throws {
    try folder.file("beir/queries.jsonl", #"{"_id": "q1", "text": "gold and water"}"# + "\n")
    try folder.file("beir/corpus.jsonl", #"{"_id": "d1", "text": "snow"}"# + "\n")
    let result = try CLIRunner.run([
      "encode", "--topics", path("beir"), "--model", fixture.model, "--output", path("q.fvecs"),
      "--precision", "f32",
    ])
    #expect(result.exitCode == 0, "\(result)")
    #expect(try ids("q.ids") == ["q1"])
    let expected = try TextEncoder(directory: fixture.model)
      .encode(texts: ["gold and water"], threads: 1)
    #expect(try VectorTable(path: path("q.fvecs")).rows(0..<1) == expected)
    for arguments in [["--topics", "a", "--corpus", "b"], []] {
      let wrong = try CLIRunner.run(
        ["encode", "--model", fixture.model, "--output", path("x.npy")] + arguments)
      #expect(wrong.exitCode == 64)
    }
  }

  @Test func `shards together are the whole`() throws {
    #expect(try encode(to: "whole.npy").exitCode == 0)
    let whole = try VectorTable(path: path("whole.npy")).rows(0..<400)
    let width = TinyEncoder.width
    for shard in 0..<3 {
      let environment =
        shard == 2
        ? [
          "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "3",
        ] : [:]
      let result = try CLIRunner.run(
        [
          "encode", "--corpus", fixture.corpusPath, "--model", fixture.model, "--output",
          path("part.npy"), "--precision", "f32",
        ] + (shard == 2 ? [] : ["--shard-id", "\(shard)", "--shard-num", "3"]),
        environment: environment)
      #expect(result.exitCode == 0, "\(result)")
      let name = "part-0000\(shard)-of-00003"
      let numbers = Array(stride(from: shard, to: 400, by: 3))
      #expect(try ids(name + ".ids") == numbers.map { fixture.corpus.passages[$0].id })
      let table = try VectorTable(path: path(name + ".npy"))
      let expected = numbers.flatMap { whole[($0 * width)..<(($0 + 1) * width)] }
      #expect(table.count == numbers.count)
      #expect(distance(try table.rows(0..<table.count), expected) < 1e-5)
    }
    // More shards than passages: the last ones are empty, not an error.
    let two = try folder.file("two.tsv", "a\twater\nb\tgold\n")
    let empty = try encode("--shard-id", "2", "--shard-num", "3", to: "few.npy", corpus: two)
    #expect(empty.exitCode == 0, "\(empty)")
    #expect(try VectorTable(path: path("few-00002-of-00003.npy")).count == 0)
  }

  @Test func `a finished file is not replaced unasked, and resuming it does nothing`() throws {
    #expect(try encode(to: "out.npy").exitCode == 0)
    let before = try contents(of: folder.path)
    let again = try encode(to: "out.npy")
    #expect(again.exitCode == 64 && again.standardError.contains("--overwrite"))
    let resumed = try encode("--resume", to: "out.npy")
    #expect(resumed.exitCode == 0, "\(resumed)")
    #expect(try contents(of: folder.path) == before)
    let other = try CLIRunner.run([
      "encode", "--corpus", fixture.corpusPath, "--model", fixture.folder.path + "/other-model",
      "--output", path("out.npy"), "--resume",
    ])
    #expect(other.exitCode == 64 && other.standardError.contains("another model"))
    #expect(try contents(of: folder.path) == before)
    #expect(try encode("--overwrite", to: "out.npy").exitCode == 0)
    #expect(try contents(of: folder.path) == before)
  }

  @Test func `work cannot be resumed with other settings`() throws {
    let broken = fixture.corpus.tsv + "bad line\n"
    let corpus = try folder.file("corpus.tsv", broken)
    let failed = try encode(to: "out.npy", corpus: corpus)
    #expect(failed.exitCode == 65 && failed.standardError.contains("\(corpus):401: "), "\(failed)")
    #expect(FileSystem.kind(of: path("out.npy")) == .nothing)
    #expect(FileSystem.kind(of: path("out.npy.part")) == .folder)
    let bare = try encode(to: "out.npy", corpus: corpus)
    #expect(bare.exitCode == 64 && bare.standardError.contains("--resume"))
    for more in ["--skip-bad-lines", "--shard-num=1"] {
      let result = try encode("--resume", "--batch-size=60", more, to: "out.npy", corpus: corpus)
      #expect(result.exitCode == 64 && result.standardError.contains("--batch-size"), "\(result)")
    }
    try folder.file("corpus.tsv", fixture.corpus.tsv)
    let mended = try encode("--resume", "--json", to: "out.npy", corpus: corpus)
    #expect(mended.exitCode == 0, "\(mended)")
    let report = try JSONDecoder().decode(
      CorpusEncodingReport.self, from: Data(mended.standardOutput.utf8))
    #expect(report.count == 400 && report.encoded < 400)
  }

  @Test func `bad lines, empty and cut texts are counted`() throws {
    let long = String(repeating: "water ", count: 100)
    let corpus = try folder.file("corpus.tsv", "a\t\(long)\nbad\nb\t\nc\tgold\nbad\n")
    let strict = try encode(to: "out.npy", corpus: corpus)
    #expect(strict.exitCode == 65 && strict.standardError.contains("\(corpus):2: "))
    #expect(try FileSystem.names(in: folder.path) == ["corpus.tsv"])
    let result = try encode("--skip-bad-lines", to: "out.npy", corpus: corpus)
    #expect(result.exitCode == 0)
    for part in [
      "2 lines: ", "warning: 1 of 3 texts were longer", "warning: 1 text is empty",
      "warning: 2 bad lines were skipped",
    ] { #expect(result.standardError.contains(part), "\(result)") }
  }

  @Test func `mistakes cost one line and leave nothing behind`() throws {
    try folder.file("empty.tsv", "")
    try folder.file("newline.jsonl", #"{"_id": "a\nb", "text": "x"}"# + "\n")
    for (name, corpus, code, part) in [
      ("out.bin", nil, 64, ".npy, .fvecs or .fbin"), ("", nil, 64, ".npy, .fvecs or .fbin"),
      ("out.npy", path("missing.tsv"), 66, "missing.tsv"),
      ("out.npy", path("empty.tsv"), 65, "holds no texts"),
    ] as [(String, String?, Int32, String)] {
      let result = try encode(to: name, corpus: corpus)
      #expect(result.exitCode == code && result.standardError.contains(part), "\(name) \(result)")
      #expect(FileSystem.kind(of: path("out.npy")) == .nothing)
      #expect(FileSystem.kind(of: path("out.npy.part")) == .nothing)
    }
    let newline = try encode(to: "out.npy", corpus: path("newline.jsonl"))
    #expect(newline.exitCode == 65 && newline.standardError.contains(#""a\nb""#), "\(newline)")
    #expect(FileSystem.kind(of: path("out.npy")) == .nothing)
  }
}

/// One after the other: their moments are measured.
@Suite(.serialized) struct EncodeKillTests {
  private let folder: TemporaryFolder
  private let reference: [UInt8]
  private let ids: [UInt8]

  init() throws {
    folder = try TemporaryFolder("encode-kill")
    try TinyEncoder.write(to: folder.path + "/model")
    try folder.file("corpus.tsv", SyntheticCorpus(count: 6000, seed: 93).tsv)
    let result = try CLIRunner.run(Self.arguments(folder, "reference.npy", threads: 1))
    #expect(result.exitCode == 0, "\(result)")
    reference = try FileSystem.read(folder.path + "/reference.npy")
    ids = try FileSystem.read(folder.path + "/reference.ids")
  }

  private static func arguments(_ folder: TemporaryFolder, _ name: String, threads: Int = 2)
    -> [String]
  {
    [
      "encode", "--corpus", folder.path + "/corpus.tsv", "--model", folder.path + "/model",
      "--output", folder.path + "/" + name, "--batch-size", "200", "--threads", "\(threads)",
      "--quiet",
    ]
  }

  private func resumeAndCompare(_ what: String) throws {
    let result = try CLIRunner.run(
      Self.arguments(folder, "out.npy") + ["--resume", "--json"])
    #expect(result.exitCode == 0, "\(what): \(result)")
    #expect(try FileSystem.read(folder.path + "/out.npy") == reference, "\(what)")
    #expect(try FileSystem.read(folder.path + "/out.ids") == ids, "\(what)")
    #expect(FileSystem.kind(of: folder.path + "/out.npy.part") == .nothing)
    for ending in ["npy", "ids", "json"] {
      try FileSystem.remove(folder.path + "/out." + ending)
    }
  }

  @Test func `killed at any block, a run resumes to the same bytes`() throws {
    var kills = 0
    for block in [0, 3, 11, 22, 29] {
      let number = String(repeating: "0", count: block < 10 ? 5 : 4) + "\(block)"
      let work = try CLIRunner.start(Self.arguments(folder, "out.npy"))
      // The last blocks are there for so short a time that a look may miss them.
      #expect(
        work.wait {
          FileSystem.kind(of: folder.path + "/out.npy.part/building/block-\(number).part") == .file
            || FileSystem.kind(of: folder.path + "/out.json") == .file
        })
      work.send(SIGKILL)
      let ended = try work.wait()
      if ended.signal == SIGKILL {
        kills += 1
        // Nothing half-written under the final names.
        let finished = FileSystem.kind(of: folder.path + "/out.json") == .file
        #expect(finished || FileSystem.kind(of: folder.path + "/out.npy.part") == .folder)
      }
      try resumeAndCompare("killed at block \(block)")
    }
    #expect(kills >= 3, "\(kills) of 5 were killed in time")
  }

  @Test func `Ctrl-C is answered at once`() throws {
    let work = try CLIRunner.start(Self.arguments(folder, "out.npy"))
    #expect(
      work.wait {
        FileSystem.kind(of: folder.path + "/out.npy.part/building/block-000002.part") == .file
      })
    let result = try work.interrupt()
    #expect(result.exitCode == 130, "\(result)")
    #expect(result.standardError.contains("--resume"))
    #expect(FileSystem.kind(of: folder.path + "/out.npy") == .nothing)
    try resumeAndCompare("interrupted")
  }
}
