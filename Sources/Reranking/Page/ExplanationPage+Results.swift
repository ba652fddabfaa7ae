import Models

extension ExplanationPage {
  /// The passage, and what is known of its score.
  func body(of result: Result) -> String {
    guard let explanation = result.explanation else {
      return plain(result.text) + "\n<p class=\"legend faint\">No re-ranker read this passage.</p>"
    }
    if let terms = explanation.terms {
      return tokens(explanation.tokens ?? [], terms) + "\n" + matches(terms) + "\n"
        + folded("Text", plain(result.text))
    }
    if let kernels = explanation.kernels {
      return plain(result.text) + "\n" + histogram(kernels, explanation.words ?? [])
    }
    let sentences = explanation.sentences ?? []
    return sentences.isEmpty ? plain(result.text) : heat(of: sentences)
  }

  private func plain(_ text: String) -> String {
    "<p class=\"passage\" dir=\"auto\">\(HTMLText.escaped(text))</p>"
  }

  private func folded(_ summary: String, _ content: String, isOpen: Bool = false) -> String {
    "<details\(isOpen ? " open" : "")><summary>\(summary)</summary>\(content)</details>"
  }

  // MARK: ColBERT

  /// The passage's tokens, coloured by the share of the score that matched them.
  private func tokens(_ tokens: [String], _ terms: [TermMatch]) -> String {
    var shares = [Float](repeating: 0, count: tokens.count)
    var sources = [[String]](repeating: [], count: tokens.count)
    for term in terms where tokens.indices.contains(term.place) {
      shares[term.place] += term.share
      sources[term.place].append(term.query)
    }
    let largest = shares.max() ?? 0
    // SentencePiece marks the starts of words, WordPiece what continues them.
    let marksStarts = tokens.contains { $0.hasPrefix("\u{2581}") }
    var html = "<p class=\"passage tokens\" dir=\"auto\">"
    for (place, token) in tokens.enumerated() {
      var name = Substring(token)
      var joins = place == 0
      if marksStarts {
        joins = joins || !name.hasPrefix("\u{2581}")
        if name.hasPrefix("\u{2581}"), name.utf8.count > 3 { name = name.dropFirst() }
      } else if name.hasPrefix("##"), name.utf8.count > 2 {
        joins = true
        name = name.dropFirst(2)
      }
      if !joins { html += " " }
      let isSpecial = token.hasPrefix("[") && token.hasSuffix("]") && token.utf8.count > 2
      let text =
        isSpecial
        ? "<span class=\"special\">\(HTMLText.escaped(name))</span>"
        : HTMLText.escaped(name)
      guard !sources[place].isEmpty else {
        html += text
        continue
      }
      let title = HTMLText.escaped(
        HTMLText.percent(shares[place]) + ": " + Self.grouped(sources[place]))
      let strength = HTMLText.strength(shares[place], of: largest)
      html += "<span class=\"t\" style=\"--h:\(strength)\" title=\"\(title)\">\(text)</span>"
    }
    return html + "</p>"
  }

  /// Names, equal ones together: `gold, [MASK] × 3`.
  private static func grouped(_ names: [String]) -> String {
    var counts: [(name: String, count: Int)] = []
    for name in names {
      if let place = counts.firstIndex(where: { $0.name == name }) {
        counts[place].count += 1
      } else {
        counts.append((name, 1))
      }
    }
    return counts.map { $0.count > 1 ? "\($0.name) × \($0.count)" : $0.name }
      .joined(separator: ", ")
  }

  /// A row a token of the question, those of [MASK] folded away.
  private func matches(_ terms: [TermMatch]) -> String {
    let words = terms.filter { $0.query != "[MASK]" }
    let masks = terms.filter { $0.query == "[MASK]" }
    let largest = terms.map(\.share).max() ?? 0
    var html = folded("What the question's tokens matched", table(words, largest), isOpen: true)
    if !masks.isEmpty {
      let share = HTMLText.percent(masks.reduce(0) { $0 + $1.share })
      html += "\n" + folded("[MASK] × \(masks.count), \(share)", table(masks, largest))
    }
    return html
  }

  private func table(_ terms: [TermMatch], _ largest: Float) -> String {
    var html =
      "<div class=\"scroll\"><table><tr><th>question</th><th>passage</th>"
      + "<th class=\"n\">place</th><th class=\"n\">product</th><th class=\"n\">share</th></tr>"
    for term in terms {
      let strength = HTMLText.strength(term.share, of: largest)
      html +=
        "<tr><td>\(HTMLText.escaped(term.query))</td><td>\(HTMLText.escaped(term.passage))</td>"
      html +=
        "<td class=\"n\">\(term.place)</td><td class=\"n\">\(HTMLText.number(term.score, 4))</td>"
      html += "<td class=\"n\" style=\"--h:\(strength)\">\(HTMLText.percent(term.share))</td></tr>"
    }
    return html + "</table></div>"
  }

  // MARK: TK

  /// A row a kernel, a column a word of the question.
  private func histogram(_ kernels: [KernelShare], _ words: [String]) -> String {
    let largest = kernels.flatMap(\.counts).max() ?? 0
    var html =
      "<div class=\"scroll\"><table class=\"kernels\"><tr><th class=\"n\">cosine</th><th class=\"n\">part</th>"
    for word in words { html += "<th class=\"n\">\(HTMLText.escaped(word))</th>" }
    html += "</tr>"
    for kernel in kernels {
      html += "<tr><td class=\"n\">\(HTMLText.number(kernel.mean, 1))</td>"
      html += "<td class=\"n\">\(HTMLText.signed(kernel.part))</td>"
      for count in kernel.counts {
        let strength = HTMLText.strength(count, of: largest)
        html += "<td class=\"n\" style=\"--h:\(strength)\">\(HTMLText.number(count, 2))</td>"
      }
      html += "</tr>"
    }
    return html + "</table></div>"
  }

  // MARK: Cross-encoders

  /// The sentences, with what the score loses without each.
  private func heat(of sentences: [RerankExplanation.SentenceChange]) -> String {
    let largest = sentences.map { abs($0.change) }.max() ?? 0
    var html = "<p class=\"passage\" dir=\"auto\">"
    for (place, sentence) in sentences.enumerated() {
      let strength = HTMLText.strength(abs(sentence.change), of: largest)
      let kind = sentence.change < 0 ? "down" : "up"
      html += place == 0 ? "" : " "
      html +=
        "<span class=\"s \(kind)\" style=\"--h:\(strength)\">\(HTMLText.escaped(sentence.text))</span>"
      html += "<small>\(HTMLText.signed(sentence.change))</small>"
    }
    return html + "</p>"
  }
}
