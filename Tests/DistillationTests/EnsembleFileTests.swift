import Distillation
import Foundation
import Platform
import TestSupport
import Testing

/// Teachers' files combined into one, through the library and the command line.
@Suite struct EnsembleFileTests {
  private let folder: TemporaryFolder

  private static let first = """
    3\t1\tq1\ta\tb
    3\t0\tq1\ta\tc
    2\t1\tq2\td\te

    """
  /// Of the same triples in another order.
  private static let second = """
    5\t6\tq2\td\te
    1\t0.5\tq1\ta\tc
    1\t2\tq1\ta\tb

    """

  init() throws {
    folder = try TemporaryFolder("ensemble")
    _ = try folder.file("one.tsv", Array(Self.first.utf8))
    _ = try folder.file("two.tsv", Array(Self.second.utf8))
  }

  private func options(_ method: EnsembleMethod, _ teachers: [String] = ["one", "two"])
    -> EnsembleOptions
  {
    var options = EnsembleOptions(
      teachers: teachers.map { "\(folder.path)/\($0).tsv" }, output: folder.path + "/out.tsv")
    options.method = method
    options.overwrite = true
    return options
  }

  private func combined(_ options: EnsembleOptions) throws -> [String] {
    _ = try TeacherEnsemble.combine(options, quiet: true)
    return try String(contentsOfFile: options.output, encoding: .utf8).split(separator: "\n")
      .map(String.init)
  }

  private func message(_ options: EnsembleOptions) -> String {
    do {
      _ = try TeacherEnsemble.combine(options, quiet: true)
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  @Test func `files in different orders are combined by query and passage, in the first's order`()
    throws
  {
    let lines = try combined(options(.mean))
    #expect(
      lines == ["2.0\t1.5\tq1\ta\tb", "2.0\t0.25\tq1\ta\tc", "3.5\t3.5\tq2\td\te"])
  }

  @Test func `a pair that the mean has wrong is repaired by the teacher that has it right`() throws
  {
    let lines = try combined(options(.pile))
    #expect(lines.prefix(2) == ["2.0\t1.5\tq1\ta\tb", "2.0\t0.25\tq1\ta\tc"])
    // The mean ties; teacher one's margin is 1, so each logit moves by η/2.
    #expect(lines[2] == "3.75\t3.25\tq2\td\te")
  }

  @Test func `standardised teachers have mean 0 and equal weight`() throws {
    let report = try TeacherEnsemble.combine(options(.zMean), quiet: true)
    #expect(abs(report.mean) < 1e-6)
    #expect(report.unit == "deviation")
  }

  @Test func `the best teacher is taken as it is`() throws {
    let report = try TeacherEnsemble.combine(options(.bestSingle), quiet: true)
    #expect(report.chosen == folder.path + "/one.tsv")
    #expect(report.teachers.map(\.wrongPairs) == [0, 2])
    #expect(report.wrongInMean == 1)
    #expect(report.wrongInResult == 0)
    let text = try String(contentsOfFile: folder.path + "/out.tsv", encoding: .utf8)
    #expect(text == "3.0\t1.0\tq1\ta\tb\n3.0\t0.0\tq1\ta\tc\n2.0\t1.0\tq2\td\te\n")
  }

  @Test func `judgements take the place of the triples' order`() throws {
    _ = try folder.file("qrels", Array("q1 0 b 2\nq1 0 a 0\n".utf8))
    var options = options(.pile)
    options.qrels = folder.path + "/qrels"
    let report = try TeacherEnsemble.combine(options, quiet: true)
    #expect(report.labelledPairs == 1)
    #expect((report.wrongInMean, report.wrongInResult) == (1, 0))
    _ = try folder.file("qrels", Array("other 0 b 2\n".utf8))
    #expect(message(options).contains("judges none of the pairs"))
  }

  @Test func `a student's scores decide a vote`() throws {
    _ = try folder.file(
      "student.tsv", Array("2.5\t0.75\tq1\ta\tb\n0\t0\tq1\ta\tc\n4\t4\tq2\td\te\n".utf8))
    var options = options(.vote, ["one", "two", "one"])
    options.student = folder.path + "/student.tsv"
    let lines = try combined(options)
    // a: {3, 1, 3} against 0 (the last line counts), b: {1, 2, 1} against 0.75.
    #expect(lines[0] == "\(Float(7.0 / 3))\t\(Float(4.0 / 3))\tq1\ta\tb")
  }

  @Test func `a pair that a teacher lacks is an error, or left out and counted`() throws {
    _ = try folder.file("two.tsv", Array("1\t2\tq1\ta\tb\n5\t6\tq2\td\te\n".utf8))
    let text = message(options(.mean))
    #expect(text.contains("two.tsv"))
    #expect(text.contains("lacks 1 of the 5 pairs of query and passage, the first (q1, c)"))
    #expect(text.contains("--skip-missing"))
    var skipping = options(.mean)
    skipping.skipMissing = true
    let report = try TeacherEnsemble.combine(skipping, quiet: true)
    #expect((report.triples, report.leftOut) == (2, 1))
    #expect(report.teachers.map(\.missing) == [0, 1])
  }

  @Test(arguments: [
    ("1\t2\tq\ta\n", "wrong number of columns"),
    ("1\t2\t3\tq\ta\tb\n", "wrong number of columns"),
    ("nan\t2\tq\ta\tb\n", "no finite number"),
    ("1\tinf\tq\ta\tb\n", "no finite number"),
    ("", "no usable triple"),
  ])
  func `a bad file is named with its line and leaves nothing behind`(
    text: String, reason: String
  ) throws {
    _ = try folder.file("one.tsv", Array(text.utf8))
    let message = message(options(.mean))
    #expect(message.contains(reason))
    #expect(message.contains("one.tsv"))
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/out.tsv"))
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/out.tsv.json"))
  }

  @Test func `options that do not go together are refused`() {
    #expect(message(options(.vote)).contains("--student"))
    var labels = options(.mean)
    labels.qrels = folder.path + "/none"
    #expect(message(labels).contains("does not look at labels"))
    var rate = options(.pile)
    rate.rate = 0
    #expect(message(rate).contains("--rate"))
  }

  @Test func `the command line combines files and keeps what exists`() throws {
    let output = folder.path + "/cli.tsv"
    let arguments = [
      "ensemble", folder.path + "/one.tsv", folder.path + "/two.tsv", "--method", "pile", "-o",
      output,
    ]
    let result = try CLIRunner.run(arguments + ["--json"])
    #expect(result.exitCode == 0, "\(result.standardError)")
    let report = try JSONDecoder().decode(
      EnsembleReport.self, from: Data(result.standardOutput.utf8))
    #expect(report.method == .pile)
    #expect(report.triples == 3)
    let beside = try Data(contentsOf: URL(fileURLWithPath: output + ".json"))
    #expect(try JSONDecoder().decode(EnsembleReport.self, from: beside) == report)
    let again = try CLIRunner.run(arguments)
    #expect(again.exitCode == 64)
    #expect(again.standardError.contains("--overwrite"))
  }
}
