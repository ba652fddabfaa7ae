import Foundation

/// Text from outside as text of an HTML page, and numbers as people read them.
enum HTMLText {
  /// `text` with nothing in it that a browser takes for markup, in elements and in quoted attributes.
  ///
  /// Control characters, which HTML forbids, and the marks that reverse the direction of writing, with
  /// which a text can pose as another, become U+FFFD.
  static func escaped(_ text: some StringProtocol) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x26: result += "&amp;"
      case 0x3C: result += "&lt;"
      case 0x3E: result += "&gt;"
      case 0x22: result += "&quot;"
      case 0x27: result += "&#39;"
      case 0x09, 0x0A: result.unicodeScalars.append(scalar)
      case 0x00..<0x20, 0x7F..<0xA0, 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069,
        0xFFFE, 0xFFFF:
        result.unicodeScalars.append("\u{FFFD}")
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A number with so many decimals.
  static func number(_ value: Float, _ decimals: Int) -> String {
    String(format: "%.\(decimals)f", Double(value))
  }

  /// A number with its sign.
  static func signed(_ value: Float) -> String { String(format: "%+.3f", Double(value)) }

  /// A share of one.
  static func percent(_ share: Float) -> String { number(100 * share, 1) + "%" }

  /// How strong a colour is, 0...1.
  static func strength(_ value: Float, of largest: Float) -> String {
    guard largest > 0, value > 0 else { return "0" }
    return number(min(value / largest, 1), 3)
  }

  /// The looks: colours of the reader's light or dark scheme, no fonts or pictures from elsewhere.
  static let style = """
    :root{color-scheme:light dark;--ink:#1c1e21;--faint:#62676d;--paper:#fdfdfc;--line:#d8dadd;\
    --heat:226,116,22;--cold:52,120,214}
    @media (prefers-color-scheme:dark){:root{--ink:#e5e7e9;--faint:#9ca2a8;--paper:#15171a;\
    --line:#353a3f;--heat:206,98,12;--cold:58,118,214}}
    body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 4rem;background:var(--paper);\
    color:var(--ink);font:16px/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
    h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.2rem;margin:3rem 0 .5rem}
    h3{font-size:1rem;margin:0}
    .faint,.stages,summary,th{color:var(--faint)}
    .stages,.legend,table{font-size:.85rem}
    article{border-top:1px solid var(--line);padding:1rem 0}
    .score{font-variant-numeric:tabular-nums;margin:0 .6em}
    .passage{margin:.5rem 0;white-space:pre-line}
    .t,.s{border-radius:.2em;padding:.05em .1em}
    .t,.up{background:rgba(var(--heat),calc(.75*var(--h,0)))}
    .down{background:rgba(var(--cold),calc(.6*var(--h,0)))}
    .special{color:var(--faint);font-size:.8em}
    small{color:var(--faint);font-size:.75em;margin-left:.3em}
    .scroll{overflow-x:auto}
    table{border-spacing:2px 1px;margin-left:-.3rem;font-variant-numeric:tabular-nums}
    th,td{padding:.05rem .35rem;text-align:left;font-weight:normal;vertical-align:top}
    .n{text-align:right}
    td.n{background:linear-gradient(to right,rgba(var(--heat),.45) calc(100%*var(--h,0)),\
    transparent 0)}
    nav li{line-height:1.4}

    """
}
