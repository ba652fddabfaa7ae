import Platform

// An index is a folder:
//   manifest.json              names the files below; replaced atomically, always last
//   segments/000001/*.seg      immutable files of generation 1
//   building/                  work in progress of a build; gone when it is finished
//
// A build works in building/ and publishes by renaming its files into segments/ and then the
// manifest over the old one. Until that last rename the old index, if there is one, is whole.

/// Where things lie in an index folder, and the steps that change it.
package struct IndexFolder: Sendable {
  /// The folder's path.
  package let path: String

  /// The index at `path`, which need not exist yet.
  package init(_ path: String) {
    var trimmed = path
    while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
    self.path = trimmed
  }

  /// The manifest's path.
  package var manifestPath: String { path + "/manifest.json" }
  /// The folder of unfinished work.
  package var buildingPath: String { path + "/building" }
  /// The file that says what an unfinished build was asked to do.
  package var planPath: String { buildingPath + "/plan.json" }

  /// A file of a generation, relative to the index folder.
  package static func segmentName(generation: Int, file: String) -> String {
    let digits = String(generation)
    let padded = String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    return "segments/\(padded)/\(file)"
  }

  /// The highest generation that has a folder of files, 0 where there is none.
  package func highestGeneration() throws(RetortError) -> Int {
    guard FileSystem.kind(of: path + "/segments") == .folder else { return 0 }
    return try FileSystem.names(in: path + "/segments").compactMap { Int($0) }.max() ?? 0
  }

  /// What is there.
  package enum State: Sendable, Equatable {
    /// Nothing, or an empty folder.
    case absent
    /// A finished index.
    case index
    /// A build that did not finish and no finished index.
    case unfinished
    /// Something that is not ours.
    case foreign
  }

  /// Looks at the folder.
  package func state() throws(RetortError) -> State {
    switch FileSystem.kind(of: path) {
    case .nothing: return .absent
    case .file, .other: return .foreign
    case .folder: break
    }
    if FileSystem.kind(of: manifestPath) == .file { return .index }
    let names = try FileSystem.names(in: path)
    if names.isEmpty { return .absent }
    guard Set(names).isSubset(of: ["building", "segments", "manifest.json.tmp"]) else {
      return .foreign
    }
    return try holdsOnlyOurs() ? .unfinished : .foreign
  }

  /// Whether the folders without a manifest hold nothing but what a build puts there: people have
  /// folders called "building" too, and a new build empties it.
  private func holdsOnlyOurs() throws(RetortError) -> Bool {
    if FileSystem.kind(of: buildingPath) == .folder {
      let ours = try FileSystem.names(in: buildingPath).allSatisfy { name in
        let name = name.hasSuffix(".tmp") ? name.dropLast(4) : name[...]
        return ["lock", "plan.json"].contains(name) || name.hasSuffix(".seg")
          || (name.hasPrefix("block-") && name.hasSuffix(".part"))
      }
      if !ours { return false }
    }
    guard FileSystem.kind(of: path + "/segments") == .folder else { return true }
    for name in try FileSystem.names(in: path + "/segments") {
      guard name.utf8.allSatisfy({ (48...57).contains($0) }),
        try FileSystem.names(in: path + "/segments/" + name).allSatisfy({ $0.hasSuffix(".seg") })
      else { return false }
    }
    return true
  }

  /// The manifest, with an error that says what else is there when there is none.
  package func manifest() throws(RetortError) -> Manifest {
    switch try state() {
    case .index: return try Manifest.read(manifestPath)
    case .absent:
      throw RetortError(
        .missingInput, "there is no index here; make one with `retort index build`", path: path)
    case .unfinished:
      throw RetortError(
        .missingInput,
        "the build of this index has not finished; run the same `retort index build` with --resume",
        path: path)
    case .foreign:
      throw RetortError(.missingInput, "is not an index (it has no manifest.json)", path: path)
    }
  }

  /// Publishes the files of building/ (by role) as generation `generation`.
  ///
  /// - Parameters:
  ///   - files: file names in building/ by role, all durable.
  ///   - describe: makes the manifest from the published files.
  package func publish(
    generation: Int, files: [String: String],
    describe: ([String: Manifest.File]) -> Manifest
  ) throws(RetortError) {
    var published: [String: Manifest.File] = [:]
    for (role, file) in files.sorted(by: { $0.key < $1.key }) {
      let source = buildingPath + "/" + file
      let name = Self.segmentName(generation: generation, file: file)
      let target = path + "/" + name
      try FileSystem.makeFolder(FileSystem.parent(of: target))
      try FileSystem.rename(source, to: target)
      published[role] = try Self.describe(target, name: name)
    }
    try FileSystem.syncFolder(path + "/segments")
    try FileSystem.syncFolder(path)
    let manifest = describe(published)
    try FileSystem.replace(manifestPath, with: manifest.encoded())
    try tidy(keeping: manifest)
  }

  /// Removes what a finished build has no more use for: other generations and building/, the latter
  /// last, so that a build killed in here is tidied up when it is resumed.
  ///
  /// Readers that have the old files open keep them: the names go, the data stays until they close.
  package func tidy(keeping manifest: Manifest) throws(RetortError) {
    let kept = Set(manifest.files.values.map { FileSystem.parent(of: $0.name) })
    for name in try FileSystem.names(in: path + "/segments")
    where !kept.contains("segments/" + name) {
      try FileSystem.removeTree(path + "/segments/" + name)
    }
    try FileSystem.removeTree(buildingPath)
  }

  private static func describe(_ path: String, name: String) throws(RetortError) -> Manifest.File {
    let file = try MappedFile(path: path)
    let page = try file.slice(offset: 0, length: UInt64(SegmentLayout.page))
    // The page is memory of the mapping, which must not go before it has been read.
    return withExtendedLifetime(file) {
      Manifest.File(name: name, bytes: file.count, headerChecksum: Checksum.crc32c(page))
    }
  }
}

/// A finished index, mapped: everything that search reads.
package struct OpenedIndex: Sendable {
  /// What the index is.
  package let manifest: Manifest
  /// The vectors.
  package let vectors: VectorFile
  /// Ids and texts.
  package let passages: PassageFile
  /// The graph.
  package let graph: GraphFile

  /// Maps the index in `folder` and checks that its files belong together.
  ///
  /// A writer may replace the index between the reading of the manifest and the opening of the
  /// files it names; then the new manifest is followed.
  package init(_ folder: IndexFolder) throws(RetortError) {
    var manifest = try folder.manifest()
    while true {
      do throws(RetortError) {
        try self.init(folder, manifest)
        return
      } catch {
        let newer = try folder.manifest()
        guard newer != manifest else { throw error }
        manifest = newer
      }
    }
  }

  private init(_ folder: IndexFolder, _ manifest: Manifest) throws(RetortError) {
    func path(_ role: String) throws(RetortError) -> String {
      guard let file = manifest.files[role], !file.name.hasPrefix("/"), !file.name.contains("..")
      else {
        throw RetortError(.badData, "names no \(role) file", path: folder.manifestPath)
      }
      let path = folder.path + "/" + file.name
      let mapped = try MappedFile(path: path)
      guard mapped.count == file.bytes else {
        throw RetortError(
          .truncated,
          "has \(mapped.count) bytes, the manifest says \(file.bytes); restore the file from a "
            + "copy or build the index again", path: path)
      }
      let page = try mapped.slice(offset: 0, length: UInt64(SegmentLayout.page))
      guard withExtendedLifetime(mapped, { Checksum.crc32c(page) }) == file.headerChecksum else {
        throw RetortError(
          .checksumMismatch,
          "is not the file the manifest names (another generation, or damaged); restore it from a "
            + "copy or build the index again", path: path)
      }
      return path
    }
    self.manifest = manifest
    vectors = try VectorFile(path: path("vectors"))
    passages = try PassageFile(path: path("passages"))
    graph = try GraphFile(path: path("graph"))
    let counts = [vectors.vectors.count, passages.count, graph.graph.count, manifest.passages]
    guard Set(counts).count == 1, vectors.vectors.dimension == manifest.dimension else {
      throw RetortError(
        .badData,
        "its files disagree about the number of passages (\(counts)) or the dimension; build the "
          + "index again", path: folder.path)
    }
  }
}
