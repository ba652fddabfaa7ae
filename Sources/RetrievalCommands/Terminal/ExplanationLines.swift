import CommandSupport
import Foundation
import Retort

/// A re-ranker's explanation as lines of a terminal.
struct ExplanationLines {
  let style: Style
  let indent: String
  let width: Int

  /// For ColBERT a line a token of the query, with what it matched, their product and its share of the
  /// score; for TK a line a kernel; for a cross-encoder a line a sentence, with what it changes.
  func lines(_ explanation: RerankExplanation) -> [String] {
    if let terms = explanation.terms { return self.terms(terms) }
    if let kernels = explanation.kernels { return self.kernels(kernels, explanation.words ?? []) }
    return (explanation.sentences ?? []).map { sentence in
      let change = String(format: "%+.3f", sentence.change)
      let room = max(width - indent.count - change.count - 2, 20)
      return indent + style(change, sentence.change > 0 ? .accent : .faint) + "  "
        + cut(Display.sanitised(sentence.text), to: room)
    }
  }

  private func terms(_ terms: [TermMatch]) -> [String] {
    let masks = terms.filter { $0.query == "[MASK]" }
    var rows = terms.filter { $0.query != "[MASK]" }.map {
      (query: $0.query, passage: "\($0.passage) (\($0.place))", score: $0.score, share: $0.share)
    }
    if !masks.isEmpty {
      rows.append(
        (
          "[MASK] × \(masks.count)", "", masks.reduce(0) { $0 + $1.score },
          masks.reduce(0) { $0 + $1.share }
        ))
    }
    let queries = rows.map { Display.sanitised($0.query) }
    let passages = rows.map { Display.sanitised($0.passage) }
    let columns = (
      queries.map { Display.width($0) }.max() ?? 0, passages.map { Display.width($0) }.max() ?? 0
    )
    return rows.indices.map { row in
      let score = String(format: "%8.3f", rows[row].score)
      let share = String(format: "%5.1f%%", 100 * rows[row].share)
      return indent + padded(queries[row], columns.0) + "  "
        + style(padded(passages[row], columns.1), .accent) + score + "  " + style(share, .faint)
    }
  }

  /// A column a word of the query, with how many words of the passage are near the kernel's cosine.
  private func kernels(_ kernels: [KernelShare], _ words: [String]) -> [String] {
    let names = words.map { cut(Display.sanitised($0), to: 12) }
    let columns = names.map { max(Display.width($0), 6) + 2 }
    func right(_ text: String, _ columns: Int) -> String {
      String(repeating: " ", count: max(0, columns - Display.width(text))) + text
    }
    let heading = indent + "cosine     part" + zip(names, columns).map(right).joined()
    var lines = [style(heading, .faint)]
    for kernel in kernels {
      let part = String(format: "%+9.3f", kernel.part)
      let counts = zip(kernel.counts, columns).map { right(String(format: "%.2f", $0), $1) }
      lines.append(
        indent + String(format: "%6.1f", kernel.mean)
          + style(part, kernel.part > 0 ? .accent : .faint) + counts.joined())
    }
    return lines
  }

  private func padded(_ text: String, _ columns: Int) -> String {
    text + String(repeating: " ", count: max(0, columns - Display.width(text)))
  }

  /// As much of a text as fits.
  private func cut(_ text: String, to room: Int) -> String {
    guard Display.width(text) > room else { return text }
    var (kept, taken) = ("", 0)
    for character in text {
      taken += Display.width(character)
      if taken > room - 1 { break }
      kept.append(character)
    }
    return kept + "…"
  }
}
