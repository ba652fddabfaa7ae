import Platform

extension TermSet {
  /// Calls `body` with every passage that has a vector of `centroid`, ascending.
  package func forEachPassage(
    of centroid: Int, _ body: (Int) -> Void
  ) throws(RetortError) {
    guard let lists else { return }
    let first = try Self.long(lists.starts, centroid)
    let next = try Self.long(lists.starts, centroid + 1)
    guard first <= next, next <= UInt64(lists.bytes.count) else {
      throw lists.starts.damaged("centroid \(centroid)")
    }
    let bytes = try lists.bytes.bytes(Int(first)..<Int(next))
    var passage: UInt64 = 0
    var difference: UInt64 = 0
    var shift: UInt64 = 0
    var isFirst = true
    for byte in bytes {
      difference |= UInt64(byte & 127) << shift
      shift += 7
      guard shift <= 35 else { throw lists.bytes.damaged("centroid \(centroid)") }
      guard byte < 128 else { continue }
      guard isFirst || difference > 0 else {
        throw lists.bytes.damaged("centroid \(centroid) names a passage twice")
      }
      passage += difference
      guard passage < UInt64(count) else {
        throw lists.bytes.damaged("centroid \(centroid) names a passage beyond \(count)")
      }
      body(Int(passage))
      (difference, shift, isFirst) = (0, 0, false)
    }
    guard shift == 0 else { throw lists.bytes.damaged("centroid \(centroid) is cut short") }
  }
}

/// Makes the lists of passages by centroid.
package enum CentroidLists {
  /// Entries that are in memory at a time.
  private static let most = 32 << 20

  /// Appends the lists to what `append` writes; gives the section "starts".
  ///
  /// - Parameters:
  ///   - ids: the centroid of every vector, `idBytes` each.
  ///   - offsets: passages + 1 numbers of vectors.
  package static func write(
    ids: UnsafeRawBufferPointer, idBytes: Int, offsets: [Int], centroids: Int,
    append: ([UInt8]) throws(RetortError) -> Void
  ) throws(RetortError) -> [UInt8] {
    func number(_ row: Int) -> Int {
      let at = row * idBytes
      let low = Int(ids[at]) | Int(ids[at + 1]) << 8
      return idBytes == 3 ? low | Int(ids[at + 2]) << 16 : low
    }
    /// Calls `body` once for each passage and each of its centroids in `range`.
    func forEach(
      _ range: Range<Int>, _ body: (_ centroid: Int, _ passage: Int) -> Void
    ) throws(RetortError) {
      var seen = [Int32](repeating: -1, count: range.count)
      for passage in 0..<offsets.count - 1 {
        if passage % 4096 == 0 { try Interruption.check() }
        for row in offsets[passage]..<offsets[passage + 1] {
          let centroid = number(row) - range.lowerBound
          guard centroid >= 0, centroid < range.count, seen[centroid] != Int32(passage) else {
            continue
          }
          seen[centroid] = Int32(passage)
          body(centroid, passage)
        }
      }
    }
    var lengths = [Int](repeating: 0, count: centroids)
    try forEach(0..<centroids) { centroid, _ in lengths[centroid] += 1 }
    var starts: [UInt64] = [0]
    var end: UInt64 = 0
    var first = 0
    while first < centroids {
      var next = first
      var entries = 0
      while next < centroids, next == first || entries + lengths[next] <= most {
        entries += lengths[next]
        next += 1
      }
      var places: [Int] = []
      var total = 0
      for centroid in first..<next {
        places.append(total)
        total += lengths[centroid]
      }
      var members = [UInt32](repeating: 0, count: total)
      let begins = places
      try forEach(first..<next) { centroid, passage in
        // Nothing but a file that was cut between the two passes has more of them now.
        guard places[centroid] < begins[centroid] + lengths[first + centroid] else { return }
        members[places[centroid]] = UInt32(passage)
        places[centroid] += 1
      }
      for centroid in 0..<(next - first) {
        var bytes: [UInt8] = []
        var last: UInt32 = 0
        for member in members[begins[centroid]..<places[centroid]] {
          var difference = member - last
          last = member
          while difference >= 128 {
            bytes.append(UInt8(truncatingIfNeeded: difference) | 128)
            difference >>= 7
          }
          bytes.append(UInt8(truncatingIfNeeded: difference))
        }
        try append(bytes)
        end += UInt64(bytes.count)
        starts.append(end)
      }
      first = next
    }
    return starts.withUnsafeBytes { Array($0) }
  }
}
