extension SVGChart {
  /// The opening element with the colours of both schemes.
  func head(at offset: Double?) -> String {
    let size = "\(Self.number(Self.width)) \(Self.number(Self.height))"
    let place =
      offset.map {
        " y=\"\(Self.number($0))\" width=\"\(Self.number(Self.width))\""
          + " height=\"\(Self.number(Self.height))\""
      } ?? ""
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size)"\(place) role="img" \
      font-family="system-ui, sans-serif" font-size="13">
      <title>\(Self.escaped(title))</title>
      <style>
      .paper { fill: #ffffff } .ink { fill: #24292f } .small { fill: #57606a; font-size: 12px }
      .grid { stroke: #d8dee4 } .axis { stroke: #57606a }
      @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117 } .ink { fill: #e6edf3 } .small { fill: #9da7b3 }
      .grid { stroke: #30363d } .axis { stroke: #9da7b3 }
      }
      </style>
      <rect class="paper" width="100%" height="100%"/>
      \(label(Self.left, 28, title, "start", kind: "ink", extra: " font-size=\"16\" font-weight=\"600\""))
      """
  }

  /// Grid, ticks and labels of both axes.
  func axes(_ x: ChartAxis, _ y: ChartAxis) -> String {
    let right = Self.width - Self.right
    let bottom = Self.height - Self.bottom
    var svg = ""
    for tick in x.ticks {
      let place = Self.left + x.fraction(tick) * (right - Self.left)
      svg += Self.segment(place, Self.top, place, bottom, "grid")
      svg += label(place, bottom + 18, ChartAxis.text(tick), "middle", kind: "small")
    }
    for tick in y.ticks {
      let place = bottom - y.fraction(tick) * (bottom - Self.top)
      svg += Self.segment(Self.left, place, right, place, "grid")
      svg += label(Self.left - 8, place + 4, ChartAxis.text(tick), "end", kind: "small")
    }
    svg += Self.segment(Self.left, bottom, right, bottom, "axis")
    svg += Self.segment(Self.left, Self.top, Self.left, bottom, "axis")
    svg += label((Self.left + right) / 2, bottom + 42, xLabel, "middle", kind: "ink")
    let middle = Self.number((Self.top + bottom) / 2)
    return svg
      + label(
        0, 0, yLabel, "middle", kind: "ink",
        extra: " transform=\"translate(20 \(middle)) rotate(-90)\"")
  }

  /// One series: its line, and a point with a tooltip for every value.
  func line(_ index: Int, _ points: [(x: Double, y: Double, value: (x: Double, y: Double))])
    -> String
  {
    guard !points.isEmpty else { return "" }
    let colour = Self.colours[index % Self.colours.count]
    let path = points.map { "\(Self.number($0.x)),\(Self.number($0.y))" }.joined(separator: " ")
    // A second round through the colours is told apart by dashes.
    let dash = index < Self.colours.count ? "" : " stroke-dasharray=\"6 4\""
    var svg = "<g stroke=\"\(colour)\" fill=\"\(colour)\">\n"
    svg += "<polyline fill=\"none\" stroke-width=\"2\"\(dash) points=\"\(path)\"/>\n"
    for point in points {
      svg += "<circle cx=\"\(Self.number(point.x))\" cy=\"\(Self.number(point.y))\" r=\"3.5\">"
      svg += "<title>\(Self.escaped(series[index].name)): "
      svg += "\(ChartAxis.text(point.value.x)), \(ChartAxis.text(point.value.y))</title></circle>\n"
    }
    return svg + "</g>\n"
  }

  /// The names of the series, right of the frame; as many as fit, and how many do not.
  func legend() -> String {
    var svg = ""
    let x = Self.width - Self.right + 18
    let room = 18
    for (index, entry) in series.prefix(room).enumerated() {
      let colour = Self.colours[index % Self.colours.count]
      let y = Self.top + 14 + Double(index) * 18
      svg += "<rect x=\"\(Self.number(x))\" y=\"\(Self.number(y - 9))\" width=\"12\" height=\"10\""
      svg += " rx=\"2\" fill=\"\(colour)\"/>\n"
      svg += label(x + 18, y, entry.name, "start", kind: "ink")
    }
    if series.count > room {
      let y = Self.top + 14 + Double(room) * 18
      svg += label(x, y, "and \(series.count - room) more", "start", kind: "small")
    }
    return svg
  }

  /// A text element.
  func label(
    _ x: Double, _ y: Double, _ text: String, _ anchor: String, kind: String, extra: String = ""
  ) -> String {
    "<text class=\"\(kind)\" x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" "
      + "text-anchor=\"\(anchor)\"\(extra)>\(Self.escaped(text))</text>\n"
  }

  private static func segment(
    _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ kind: String
  ) -> String {
    "<line class=\"\(kind)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" "
      + "x2=\"\(number(x2))\" y2=\"\(number(y2))\"/>\n"
  }

  /// A coordinate with one decimal.
  static func number(_ value: Double) -> String {
    let tenths = (value * 10).rounded() / 10
    return tenths == tenths.rounded() ? "\(Int(tenths))" : "\(tenths)"
  }

  /// Text fit for XML: markup escaped, characters that XML 1.0 forbids replaced by U+FFFD.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\t", "\n", "\r": result += " "
      case _ where scalar.value < 0x20 || (0xFFFE...0xFFFF).contains(scalar.value):
        result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
