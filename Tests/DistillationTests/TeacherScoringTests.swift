import Distillation
import Foundation
import Models
import Platform
import TestSupport
import Testing

/// A teacher's scores of triples, by a tiny cross-encoder.
@Suite struct TeacherScoringTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder("teach")
    try TinyEncoder.write(to: folder.path + "/start")
    let words = TinyEncoder.words
    // Words of the tiny vocabulary, so that no two texts become the same unknown token.
    func text(_ seed: Int, _ count: Int) -> String {
      (0..<count).map { words[(seed * 7 + $0 * 3) % words.count] }.joined(separator: " ")
    }
    let triples = (0..<23).map {
      "\(text($0, 2))\t\(text($0 + 1, 5))\t\(text($0 + 40, 6))\n"
    }
    _ = try folder.file("triples.tsv", Array(triples.joined().utf8))
    var options = TrainingOptions(
      model: .bertCat, initial: folder.path + "/start", output: folder.path + "/teacher")
    options.loss = .rankNet
    options.triples = folder.path + "/triples.tsv"
    options.batchSize = 4
    options.steps = 2
    _ = try Trainer.train(options, quiet: true)
  }

  private func options(_ name: String) -> TeacherScoringOptions {
    var options = TeacherScoringOptions(
      model: folder.path + "/teacher", triples: folder.path + "/triples.tsv",
      output: folder.path + "/" + name)
    options.batchSize = 5
    return options
  }

  private func bytes(_ name: String) throws -> [UInt8] {
    try FileSystem.read(folder.path + "/" + name)
  }

  private func message(_ options: TeacherScoringOptions) -> String {
    do {
      _ = try TeacherScoring.score(options, quiet: true)
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  @Test func `lines have the cross-encoder's logits and the triples' own columns`() throws {
    let (report, truncated) = try TeacherScoring.score(options("scores.tsv"), quiet: true)
    let lines = String(decoding: try bytes("scores.tsv"), as: UTF8.self).split(separator: "\n")
    let triples = String(decoding: try bytes("triples.tsv"), as: UTF8.self).split(separator: "\n")
    #expect((lines.count, report.triples, truncated) == (23, 23, 0))
    let teacher = try CrossEncoder(directory: folder.path + "/teacher")
    for (line, triple) in zip(lines, triples) {
      let columns = line.split(separator: "\t").map(String.init)
      #expect(columns[2...].joined(separator: "\t") == triple)
      let scores = try teacher.score(query: columns[2], passages: Array(columns[3...]), threads: 1)
      // Alone and among others a pair's products are cut into different tiles.
      for (found, expected) in zip(columns[..<2], scores) {
        #expect(abs((Float(found) ?? .nan) - expected) < 1e-5, "\(line)")
      }
    }
    let values = lines.flatMap { $0.split(separator: "\t")[..<2].compactMap { Double($0) } }
    #expect(abs(report.mean - values.reduce(0, +) / 46) < 1e-9)
    #expect(report.unit == "logit")
    let beside = try JSONDecoder().decode(
      TeacherScoringReport.self, from: Data(try bytes("scores.tsv.json")))
    #expect(beside == report)
  }

  @Test func `the bytes do not depend on threads or batches of one run`() throws {
    var one = options("one.tsv")
    one.threads = 1
    var two = options("two.tsv")
    two.threads = 2
    _ = try TeacherScoring.score(one, quiet: true)
    _ = try TeacherScoring.score(two, quiet: true)
    #expect(try bytes("one.tsv") == bytes("two.tsv"))
  }

  @Test func `a run cut in the middle of a line goes on and ends with the same bytes`() throws {
    _ = try TeacherScoring.score(options("whole.tsv"), quiet: true)
    let whole = try bytes("whole.tsv")
    // What a killed run leaves: the plan, and a part that ends with two whole batches, two lines and a bit.
    let lines = whole.indices.filter { whole[$0] == 10 }
    let kept = lines[11] + 1 + 7
    let digest = try JSONDecoder().decode(
      TeacherScoringReport.self, from: Data(try bytes("whole.tsv.json")))
    let plan = """
      {
        "batchSize" : 5,
        "data" : "\(digest.data)",
        "maxLength" : \(digest.maxLength),
        "teacherDigest" : "\(digest.teacherDigest)"
      }

      """
    _ = try folder.file("cut.tsv.part", Array(whole[..<kept]))
    _ = try folder.file("cut.tsv.part.json", Array(plan.utf8))
    #expect(message(options("cut.tsv")).contains("--resume"))
    var resuming = options("cut.tsv")
    resuming.resume = true
    let (report, _) = try TeacherScoring.score(resuming, quiet: true)
    #expect(try bytes("cut.tsv") == whole)
    #expect(report == digest)
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/cut.tsv.part"))
    // Other triples do not go on with it.
    _ = try folder.file("other.tsv.part", Array(whole[..<kept]))
    _ = try folder.file(
      "other.tsv.part.json", Array(plan.replacing("\"data\" : \"", with: "\"data\" : \"x").utf8))
    var other = options("other.tsv")
    other.resume = true
    #expect(message(other).contains("another teacher, other triples"))
  }

  @Test func `two runs do not write the same file`() throws {
    let lock = try FileLock(path: folder.path + "/scores.tsv.part.lock")
    #expect(message(options("scores.tsv")).contains("another process is writing here"))
    #expect(FileSystem.kind(of: folder.path + "/scores.tsv.part") == .nothing)
    lock.release()
    _ = try TeacherScoring.score(options("scores.tsv"), quiet: true)
    let left = try FileSystem.names(in: folder.path).filter { $0.hasPrefix("scores.tsv") }
    #expect(left == ["scores.tsv", "scores.tsv.json"])
    #expect(message(options("scores.tsv")).contains("--overwrite"))
    #expect(FileSystem.kind(of: folder.path + "/scores.tsv.part.lock") == .nothing)
  }

  @Test func `ids are looked up, and unknown ones counted up to a share`() throws {
    _ = try folder.file("c.tsv", Array("1\tthe rain\n2\tthe sea\n3\tthe wind\n".utf8))
    _ = try folder.file("q.tsv", Array("7\train\n8\tsea\n".utf8))
    _ = try folder.file("ids.tsv", Array("7\t1\t2\n8\t2\t9\n8\t2\t3\n".utf8))
    var options = options("ids.out")
    options.triples = folder.path + "/ids.tsv"
    options.collection = folder.path + "/c.tsv"
    options.queries = folder.path + "/q.tsv"
    #expect(message(options).contains("--max-unknown"))
    options.maxUnknown = 0.5
    let (report, _) = try TeacherScoring.score(options, quiet: true)
    #expect((report.triples, report.unknownTriples) == (2, 1))
    let text = String(decoding: try bytes("ids.out"), as: UTF8.self)
    let ends = text.split(separator: "\n").map {
      $0.split(separator: "\t").suffix(3).joined(separator: " ")
    }
    #expect(ends == ["7 1 2", "8 2 3"])
  }

  @Test func `a finished file stays, and an encoder without a head is no teacher`() throws {
    _ = try TeacherScoring.score(options("scores.tsv"), quiet: true)
    #expect(message(options("scores.tsv")).contains("--overwrite"))
    var encoder = options("none.tsv")
    encoder.model = folder.path + "/start"
    #expect(message(encoder).contains("classifier"))
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/none.tsv"))
  }

  @Test func `teach, ensemble and train make a student of two teachers`() throws {
    func run(_ arguments: [String]) throws {
      let result = try CLIRunner.run(arguments)
      #expect(result.exitCode == 0, "\(arguments): \(result.standardError)")
    }
    let path = folder.path
    try run([
      "teach", "--model", path + "/teacher", "--triples", path + "/triples.tsv", "-o", path + "/t1",
    ])
    try run([
      "train", "--model", "bert-cat", "--init", path + "/start", "--triples", path + "/triples.tsv",
      "--loss", "ranknet", "--seed", "2", "--steps", "3", "-o", path + "/teacher2",
    ])
    try run([
      "teach", "--model", path + "/teacher2", "--triples", path + "/triples.tsv", "-o",
      path + "/t2",
    ])
    try run(["ensemble", path + "/t1", path + "/t2", "--method", "pile", "-o", path + "/pile"])
    try run([
      "train", "--model", "bert-dot", "--init", path + "/start", "--teacher-scores", path + "/pile",
      "--steps", "3", "-o", path + "/student",
    ])
    _ = try TextEncoder(directory: path + "/student")
  }
}
