import Platform
import Store

extension PassageIndex {
  /// Reads and checks everything a search touches, so that no later one waits for the disk or for the
  /// decoding of neighbour lists.
  public func warm() throws(RetortError) {
    try reading { () throws(RetortError) in try touchAll() }
  }

  private func touchAll() throws(RetortError) {
    for segment in opened.segments {
      for file in segment.searchedFiles {
        try Interruption.check()
        try file.verifyAll()
      }
      try segment.graph.graph.verifyLists()
    }
  }

  /// Reads and checks everything: all checksums, every neighbour list, posting, id and text, that
  /// every passage is reachable in the graph of its segment, and that no id occurs twice.
  public func verify() throws(RetortError) {
    try reading { () throws(RetortError) in try verifyAll() }
  }

  private func verifyAll() throws(RetortError) {
    for segment in opened.segments {
      for file in segment.searchedFiles { try file.verifyAll() }
      try segment.lexical?.inverted.verify()
      for terms in segment.terms { try terms.verify() }
      try segment.verifyMetadata()
      for place in 0..<segment.count {
        try Interruption.check()
        let id = try segment.passages.id(place)
        let found = try segment.passages.number(of: id)
        // A deleted passage's id may be that of another, or of none.
        let number = segment.isDeleted(place) ? segment.base + place : try number(of: id)
        guard found == place, number == segment.base + place else {
          throw RetortError(
            .badData,
            "passage \(segment.base + place) cannot be found by its id \"\(id)\"; build the index "
              + "again", path: path)
        }
      }
      try segment.passages.verifyTexts()
      try segment.graph.graph.verifyLists()
      let reachable = try segment.graph.graph.reachableCount()
      guard reachable == segment.count else {
        throw RetortError(
          .badData,
          "only \(reachable) of \(segment.count) passages are reachable in the graph of segment "
            + "\(segment.info.name); build the index again", path: path)
      }
    }
  }
}

extension OpenedSegment {
  /// The files that searches read.
  fileprivate var searchedFiles: [SegmentFile] {
    [vectors.file, graph.file, passages.file] + (lexical.map { [$0.file] } ?? [])
  }

  /// Reads all metadata.
  fileprivate func verifyMetadata() throws(RetortError) {
    guard let metadata else { return }
    try metadata.file.verifyAll()
    let reader = try MetadataReader(metadata)
    for place in 0..<count {
      try Interruption.check()
      _ = try reader.fields(of: place)
    }
  }
}
