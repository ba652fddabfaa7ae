import Indexing
import Models
import Platform
import Retrieval
import Store
import TestSupport
import Testing

@Suite struct BuildTests {
  private let small: SmallIndex
  private let folder: TemporaryFolder

  init() throws {
    small = try SmallIndex.shared.get()
    folder = try TemporaryFolder("build")
  }

  @Test(arguments: [1, 3, 7])
  func `the files have the same bytes at any number of threads`(threads: Int) throws {
    try small.build(to: folder.path + "/index") { $0.threads = threads }
    #expect(try differences(small.path, folder.path + "/index") == [])
  }

  @Test func `another seed, M or efConstruction makes another graph of the same vectors`() throws {
    try small.build(to: folder.path + "/seed") { $0.seed = 43 }
    try small.build(to: folder.path + "/m") { $0.m = 9 }
    try small.build(to: folder.path + "/ef") { $0.efConstruction = 8 }
    for name in ["seed", "m", "ef"] {
      #expect(
        try differences(small.path, folder.path + "/" + name)
          == ["manifest.json", "segments/000001/graph.seg"])
    }
  }

  @Test func `the batch size does not change vectors beyond rounding, nor ids and texts`() throws {
    try small.build(to: folder.path + "/index") { $0.batchSize = 17 }
    let other = try differences(small.path, folder.path + "/index")
    #expect(!other.contains("segments/000001/passages.seg"))
    let one = try PassageIndex(path: small.path)
    let two = try PassageIndex(path: folder.path + "/index")
    for number in 0..<one.count {
      for (a, b) in zip(try one.vector(number), try two.vector(number)) {
        #expect(abs(a - b) <= 1e-5 * max(1, abs(a)))
      }
    }
  }

  @Test func `replacing an index keeps it readable for those who have it open`() throws {
    let path = folder.path + "/index"
    try small.build(to: path)
    let before = try PassageIndex(path: path)
    let queries = try noisyQueries(before, count: 5, seed: 41)
    let expected = try PassageIndex(path: small.path).search(queries, k: 10, mode: .exact)
    try small.build(to: path) {
      $0.overwrite = true
      $0.seed = 77
    }
    #expect(try before.search(queries, k: 10, mode: .exact) == expected)
    #expect(try before.passage(10).id == small.corpus.passages[10].id)
    let after = try PassageIndex(path: path)
    #expect(after.manifest.generation == 2)
    #expect(after.manifest.graph.seed == 77)
    #expect(try FileSystem.names(in: path) == ["manifest.json", "segments"])
    #expect(try FileSystem.names(in: path + "/segments") == ["000002"])
  }

  @Test func `options out of range are refused before anything is made`() throws {
    let changes: [(inout IndexBuildOptions) -> Void] = [
      { $0.m = 1 }, { $0.m = 257 }, { $0.efConstruction = 0 }, { $0.batchSize = 0 },
      { $0.threads = 0 }, { $0.threads = 5000 },
    ]
    for change in changes {
      let error = #expect(throws: RetortError.self) {
        try small.build(to: folder.path + "/none", change: change)
      }
      #expect(error?.exitCode == 64)
    }
    #expect(FileSystem.kind(of: folder.path + "/none") == .nothing)
  }

  @Test func `the index says what it was made of`() throws {
    let manifest = try PassageIndex(path: small.path).manifest
    #expect(manifest.passages == small.corpus.passages.count)
    #expect(manifest.model?.path == small.folder.path + "/model")
    #expect(manifest.model?.pooling == "mean")
    #expect(manifest.model?.maxLength == TinyEncoder.maxLength)
    #expect(manifest.graph.m == 8 && manifest.graph.seed == 42)
    for file in manifest.segments[0].files.values {
      #expect(try FileSystem.size(of: small.path + "/" + file.name) == file.bytes)
    }
  }
}
