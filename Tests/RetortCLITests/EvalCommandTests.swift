import Foundation
import TestSupport
import Testing

@Suite struct EvalCommandTests {
  private let temporary: TemporaryFolder
  private var folder: URL { URL(fileURLWithPath: temporary.path) }
  private var qrels: String { folder.path + "/qrels" }
  private var first: String { folder.path + "/first.trec" }
  private var second: String { folder.path + "/second.trec" }

  init() throws {
    temporary = try TemporaryFolder("eval")
    try write(
      "qrels",
      "q1 0 dA 3\nq1 0 dB 0\nq1 0 dC 1\nq1 0 dD 2\nq1 0 dE 2\nq2 0 dX 1\nq3 0 dZ 1\nq4 0 dQ 0\n")
    try write(
      "first.trec",
      "q1 Q0 dB 1 9 t\nq1 Q0 dC 2 8 t\nq1 Q0 dF 3 7 t\nq1 Q0 dA 4 6 t\nq1 Q0 dD 5 5 t\n"
        + "q2 Q0 dW 1 2.5 t\nq2 Q0 dX 2 2.5 t\nq2 Q0 dY 3 2.5 t\nq4 Q0 dQ 1 1 t\nq5 Q0 dA 1 1 t\n")
    try write("second.trec", "q1 Q0 dA 1 9 t\nq2 Q0 dX 1 1 t\nq3 Q0 dY 1 1 t\nq4 Q0 dP 1 1 t\n")
  }

  private func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: folder.appendingPathComponent(name))
  }

  private func eval(_ arguments: String..., input: String = "") throws -> CLIResult {
    try CLIRunner.run(["eval"] + arguments, input: Array(input.utf8))
  }

  @Test func `measures are printed with four decimals`() throws {
    let result = try eval(qrels, first, "MRR@10", "AP", "nDCG@10")
    #expect(result.standardOutput == "RR@10\t0.2500\nAP\t0.2250\nnDCG@10\t0.2762\n")
    #expect(
      result.standardError.contains(
        "first.trec: 1 of 4 judged queries missing, counted as 0"))
    #expect(result.standardError.contains("first.trec: 1 query without judgements"))
    #expect(result.exitCode == 0)
  }

  @Test func `bad lines of qrels and runs end it, or are skipped and counted by reason`() throws {
    let good = try eval(qrels, first, "AP", "nDCG@10")
    try write(
      "bad.qrels",
      "q1 0 dA 3\nq1 0 dB\nq1 0 dB 0\nq1 0 dC 1\nq1 0 dD 2\nq1 0 dE 2\nq2 0 dX 1\nq3 0 dZ 1\n"
        + "q4 0 dQ many\nq4 0 dQ 0\n")
    try write(
      "bad.trec",
      try String(contentsOfFile: first, encoding: .utf8)
        + "q1 Q0 dG 9 nan t\nq1 Q0 dH\nq2 Q0 dH\n")
    for files in [("bad.qrels", "first.trec"), ("qrels", "bad.trec")] {
      let refused = try eval(folder.path + "/" + files.0, folder.path + "/" + files.1, "AP")
      #expect(refused.exitCode == 65 && refused.standardOutput.isEmpty, "\(refused)")
    }
    let result = try eval(
      folder.path + "/bad.qrels", folder.path + "/bad.trec", "AP", "nDCG@10", "--skip-bad-lines")
    #expect(result.exitCode == 0 && result.standardOutput == good.standardOutput, "\(result)")
    for sentence in [
      "skipped 1 line: 3 columns where qrels", "bad.qrels:2)", "the grade \"many\"", "bad.qrels:9)",
      "skipped 2 lines: 3 columns where a TREC run has 6", "the score \"nan\" is not finite",
    ] {
      #expect(result.standardError.contains(sentence), "\(sentence): \(result)")
    }
    try write("none.qrels", "q1\nq2\n")
    let empty = try eval(folder.path + "/none.qrels", first, "--skip-bad-lines")
    #expect(empty.exitCode == 65 && empty.standardError.contains("holds no judgements"), "\(empty)")
  }

  @Test func `the default measures`() throws {
    let result = try eval(qrels, first, "--only-common")
    #expect(
      result.standardOutput == "RR@10\t0.3333\nnDCG@10\t0.3682\nAP\t0.3000\nR@1000\t0.5833\n")
    #expect(result.standardError.contains("1 of 4 judged queries missing, not counted"))
  }

  @Test func `per query, threshold and precision`() throws {
    let result = try eval(
      qrels, "-", "AP", "-q", "--rel", "2", "-p", "2",
      input: try String(
        contentsOfFile: first, encoding: .utf8))
    #expect(
      result.standardOutput
        == "q1\tAP\t0.22\nq2\tAP\t0.00\nq3\tAP\t0.00\nq4\tAP\t0.00\nall\tAP\t0.05\n")
    #expect(result.standardError.hasPrefix("standard input: 1 of 4"))
  }

  @Test func `JSON holds runs, queries and the comparison`() throws {
    let result = try eval(qrels, first, second, "RR", "--json", "-q")
    let object = try #require(
      JSONSerialization.jsonObject(with: Data(result.standardOutput.utf8)) as? [String: Any])
    let runs = try #require(object["runs"] as? [[String: Any]])
    #expect(runs.map { ($0["measures"] as? [String: Double])?["RR"] } == [0.25, 0.5])
    #expect(runs[0]["missing_queries"] as? Int == 1)
    #expect(
      (runs[1]["per_query"] as? [String: [String: Double]])?["q2"] == ["RR": 1])
    let comparison = (object["comparison"] as? [String: [String: Double]])?["RR"]
    #expect(comparison?["difference"] == 0.25)
    #expect(comparison?["wins"] == 2)
    #expect(comparison?["p_permutation"] == 0.5)
  }

  @Test func `two runs make a table`() throws {
    let result = try eval(qrels, first, second, "RR")
    #expect(
      result.standardOutput
        == "measure\trun1\trun2\tdifference\tp_t\tp_permutation\twins\tties\tlosses\n"
        + "RR\t0.2500\t0.5000\t0.2500\t0.1817\t0.5000\t2\t2\t0\n")
  }

  @Test func `usage errors exit with 64`() throws {
    for arguments in [
      [qrels], [qrels, first, "RR@x"], [qrels, first, "MRRR@10"], [qrels, first, "nDCG(rel=1)"],
      [qrels, first, second, "ERR@1"],
      [qrels, "-", "-"], [qrels, first, "--rel", "0"], [qrels, first, "-p", "99"],
    ] {
      let result = try CLIRunner.run(["eval"] + arguments)
      #expect(result.exitCode == 64, "\(arguments): \(result)")
      #expect(result.standardError.contains("rror: "))
      #expect(result.standardOutput == "")
    }
  }

  @Test func `missing and broken files exit with 66 and 65 and name the place`() throws {
    let missing = try CLIRunner.run(["eval", qrels, folder.path + "/none", "RR"])
    #expect(missing.exitCode == 66)
    #expect(missing.standardError.hasPrefix("retort: error: \(folder.path)/none: cannot open"))
    try write("broken", "q1 Q0 dA 1 9 t\nq1 Q0 dB 2 nan t\n")
    let broken = try CLIRunner.run(["eval", qrels, folder.path + "/broken", "RR"])
    #expect(broken.exitCode == 65)
    #expect(broken.standardError.hasPrefix("retort: error: \(folder.path)/broken:2: the score"))
    try write("other", "z1 Q0 dA 1 9 t\n")
    let other = try eval(qrels, folder.path + "/other", "RR")
    #expect(other.exitCode == 65)
    #expect(other.standardError.contains("none of the 4 judged queries"))
  }

  @Test func `help explains with an example`() throws {
    let result = try eval("--help")
    #expect(result.exitCode == 0)
    #expect(result.standardOutput.contains("retort eval qrels.txt run.trec RR@10 nDCG@10"))
    for word in ["--only-common", "--rel", "-q", "trec_eval", "randomisation"] {
      #expect(result.standardOutput.contains(word))
    }
  }

  @Test func `a depth sweep prints a line a depth and the best, and draws it`() throws {
    // The candidates have dA first and dC last; the re-ranker turned them around.
    try write("candidates.trec", "q1 Q0 dA 1 3 c\nq1 Q0 dB 2 2 c\nq1 Q0 dC 3 1 c\n")
    try write("re.trec", "q1 Q0 dC 1 3 r\nq1 Q0 dB 2 2 r\nq1 Q0 dA 3 1 r\nq1 Q0 dX 4 0 r\n")
    let arguments = [
      "eval", qrels, folder.path + "/re.trec", "RR", "R@10", "--only-common", "--rel", "3",
      "--depth-sweep", folder.path + "/candidates.trec", "--max-unknown", "0.25",
    ]
    let svg = folder.path + "/sweep.svg"
    let result = try CLIRunner.run(arguments + ["--svg", svg])
    #expect(result.exitCode == 0, "\(result)")
    #expect(
      result.standardOutput == """
        depth\tRR\tR@10
        1\t1.0000\t1.0000
        2\t0.5000\t1.0000
        3\t0.3333\t1.0000
        best\t1\t1

        """)
    #expect(result.standardError.contains("1 document is not among the candidates"))
    let strict = try CLIRunner.run(arguments.dropLast(2) + ["--json"])
    #expect(strict.exitCode == 65 && strict.standardOutput.isEmpty, "\(strict)")
    #expect(strict.standardError.contains("1 of 4 documents that are not among the candidates"))
    #expect(try String(contentsOfFile: svg, encoding: .utf8).contains("re-ranking depth"))
    let json = try CLIRunner.run(arguments + ["--json", "--depths", "3,1"])
    let object = try JSONSerialization.jsonObject(with: Data(json.standardOutput.utf8))
    let depths = try #require((object as? [String: Any])?["depths"] as? [[String: Any]])
    #expect(depths.compactMap { $0["depth"] as? Int } == [1, 3])
    #expect(depths.compactMap { ($0["measures"] as? [String: Double])?["RR"] }.first == 1)
    for (more, reason) in [
      (["--depths", "1,x"], "--depths takes positive numbers"), (["--depths", ","], "is empty"),
      (["-q"], "no values of single queries"), ([second], "takes one run"),
    ] {
      let wrong = try CLIRunner.run(arguments + more)
      #expect(wrong.exitCode == 64 && wrong.standardError.contains(reason), "\(wrong)")
    }
    #expect(try eval(qrels, first, "--svg", svg).standardError.contains("need --depth-sweep"))
    #expect(
      try eval(qrels, first, "--max-unknown", "0.5").standardError.contains("need --depth-sweep"))
    let share = try eval(qrels, first, "--max-unknown", "2")
    #expect(share.exitCode == 64 && share.standardError.contains("0...1"), "\(share)")
  }
}
