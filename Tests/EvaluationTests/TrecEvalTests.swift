import Evaluation
import Formats
import Foundation
import Testing

/// Values of trec_eval itself on its own test input, and of pytrec_eval on real runs.
@Suite(.enabled(if: dataFolder != nil, "set RETORT_DATA to the folder with data/"))
struct TrecEvalTests {
  /// Our measures by trec_eval's names.
  private func measure(_ name: String) -> Measure? {
    let parts = name.split(separator: "_")
    switch name {
    case "num_ret": return Measure(.retrievedCount)
    case "num_rel": return Measure(.relevantCount)
    case "num_rel_ret": return Measure(.retrievedCount, relevance: 1)
    case "num_q": return Measure(.queryCount)
    case "map": return Measure(.averagePrecision)
    case "Rprec": return Measure(.rPrecision)
    case "bpref": return Measure(.bpref)
    case "recip_rank": return Measure(.reciprocalRank)
    case "ndcg": return Measure(.nDCG)
    default: break
    }
    guard let cutoff = parts.last.flatMap({ Int($0) }) else { return nil }
    switch parts.dropLast().joined(separator: "_") {
    case "P": return Measure(.precision, cutoff: cutoff)
    case "recall": return Measure(.recall, cutoff: cutoff)
    case "ndcg_cut": return Measure(.nDCG, cutoff: cutoff)
    case "map_cut": return Measure(.averagePrecision, cutoff: cutoff)
    case "success": return Measure(.success, cutoff: cutoff)
    case "unj": return Measure(.judged, cutoff: cutoff)
    default: return nil
    }
  }

  @Test(arguments: [("out.test", 17), ("out.test.a", 51), ("out.test.aq", 201)])
  func `trec_eval's own output to four decimals`(output: String, comparisons: Int) throws {
    let folder = try #require(dataFolder) + "/trec_eval-test/"
    let qrels = try Qrels(path: folder + "qrels.test")
    let run = try Run(path: folder + "results.test")
    let text = try String(contentsOfFile: folder + output, encoding: .utf8)
    var compared = 0
    for line in text.split(separator: "\n") {
      let columns = line.split(whereSeparator: \.isWhitespace).map(String.init)
      guard columns.count == 3, let measure = measure(columns[0]) else { continue }
      let values = RunEvaluation(run, against: qrels, measures: [measure], queries: .common)
      var value = values.summary(0)
      if columns[1] != "all" {
        value = values.values(0)[try #require(values.queryIDs.firstIndex(of: columns[1]))]
      }
      if columns[0].hasPrefix("unj") { value = 1 - value }
      let expected = measure.isSum ? columns[2] + ".0000" : columns[2]
      #expect(four(abs(value)) == expected, "\(line)")
      compared += 1
    }
    #expect(compared == comparisons)
  }

  /// Values of pytrec_eval for `results.trunc`: lines with junk behind the tag, a query missing.
  @Test func `graded judgements with negative grades on a truncated run`() throws {
    let folder = try #require(dataFolder) + "/trec_eval-test/"
    let run = try Run(path: folder + "results.trunc")
    let names = [
      "P@10", "Rprec", "Bpref", "AP", "AP@100", "nDCG", "nDCG@10", "R@100", "RR", "Success@5",
      "NumRet", "NumRel",
    ]
    let measures = try names.map { try Measure($0) }
    let expected: [(String, Int, [Double], [Double])] = [
      (
        "qrels.test", 1,
        [
          0.2, 0.14557, 0.123048, 0.032425, 0.011793, 0.158393, 0.151762, 0.048523, 0.166667, 0,
          500, 474,
        ],
        [0.4, 0.4, 0.33, 0.272271, 0.272271, 0.47296, 0.363341, 0.6, 0.333333, 1, 84, 10]
      ),
      (
        "qrels.rel_level", 1,
        [
          0.2, 0.14557, 0.123048, 0.032425, 0.011793, 0.139607, 0.04393, 0.048523, 0.166667, 0, 500,
          474,
        ],
        [0.4, 0.5, 0.5, 0.250595, 0.250595, 0.417574, 0.417574, 0.5, 0.333333, 1, 84, 8]
      ),
      (
        "qrels.rel_level", 2,
        [0, 0, 0, 0.000271, 0, 0.139607, 0.04393, 0, 0.003257, 0, 500, 12],
        [0.4, 0.5, 0.5, 0.250595, 0.250595, 0.417574, 0.417574, 0.5, 0.333333, 1, 84, 8]
      ),
    ]
    for (file, level, first, second) in expected {
      let values = RunEvaluation(
        run, against: try Qrels(path: folder + file), measures: measures, queries: .common,
        relevance: level)
      #expect(values.queryIDs == ["301", "303"])
      #expect(values.missingQueries == 1)
      for (index, name) in names.enumerated() {
        for (place, golden) in [first[index], second[index]].enumerated() {
          let value = values.values(index)[place]
          #expect(abs(value - golden) < 6e-7, "\(file) \(level) \(name): \(value) \(golden)")
        }
      }
    }
    // ir_measures, all queries counted.
    let shared = ["Judged@10", "Judged@100", "Judged", "AP(rel=2)", "RR(rel=3)", "nDCG@10"]
    let all = RunEvaluation(
      run, against: try Qrels(path: folder + "qrels.rel_level"),
      measures: try shared.map { try Measure($0) })
    let golden = [
      0.6666666666666666, 0.5092063492063492, 0.43853968253968256, 0.0836222273925857,
      0.0010857763300760044, 0.1538344602702897,
    ]
    for index in golden.indices { #expect(abs(all.summary(index) - golden[index]) < 1e-12) }
  }

  private struct Expected: Decodable {
    struct Values: Decodable {
      var mean: [String: Double]
      var perQuery: [String: [String: Double]]

      enum CodingKeys: String, CodingKey {
        case mean
        case perQuery = "per_query"
      }
    }
    var runs: [String: Values]
  }

  @Test func `six systems of TREC DL 2019, per query and means`() throws {
    let folder = try #require(dataFolder) + "/msmarco-dl19"
    let expected = try JSONDecoder().decode(
      Expected.self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/EXPECTED.json")))
    let qrels = try Qrels(path: folder + "/qrels/test.tsv")
    var compared = 0
    for (file, golden) in expected.runs {
      let run = try Run(path: folder + "/runs/" + file)
      let names = golden.mean.keys.sorted()
      let values = RunEvaluation(
        run, against: qrels, measures: try names.map { try #require(measure($0)) }, relevance: 2)
      #expect(values.queryIDs.count == 43)
      for (index, name) in names.enumerated() {
        let mean = try #require(golden.mean[name])
        #expect(abs(values.summary(index) - mean) < 6e-7, "\(file) \(name)")
        for (place, query) in values.queryIDs.enumerated() {
          let value = try #require(golden.perQuery[query]?[name])
          #expect(abs(values.values(index)[place] - value) < 6e-7, "\(file) \(query) \(name)")
          compared += 1
        }
      }
    }
    #expect(compared == 6 * 43 * 14)
  }
}
