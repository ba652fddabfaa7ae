import Foundation
import Platform
import Retrieval
import Store
import TestSupport
import Testing

/// One after the other: their moments are measured.
@Suite(.serialized) struct KillResumeTests {
  /// A build that takes long enough to be killed in every phase.
  private final class Subject: Sendable {
    let folder: TemporaryFolder
    let reference: String
    let seconds: Double

    static let shared = Result { try Subject() }

    private init() throws {
      folder = try TemporaryFolder("kill")
      reference = folder.path + "/reference"
      try TinyEncoder.write(to: folder.path + "/model")
      try folder.file("corpus.tsv", SyntheticCorpus(count: 4500, seed: 91).tsv)
      let start = monotonicSeconds()
      let result = try CLIRunner.run(Self.arguments(folder, reference))
      seconds = monotonicSeconds() - start
      guard result.exitCode == 0 else { throw RetortError(.badData, "no build: \(result)") }
    }

    func arguments(_ output: String) -> [String] { Self.arguments(folder, output) }

    private static func arguments(_ folder: TemporaryFolder, _ output: String) -> [String] {
      [
        "index", "build", "--corpus", folder.path + "/corpus.tsv", "--model",
        folder.path + "/model", "--output", output, "--batch-size", "300", "--threads", "2",
        "--m", "12", "--ef-construction", "80", "--lexical", "--quiet",
      ]
    }
  }

  private let subject: Subject
  private let folder: TemporaryFolder
  private var output: String { folder.path + "/index" }

  init() throws {
    subject = try Subject.shared.get()
    folder = try TemporaryFolder("killed")
  }

  /// Starts a build and kills it after `seconds`; false when it had finished before.
  private func kill(after seconds: Double, _ more: [String] = []) throws -> Bool {
    let build = try CLIRunner.start(subject.arguments(output) + more)
    let end = monotonicSeconds() + seconds
    _ = build.wait { monotonicSeconds() >= end }
    build.send(SIGKILL)
    let result = try build.wait()
    #expect(result.signal == SIGKILL || result.exitCode == 0, "\(result)")
    return result.signal == SIGKILL
  }

  private func resumeAndCompare(_ what: String) throws {
    let result = try CLIRunner.run(subject.arguments(output) + ["--resume"])
    #expect(result.exitCode == 0, "\(what): \(result)")
    #expect(try differences(subject.reference, output) == [], "\(what)")
    try FileSystem.removeTree(output)
  }

  @Test func `killed at random moments, a build resumes to the same bytes`() throws {
    let seed: UInt64 = 92
    var random = SplitMix64(seed: seed)
    var kills = 0
    let moments = Soak.times(20)
    for moment in 0..<moments {
      let delay = (Double(moment) + random.unit()) / Double(moments) * subject.seconds
      var note = "seed \(seed), killed after \(delay) of \(subject.seconds) s"
      if try kill(after: delay) { kills += 1 }
      if moment % 5 == 0 {
        let again = random.unit() * subject.seconds / 2
        if try kill(after: again, ["--resume"]) { kills += 1 }
        note += ", again after \(again) s"
      }
      try resumeAndCompare(note)
    }
    #expect(kills >= moments * 3 / 5, "the builds were too fast to be killed")
  }

  @Test(
    arguments: [
      "building/lock", "building/plan.json", "building/block-000002.part.tmp",
      "building/vectors.seg", "building/passages.seg", "building/lexical.seg", "building/graph.seg",
      "segments/000001/graph.seg", "segments/000001/vectors.seg", "manifest.json",
    ])
  func `killed as soon as a file appears, a build resumes to the same bytes`(file: String) throws {
    let build = try CLIRunner.start(subject.arguments(output))
    _ = build.wait { FileSystem.kind(of: output + "/" + file) != .nothing }
    build.send(SIGKILL)
    _ = try build.wait()
    try resumeAndCompare("killed when \(file) appeared")
  }

  @Test(arguments: [0.3, 1.1, 2.0])
  func `Ctrl-C while vectors from elsewhere are linked is answered at once`(
    seconds: Double
  ) throws {
    // 40,000 vectors of 64 dimensions and many candidates each, ten seconds of linking.
    var random = SplitMix64(seed: 93)
    var file: [UInt8] = []
    file.appendInteger(UInt32(40_000))
    file.appendInteger(UInt32(64))
    for _ in 0..<(40_000 * 64) { file.appendInteger(Float(random.normal()).bitPattern) }
    let vectors = try folder.file("v.fbin", file)
    let build = try CLIRunner.start([
      "index", "build", "--vectors", vectors, "--output", output, "--threads", "2", "--quiet",
      "--ef-construction", "1500",
    ])
    #expect(build.wait { FileSystem.kind(of: output + "/building/passages.seg") == .file })
    let end = monotonicSeconds() + seconds
    _ = build.wait { monotonicSeconds() >= end }
    let result = try build.interrupt()
    #expect(result.exitCode == 130 && result.signal == 0, "\(result)")
    #expect(FileSystem.kind(of: output) == .nothing)
  }

  @Test func `a build that is killed while it replaces an index leaves the old one answering`()
    throws
  {
    let small = try CLIFixture.shared.get()
    #expect(try small.build(small.corpusPath, to: output).exitCode == 0)
    let question = small.corpus.passages[30].text
    let before = try CLIRunner.run(["search", output, question, "--quiet"])
    #expect(before.exitCode == 0)
    for file in ["block-000003.part", "passages.seg", "graph.seg"] {
      // On a busy machine a build may be done before its file is seen: then all begins again.
      for attempt in 1... {
        let build = try CLIRunner.start(subject.arguments(output) + ["--overwrite"])
        _ = build.wait { FileSystem.kind(of: output + "/building/" + file) == .file }
        build.send(SIGKILL)
        _ = try build.wait()
        if FileSystem.kind(of: output + "/building") == .folder { break }
        try #require(attempt < 10, "no build could be killed when \(file) appeared")
        #expect(try small.build(small.corpusPath, to: output, "--overwrite").exitCode == 0)
      }
      let after = try CLIRunner.run(["search", output, question, "--quiet"])
      #expect(after.exitCode == 0 && after.standardOutput == before.standardOutput, "\(after)")
      let verify = try CLIRunner.run(["index", "verify", output])
      #expect(verify.standardOutput.hasPrefix("ok: 400 passages"))
    }
    let resumed = try CLIRunner.run(subject.arguments(output) + ["--resume"])
    #expect(resumed.exitCode == 0, "\(resumed)")
    let segments = try FileSystem.names(in: output + "/segments")
    #expect(segments.count == 1 && segments != ["000001"])
    for name in ["vectors.seg", "passages.seg", "graph.seg"] {
      #expect(
        try FileSystem.read(output + "/segments/\(segments.first ?? "")/" + name)
          == FileSystem.read(subject.reference + "/segments/000001/" + name))
    }
  }

  @Test(arguments: ["block-000002.part", "vectors.seg", "graph"])
  func `Ctrl-C is answered at once, and the message says how to go on`(phase: String) throws {
    // A graph that takes long, so that the signal comes before its end on fast machines too.
    let more = phase == "graph" ? ["--ef-construction", "400"] : []
    let build = try CLIRunner.start(subject.arguments(output) + more)
    if phase == "graph" {
      // The last block is encoded; most of the graph is still to come.
      #expect(build.wait { FileSystem.kind(of: output + "/building/block-000014.part") == .file })
      usleep(50_000)
    } else {
      #expect(build.wait { FileSystem.kind(of: output + "/building/" + phase) == .file })
    }
    let result = try build.interrupt()
    #expect(result.exitCode == 130 && result.signal == 0, "\(result)")
    #expect(
      result.standardError
        == "retort: error: interrupted; finished batches are kept: run the same command with "
        + "--resume to go on\n")
    guard more.isEmpty else {
      #expect(FileSystem.kind(of: output + "/building/graph.seg") == .nothing)
      return
    }
    try resumeAndCompare("interrupted in \(phase)")
  }
}
