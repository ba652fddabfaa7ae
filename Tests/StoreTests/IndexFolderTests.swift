import Platform
import Store
import TestSupport
import Testing

@Suite struct IndexFolderTests {
  private let temporary: TemporaryFolder
  private let folder: IndexFolder

  init() throws {
    temporary = try TemporaryFolder("folder")
    folder = IndexFolder(temporary.path + "/index/")
  }

  private func manifest(_ files: [String: Manifest.File], generation: Int = 1) -> Manifest {
    Manifest(
      generation: generation, dimension: 2,
      model: Manifest.Model(
        path: "/models/\"quoted\"/é", fingerprint: "f", architecture: "bert", pooling: "cls",
        normalized: false, maxLength: 8),
      graph: Manifest.GraphSettings(m: 2, efConstruction: 3, seed: .max),
      segments: [
        Manifest.Segment(
          name: IndexFolder.name(ofGeneration: generation), passages: 3,
          sources: [
            Manifest.Corpus(path: "c", truncatedTexts: 0, emptyTexts: 1, skippedLines: 2)
          ],
          graph: Manifest.GraphInfo(
            layers: 1, links: 4, reachedBefore: 2, linkedByPass: 1, reachable: 3),
          files: files)
      ])
  }

  @Test func `states from nothing to a finished index`() throws {
    #expect(try folder.state() == .absent)
    try FileSystem.makeFolder(folder.path)
    #expect(try folder.state() == .absent)
    for file in [
      "building/lock", "building/plan.json", "building/block-000000.part",
      "building/block-000001.part.tmp", "building/graph.seg", "segments/000001/vectors.seg",
      "manifest.json.tmp",
    ] {
      try temporary.file("index/" + file, "x")
      #expect(try folder.state() == .unfinished, "\(file)")
    }
    try temporary.file("index/manifest.json", "{}")
    #expect(try folder.state() == .index)
  }

  @Test(
    arguments: [
      "notes.txt", "building/main.c", "building/lock/x", "segments/thesis.tex",
      "segments/000001/thesis.tex", "segments/one/a.seg", "segments/x.seg", "Building/lock",
    ])
  func `folders with other people's files are foreign`(file: String) throws {
    try temporary.file("index/" + file, "precious")
    // A folder called like a file of ours is caught when it is opened; all else before.
    if file == "building/lock/x" { return }
    #expect(try folder.state() == .foreign)
    let error = #expect(throws: RetortError.self) { try folder.manifest() }
    #expect(error?.exitCode == 66)
  }

  @Test func `a file in place of the folder is foreign`() throws {
    try temporary.file("index", "a file")
    #expect(try folder.state() == .foreign)
  }

  @Test func `the manifest survives the way to disk and back`() throws {
    let file = Manifest.File(name: "segments/000001/a.seg", bytes: 5000, headerChecksum: .max)
    let written = manifest(["graph": file])
    try temporary.file("index/manifest.json", try written.encoded())
    #expect(try folder.manifest() == written)
  }

  @Test func `a manifest of a later format says which program reads it`() throws {
    var later = manifest([:])
    later.formatVersion = 9
    try temporary.file("index/manifest.json", try later.encoded())
    let error = #expect(throws: RetortError.self) { try folder.manifest() }
    #expect(error?.code == .unsupportedVersion)
    #expect(error?.message.contains("format version 9") == true)
  }

  @Test func `publishing moves the files, writes the manifest and tidies up`() throws {
    for generation in 1...3 {
      try temporary.file(
        "index/building/a.seg", [UInt8](repeating: UInt8(generation), count: 5000))
      try temporary.file("index/building/plan.json", "plan")
      try temporary.file("index/building/lock", "")
      let files = try folder.adopt(["a": "a.seg"], generation: generation)
      try folder.publish(manifest(files, generation: generation))
      let found = try folder.manifest()
      #expect(found.generation == generation)
      #expect(found.segments[0].files["a"]?.name == "segments/00000\(generation)/a.seg")
      #expect(found.segments[0].files["a"]?.bytes == 5000)
      #expect(
        try contents(of: folder.path).keys.sorted() == [
          "manifest.json", "segments/", "segments/00000\(generation)/",
          "segments/00000\(generation)/a.seg",
        ])
    }
  }

  @Test func `tidying removes what a killed build left of other generations`() throws {
    try temporary.file("index/segments/000001/a.seg", "old")
    try temporary.file("index/segments/000007/a.seg", "new")
    try temporary.file("index/building/plan.json", "plan")
    try folder.tidy(
      keeping: manifest([
        "a": Manifest.File(name: "segments/000007/a.seg", bytes: 3, headerChecksum: 0)
      ]))
    #expect(
      try contents(of: folder.path).keys.sorted() == [
        "segments/", "segments/000007/", "segments/000007/a.seg",
      ])
  }
}
