import Evaluation
import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite struct SVGChartTests {
  private let recall = SVGChart(
    title: "Recall@10 and speed: <m & ef>", xLabel: "Queries a second", yLabel: "Recall@10",
    logX: true,
    series: [
      ("m = 16 \"wide\"", [(12_400, 0.81), (8_700, 0.905), (5_200, 0.963), (2_100, 0.991)]),
      ("m = 32", [(9_800, 0.88), (6_100, 0.957), (3_300, 0.986), (1_200, 0.998)]),
    ])

  private func parses(_ svg: String) -> Bool { XMLParser(data: Data(svg.utf8)).parse() }

  @Test func `the document is well-formed whatever the labels hold`() {
    let svg = recall.render()
    #expect(parses(svg))
    #expect(svg.contains("Recall@10 and speed: &lt;m &amp; ef&gt;"))
    #expect(svg.contains("m = 16 &quot;wide&quot;"))
    #expect(!svg.contains("<script"))
    #expect(svg.contains("prefers-color-scheme: dark"))
    #expect(svg.components(separatedBy: "<circle").count == 9)
    #expect(svg.components(separatedBy: "<polyline").count == 3)
    var hostile = recall
    hostile.title = "\u{0}\u{1}]]>&\u{FFFF}<svg>"
    #expect(parses(hostile.render()))
  }

  @Test func `charts stand below each other in one document`() {
    let svg = SVGChart.column([recall, recall])
    #expect(parses(svg))
    #expect(svg.contains("viewBox=\"0 0 880 920\""))
    #expect(svg.contains(" y=\"460\" width=\"880\" height=\"460\""))
    #expect(svg.components(separatedBy: "<polyline").count == 5)
  }

  @Test func `points lie inside the frame in the right order`() throws {
    let pattern = try Regex("<circle cx=\"([0-9.]+)\" cy=\"([0-9.]+)\"")
    let places = recall.render().matches(of: pattern).map { match in
      (Double(match[1].substring ?? "") ?? -1, Double(match[2].substring ?? "") ?? -1)
    }
    #expect(places.count == 8)
    for (x, y) in places {
      #expect((84.0...680).contains(x) && (48.0...396).contains(y))
    }
    #expect(places[0].0 > places[1].0 && places[0].1 > places[1].1)
  }

  @Test(
    arguments: [
      [], [(1.0, 1.0)], [(0, 0)], [(5, 5), (5, 5)], [(1e300, -1e300), (-1e300, 1e300)],
      [(1e-300, 1e-300), (1e300, 1e300)], [(.nan, 1), (1, .infinity)], [(-1, 2), (0, 3), (2, 4)],
      [(1, 0.1), (1.0000001, 0.1000001)], [(Double.leastNonzeroMagnitude, 1), (1, 1)],
      [(1e15, 1e16), (3e15, 2e16)],
    ] as [[(Double, Double)]])
  func `any numbers give a document`(points: [(Double, Double)]) {
    for (logX, logY) in [(false, false), (true, false), (true, true)] {
      let chart = SVGChart(
        title: "", xLabel: "", yLabel: "", logX: logX, logY: logY,
        series: [("s", points.map { (x: $0.0, y: $0.1) })])
      let svg = chart.render()
      #expect(parses(svg))
      #expect(!svg.contains("nan") && !svg.contains("inf\""), "\(svg)")
    }
  }

  @Test func `points that cannot be drawn are counted`() {
    let chart = SVGChart(
      title: "", xLabel: "", yLabel: "", logX: true,
      series: [("s", [(0, 1), (1, 1), (10, .nan)])])
    #expect(chart.render().contains("2 points cannot be drawn"))
  }
}
