/// Sentences of a text, found by punctuation alone.
package enum Sentences {
  /// More parts than this are not scored: neighbours are then one part.
  package static let limit = 64

  /// Parts that joined are the text; none for a text without words.
  ///
  /// A sentence ends behind ., !, ? and their like, with closing quotes and brackets, where white space
  /// and no small letter follows (a single letter and a point are an initial), or where white space is
  /// on both sides of them; behind the full stops of Chinese and Japanese, and at the end of a line.
  package static func split(_ text: String) -> [String] {
    let characters = Array(text)
    var parts: [String] = []
    var start = 0
    func close(at end: Int) {
      let part = String(characters[start..<end])
      if !part.allSatisfy(\.isWhitespace) {
        parts.append(part)
      } else if let last = parts.indices.last {
        parts[last] += part
      } else {
        // White space before the first sentence belongs to it.
        return
      }
      start = end
    }
    var place = 0
    while place < characters.count {
      let character = characters[place]
      place += 1
      if character.isNewline {
        close(at: place)
      } else if "。！？".contains(character) {
        close(at: place)
      } else if ".!?…".contains(character), !isInitial(characters, place - 1) {
        // As corpora write them that were split into words: small letters may follow.
        let standsAlone = place > 1 && characters[place - 2].isWhitespace
        while place < characters.count, "\"'”’»)]".contains(characters[place]) { place += 1 }
        var next = place
        while next < characters.count, characters[next].isWhitespace { next += 1 }
        if next > place,
          next == characters.count || standsAlone || !characters[next].isLowercase
        {
          place = next
          close(at: place)
        }
      }
    }
    close(at: characters.count)
    guard parts.count > limit else { return parts }
    let step = (parts.count + limit - 1) / limit
    return stride(from: 0, to: parts.count, by: step).map {
      parts[$0..<min($0 + step, parts.count)].joined()
    }
  }

  /// Whether the point at `place` follows a single letter.
  private static func isInitial(_ characters: [Character], _ place: Int) -> Bool {
    guard characters[place] == ".", place > 0, characters[place - 1].isUppercase else {
      return false
    }
    return place == 1 || !characters[place - 2].isLetter && !characters[place - 2].isNumber
  }
}
