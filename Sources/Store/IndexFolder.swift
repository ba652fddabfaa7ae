import Platform

// An index is a folder:
//   manifest.json              names the files below; replaced atomically, always last
//   segments/000001/*.seg      the segment that generation 1 made; files never change
//   segments/000003/deleted-000001.seg   what generation 3 deleted of it
//   building/                  work in progress of a writer; gone when it is finished
//
// A writer works in building/ and publishes by renaming its files into segments/ and then the
// manifest over the old one. Until that last rename the index, if there was one, is what it was.
// Readers map all files when they open the index and keep them: names may go, the data stays.

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

  /// The name of a generation's folder: its number with at least six digits.
  package static func name(ofGeneration generation: Int) -> String {
    let digits = String(generation)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  /// The highest generation that has a folder of files, 0 where there is none.
  package func highestGeneration() throws(RetortError) -> Int {
    guard FileSystem.kind(of: path + "/segments") == .folder else { return 0 }
    return try FileSystem.names(in: path + "/segments").compactMap { Int(decimal: $0) }.max() ?? 0
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

  /// Moves durable files of building/ (by role) into the folder of generation `generation`, where
  /// nobody sees them before a manifest names them.
  package func adopt(
    _ files: [String: String], generation: Int
  ) throws(RetortError) -> [String: Manifest.File] {
    var adopted: [String: Manifest.File] = [:]
    for (role, file) in files.ordered(by: { $0.key < $1.key }) {
      let name = "segments/\(Self.name(ofGeneration: generation))/\(file)"
      let target = path + "/" + name
      try FileSystem.makeFolder(FileSystem.parent(of: target))
      try FileSystem.rename(buildingPath + "/" + file, to: target)
      adopted[role] = try Self.describe(target, name: name)
    }
    return adopted
  }

  /// Makes `manifest` the index, and tidies up.
  package func publish(_ manifest: Manifest) throws(RetortError) {
    if FileSystem.kind(of: path + "/segments") == .folder {
      try FileSystem.syncFolder(path + "/segments")
    }
    try FileSystem.syncFolder(path)
    try FileSystem.replace(manifestPath, with: manifest.encoded())
    try tidy(keeping: manifest)
  }

  /// Removes what a finished index has no more use for: files that the manifest does not name and
  /// building/, the latter last, so that a writer killed in here is tidied up after when it resumes.
  ///
  /// Readers that have the old files open keep them: the names go, the data stays until they close.
  package func tidy(keeping manifest: Manifest) throws(RetortError) {
    let kept = Set(manifest.segments.flatMap { $0.files.values.map(\.name) })
    let folders =
      FileSystem.kind(of: path + "/segments") == .folder
      ? try FileSystem.names(in: path + "/segments") : []
    for folder in folders {
      let folder = "segments/" + folder
      let names = try FileSystem.names(in: path + "/" + folder)
      for name in names where !kept.contains(folder + "/" + name) {
        try FileSystem.removeTree(path + "/" + folder + "/" + name)
      }
      if !names.contains(where: { kept.contains(folder + "/" + $0) }) {
        try FileSystem.removeTree(path + "/" + folder)
      }
    }
    try FileSystem.removeTree(buildingPath)
  }

  private static func describe(_ path: String, name: String) throws(RetortError) -> Manifest.File {
    let file = try MappedFile(path: path)
    let page = try file.slice(offset: 0, length: UInt64(SegmentLayout.page))
    // The page is memory of the mapping, which must not go before it has been read.
    let described = withExtendedLifetime(file) {
      Manifest.File(name: name, bytes: file.count, headerChecksum: Checksum.crc32c(page))
    }
    try file.checkIntact()
    return described
  }
}
