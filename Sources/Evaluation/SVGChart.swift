import Platform

/// A line chart as an SVG document: axes with ticks and labels, named series with points, no
/// scripts, colours that follow the reader's light or dark scheme.
public struct SVGChart: Sendable {
  /// What stands above the chart.
  public var title: String
  /// What the horizontal axis shows.
  public var xLabel: String
  /// What the vertical axis shows.
  public var yLabel: String
  /// Whether the horizontal axis is logarithmic.
  public var logX: Bool
  /// Whether the vertical axis is logarithmic.
  public var logY: Bool
  /// The lines, drawn in the order of their points.
  public var series: [(name: String, points: [(x: Double, y: Double)])]

  static let width = 880.0
  static let height = 460.0
  static let left = 84.0
  static let right = 200.0
  static let top = 48.0
  static let bottom = 64.0
  static let colours = [
    "#2f7ed8", "#d9632b", "#2a9d5c", "#9b59b6", "#c23b52", "#a17a1c", "#168f9c", "#7a7f87",
  ]

  /// Makes a chart.
  public init(
    title: String, xLabel: String, yLabel: String, logX: Bool = false, logY: Bool = false,
    series: [(name: String, points: [(x: Double, y: Double)])]
  ) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.logX = logX
    self.logY = logY
    self.series = series
  }

  /// The document. Points that cannot be drawn (not finite, or not positive on a logarithmic axis)
  /// are left out, and a line under the chart says how many.
  public func render() -> String { render(at: nil) }

  /// Charts below each other in one document.
  public static func column(_ charts: [SVGChart]) -> String {
    let size = "\(number(width)) \(number(height * Double(charts.count)))"
    var svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(size)\">\n"
    for (place, chart) in charts.enumerated() { svg += chart.render(at: Double(place) * height) }
    return svg + "</svg>\n"
  }

  /// The document, or a part of one that lies `offset` below its top.
  private func render(at offset: Double?) -> String {
    let drawn = series.map { $0.points.filter(isDrawable) }
    let omitted = zip(series, drawn).reduce(0) { $0 + $1.0.points.count - $1.1.count }
    let x = ChartAxis(drawn.flatMap { $0.map(\.x) }, isLogarithmic: logX, ticks: 7)
    let y = ChartAxis(drawn.flatMap { $0.map(\.y) }, isLogarithmic: logY, ticks: 6)
    var svg = head(at: offset)
    svg += axes(x, y)
    for (index, points) in drawn.enumerated() {
      svg += line(index, points.map { (placeX($0.x, x), placeY($0.y, y), $0) })
    }
    svg += legend()
    if omitted > 0 {
      svg += label(
        Self.left, Self.height - 8, "\(omitted) points cannot be drawn on these axes", "start",
        kind: "small")
    }
    return svg + "</svg>\n"
  }

  private func isDrawable(_ point: (x: Double, y: Double)) -> Bool {
    point.x.isFinite && point.y.isFinite && (!logX || point.x > 0) && (!logY || point.y > 0)
  }

  private func placeX(_ value: Double, _ axis: ChartAxis) -> Double {
    Self.left + axis.fraction(value) * (Self.width - Self.left - Self.right)
  }

  private func placeY(_ value: Double, _ axis: ChartAxis) -> Double {
    Self.height - Self.bottom - axis.fraction(value) * (Self.height - Self.top - Self.bottom)
  }
}
