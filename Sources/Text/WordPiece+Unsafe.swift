import Platform

extension WordPiece {
  /// Appends the ids of `text` (valid UTF-8) to `ids`, until there are more than `limit`.
  ///
  /// One pass; a word is held only up to `maximumWordLength` characters, so time is linear and
  /// memory is that of the ids whatever the text. Stopping early is only ever between words: the
  /// caller cuts what is above its limit.
  func encode(_ text: UnsafeBufferPointer<UInt8>, limit: Int, into ids: inout [Int32]) {
    guard let base = text.baseAddress, ids.count <= limit else { return }
    let tables = tables(for: text.count)
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: settings.maximumWordLength * 4 + 8) {
      buffer in
      guard let word = buffer.baseAddress else { return }
      // Short words are read eight bytes at a time.
      word.update(repeating: 0, count: 8)
      asciiClasses.withUnsafeBufferPointer { classes in
        asciiMapping.withUnsafeBufferPointer { mapping in
          guard let classes = classes.baseAddress, let mapping = mapping.baseAddress else { return }
          var scan = Scan(word: word, maximum: settings.maximumWordLength)
          var position = 0
          while position < text.count {
            let byte = base[position]
            if byte < 128 {
              position += 1
              switch classes[Int(byte)] {
              case Self.asciiWord:
                scan.append(mapping[Int(byte)])
              case Self.asciiDropped:
                break
              case Self.asciiWhitespace:
                finish(&scan, tables, into: &ids)
                if ids.count > limit { return }
              default:
                finish(&scan, tables, into: &ids)
                scan.append(byte)
                finish(&scan, tables, into: &ids)
                if ids.count > limit { return }
              }
            } else {
              position = encodeOther(base, from: position, &scan, tables, into: &ids)
              if ids.count > limit { return }
            }
          }
          finish(&scan, tables, into: &ids)
        }
      }
    }
  }

  /// The word under construction, normalised, in UTF-8.
  struct Scan {
    let word: UnsafeMutablePointer<UInt8>
    let maximum: Int
    var count = 0
    /// Characters of the word, the ones beyond `maximum` counted but not kept.
    var characters = 0

    init(word: UnsafeMutablePointer<UInt8>, maximum: Int) {
      self.word = word
      self.maximum = maximum
    }

    /// Appends a one-byte character.
    @inline(__always)
    mutating func append(_ byte: UInt8) {
      if characters < maximum {
        word[count] = byte
        count += 1
      }
      characters += 1
    }

    /// Appends one character of `length` bytes.
    @inline(__always)
    mutating func append(_ bytes: UnsafePointer<UInt8>, length: Int) {
      if characters < maximum {
        (word + count).update(from: bytes, count: length)
        count += length
      }
      characters += 1
    }
  }

  /// Handles the non-ASCII character at `position`; returns the position after it.
  private func encodeOther(
    _ base: UnsafePointer<UInt8>, from position: Int, _ scan: inout Scan, _ tables: Tables?,
    into ids: inout [Int32]
  ) -> Int {
    let table = BertCharacters.table(lowercase: settings.lowercase, strip: settings.stripAccents)
    let (scalar, length) = Self.decode(base + position)
    let page = table.page(scalar)
    let entry = page.entry(scalar)
    if settings.cleanText, entry.isControl { return position + length }
    if entry.isWhitespace {
      finish(&scan, tables, into: &ids)
      return position + length
    }
    let alone = settings.splitCJK && entry.isCJK
    if alone { finish(&scan, tables, into: &ids) }
    if let mapping = page.mapping(entry) {
      var offset = 0
      while offset < mapping.count, let bytes = mapping.baseAddress {
        let (output, length) = Self.decode(bytes + offset)
        append(bytes + offset, length, table.page(output).entry(output), &scan, tables, into: &ids)
        offset += length
      }
    } else {
      append(base + position, length, entry, &scan, tables, into: &ids)
    }
    if alone { finish(&scan, tables, into: &ids) }
    return position + length
  }

  /// Appends a normalised character to the word, or ends the word at punctuation or whitespace.
  private func append(
    _ bytes: UnsafePointer<UInt8>, _ length: Int, _ entry: BertCharacters.Entry,
    _ scan: inout Scan, _ tables: Tables?, into ids: inout [Int32]
  ) {
    if entry.isWhitespace {
      finish(&scan, tables, into: &ids)
    } else if entry.isPunctuation {
      finish(&scan, tables, into: &ids)
      scan.append(bytes, length: length)
      finish(&scan, tables, into: &ids)
    } else {
      scan.append(bytes, length: length)
    }
  }

  /// Ends the word: appends its pieces, or the unknown token, and empties it.
  @inline(__always)
  private func finish(_ scan: inout Scan, _ tables: Tables?, into ids: inout [Int32]) {
    guard scan.characters > 0 else { return }
    if scan.characters > scan.maximum {
      ids.append(unknown)
    } else if let tables {
      match(scan.word, count: scan.count, tables, into: &ids)
    } else {
      match(scan.word, count: scan.count, into: &ids)
    }
    scan.count = 0
    scan.characters = 0
  }

  /// Greedy longest match from the left; a rest without a match makes the whole word unknown.
  private func match(
    _ word: UnsafePointer<UInt8>, count: Int, _ tables: Tables, into ids: inout [Int32]
  ) {
    // Most words are one short piece.
    if let whole = tables.shortPieces.id(of: word, count: count) {
      ids.append(whole)
      return
    }
    let trie = tables.trie
    let mark = ids.count
    var start = 0
    var root = Self.initialRoot
    while start < count {
      var node = root
      var best = ByteTrie.none
      var end = start
      var position = start
      while position < count {
        let step = trie.step(from: node, word[position])
        if step.node == ByteTrie.none { break }
        node = step.node
        position += 1
        if step.value != ByteTrie.none {
          best = step.value
          end = position
        }
      }
      if best == ByteTrie.none {
        ids.removeSubrange(mark...)
        ids.append(unknown)
        return
      }
      ids.append(best)
      start = end
      root = Self.continuationRoot
    }
  }

  /// The same by looking up every prefix of a rest, longest first.
  private func match(_ word: UnsafePointer<UInt8>, count: Int, into ids: inout [Int32]) {
    let mark = ids.count
    var start = 0
    while start < count {
      let rest = UnsafeBufferPointer(start: word + start, count: count - start)
      guard let (id, length) = search.longest(in: rest, isInside: start > 0) else {
        ids.removeSubrange(mark...)
        ids.append(unknown)
        return
      }
      ids.append(id)
      start += length
    }
  }

  /// The scalar at `bytes` and its length; `bytes` is valid UTF-8.
  @inline(__always)
  static func decode(_ bytes: UnsafePointer<UInt8>) -> (scalar: UInt32, length: Int) {
    let first = UInt32(bytes[0])
    if first < 0x80 { return (first, 1) }
    if first < 0xE0 { return ((first & 0x1F) << 6 | UInt32(bytes[1] & 0x3F), 2) }
    let second = UInt32(bytes[1] & 0x3F)
    let third = UInt32(bytes[2] & 0x3F)
    if first < 0xF0 { return ((first & 0x0F) << 12 | second << 6 | third, 3) }
    return ((first & 0x07) << 18 | second << 12 | third << 6 | UInt32(bytes[3] & 0x3F), 4)
  }
}
