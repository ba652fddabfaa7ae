import Platform
import Store
import Tensors
import Terms
import TestSupport
import Testing

/// Files of term vectors, and what is found in them.
@Suite struct TermFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("terms") }

  /// Vectors around those of words, as the tokens of passages are.
  private struct Collection {
    var counts: [Int] = []
    var values: [Float] = []
    let dimension: Int

    init(passages: Int, dimension: Int, seed: UInt64) {
      self.dimension = dimension
      var random = SplitMix64(seed: seed)
      let topics = (0..<300 * dimension).map { _ in Float(random.normal()) }
      for passage in 0..<passages {
        // One of a single token, and long ones.
        let count = passage == 3 ? 1 : 2 + Int(random.next() % 20)
        counts.append(count)
        for _ in 0..<count {
          let topic = Int(random.next() % 300)
          let row = (0..<dimension).map {
            topics[topic * dimension + $0] + 0.2 * Float(random.normal())
          }
          let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
          values += row.map { $0 / length }
        }
      }
    }

    var matrix: Matrix {
      Matrix(rows: values.count / dimension, columns: dimension, values: values)
    }
    var offsets: [Int] { counts.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) } }
  }

  private func info(_ codec: TermCodec, _ dimension: Int) -> Manifest.Terms {
    Manifest.Terms(
      kind: "colbert", path: "/m", fingerprint: "f", dimension: dimension, codec: codec)
  }

  private func write(
    _ collection: Collection, _ codec: TermCodec, name: String = "t"
  ) throws -> TermFile {
    let path = folder.path + "/\(name).seg"
    var bookPath: String?
    var book: ResidualBook?
    if let bits = codec.bits {
      let made = try ResidualBook.train(
        collection.matrix,
        count: TermSampling.centroids(
          rows: collection.matrix.rows, dimension: collection.dimension), bits: bits, threads: 2)
      bookPath = folder.path + "/\(name)-book.seg"
      try TermFile.write(made, to: folder.path + "/\(name)-book.seg")
      book = made
    }
    let writer = try TermFileWriter(
      path: path, codec: codec, dimension: collection.dimension, book: bookPath)
    let halves = try #require(TermRowCoder.staged(collection.values, for: codec))
    let coder = try TermRowCoder(codec, dimension: collection.dimension, book: book)
    try writer.append(counts: collection.counts, [try coder.code(halves: halves[...])])
    try writer.finish()
    return try TermFile(
      path: path, book: bookPath, count: collection.counts.count,
      info: info(codec, collection.dimension))
  }

  @Test(arguments: TermCodec.allCases)
  func `scores of stored vectors are those of the vectors, as far as the codec keeps them`(
    codec: TermCodec
  ) throws {
    try scores(codec, dimension: 24)
    // Where rows are unpacked to bytes.
    try scores(codec, dimension: 128)
  }

  private func scores(_ codec: TermCodec, dimension: Int) throws {
    let collection = Collection(passages: 120, dimension: dimension, seed: 31)
    let terms = try write(collection, codec).terms
    try terms.verify()
    let query = Matrix(
      rows: 5, columns: dimension,
      values: Array(collection.values[10 * dimension..<15 * dimension]))
    let exact = MaxSim(query).scores(collection.matrix, offsets: collection.offsets)
    let scratch = TermScratch()
    let tolerance: [TermCodec: Float] = [
      .f32: 1e-5, .f16: 0.003, .int8: 0.03, .residual4: 0.15, .residual2: 0.6, .residual1: 1.2,
    ]
    for place in 0..<120 {
      let score = try terms.score(place, TermQuery(query, for: codec), scratch: scratch)
      #expect(abs(score - exact[place]) < tolerance[codec] ?? 0, "passage \(place)")
      // What the kernel makes of the codes is what single precision makes of them decoded.
      let decoded = try terms.terms([place])
      let rows = Matrix(
        rows: collection.counts[place], columns: dimension, values: decoded.values)
      let plain = MaxSim(query).scores(rows, offsets: decoded.offsets)[0]
      #expect(abs(score - plain) < 0.03, "passage \(place)")
      // And the products by themselves are those whose maxima it sums up.
      let products = try terms.products(place, TermQuery(query, for: codec), scratch: scratch)
      #expect(products.count == collection.counts[place] * 5)
      var sum: Float = 0
      for token in 0..<5 {
        let column = Swift.stride(from: token, to: products.count, by: 5).map { products[$0] }
        sum += column.max() ?? -.infinity
      }
      #expect(abs(sum - score) < 1e-5, "passage \(place)")
    }
  }

  @Test func `the worked example of MaxSim comes out of a file`() throws {
    var collection = Collection(passages: 0, dimension: 2, seed: 1)
    collection.counts = [3, 1]
    collection.values = [0.8, 0.6, -1, 0, 0, 1, -1, 0]
    let query = TermQuery(Matrix(rows: 3, columns: 2, values: [1, 0, 0, 1, 0.6, 0.8]))
    for codec in [TermCodec.f32, .f16, .int8] {
      let terms = try write(collection, codec).terms
      let first = try terms.score(0, query, scratch: TermScratch())
      #expect(abs(first - 2.76) < 0.02)
      // No zero vector floors the maxima: −1 + 0 − 0.6.
      let second = try terms.score(1, query, scratch: TermScratch())
      #expect(abs(second + 1.6) < 0.02)
    }
  }

  @Test func `search through centroids finds what scoring every passage finds`() throws {
    let seed: UInt64 = 77
    let collection = Collection(passages: 900, dimension: 32, seed: seed)
    let terms = try write(collection, .residual2).terms
    var same = 0
    for number in 0..<20 {
      let first = number * 40 * 32
      let query = TermQuery(
        Matrix(rows: 8, columns: 32, values: Array(collection.values[first..<first + 8 * 32])))
      let all = try terms.search(
        query, k: 10, allowed: nil, parameters: nil, space: TermSearchSpace(), threads: 2)
      var parameters = TermSearchParameters(k: 10)
      parameters.candidates = 400
      let found = try terms.search(
        query, k: 10, allowed: nil, parameters: parameters, space: TermSearchSpace(), threads: 2)
      let alone = try terms.search(
        query, k: 10, allowed: nil, parameters: parameters, space: TermSearchSpace(), threads: 1)
      #expect(found == alone && found.count == 10)
      same += Set(found.map(\.place)).intersection(all.map(\.place)).count
      for hit in found {
        #expect(try hit.score == terms.score(hit.place, query, scratch: TermScratch()))
      }
      // A filter never costs hits: of a few all are scored, of many enough cells are opened.
      for step in [7, 2] {
        let allowed: (count: Int, contains: @Sendable (Int) -> Bool) = (
          (900 + step - 1) / step, { $0 % step == 0 }
        )
        let filtered = try terms.search(
          query, k: 100, allowed: allowed,
          parameters: TermSearchParameters(k: 100, candidates: 120),
          space: TermSearchSpace(), threads: 2)
        #expect(filtered.count == 100 && filtered.allSatisfy { $0.place % step == 0 })
      }
      #expect(
        try terms.search(
          query, k: 5, allowed: (0, { _ in false }), parameters: parameters,
          space: TermSearchSpace(), threads: 1
        ).isEmpty)
    }
    #expect(same >= 180, "\(same) of 200, seed \(seed)")
    let empty = TermQuery(Matrix(rows: 0, columns: 32))
    #expect(
      try terms.search(
        empty, k: 5, allowed: nil, parameters: nil, space: TermSearchSpace(), threads: 1
      ).isEmpty)
  }

  @Test func `parameters follow from k alone`() {
    let few = TermSearchParameters(k: 10)
    let many = TermSearchParameters(k: 1000)
    #expect(many.cells > few.cells && many.candidates >= 4000)
    #expect(TermSearchParameters(k: 10) == few)
    #expect(TermSearchParameters(k: .max).candidates == .max)
    #expect(TermSearchParameters(k: 50, candidates: 3).candidates == 50)
  }

  @Test(arguments: [TermCodec.residual2, .int8, .f16, .f32])
  func `damage is an error that names file and section`(codec: TermCodec) throws {
    let collection = Collection(passages: 60, dimension: 16, seed: 5)
    let file = try write(collection, codec)
    let names = file.file.sections.keys.sorted()
    #expect(
      names
        == (codec == .residual2
          ? ["ids", "lists", "offsets", "rows", "shape", "starts"]
          : codec == .int8
            ? ["offsets", "rows", "scales", "shape"] : ["offsets", "rows", "shape"]))
    for path in [file.file.path] + (file.bookFile.map { [$0.path] } ?? []) {
      let whole = try FileSystem.read(path)
      for at in Swift.stride(from: 9, to: whole.count, by: max(whole.count / 97, 1)) {
        var bytes = whole
        bytes[at] ^= 0x10
        try FileSystem.replace(path, with: bytes)
        let error = try opened(file, codec, collection)
        // Bytes between the sections belong to none.
        if let error { #expect(error.path == path, "byte \(at): \(error)") }
      }
      for length in [0, 100, 4096, whole.count - 1] {
        try FileSystem.replace(path, with: Array(whole.prefix(length)))
        #expect(try opened(file, codec, collection) != nil, "\(length) bytes")
      }
      try FileSystem.replace(path, with: whole)
    }
    #expect(try opened(file, codec, collection) == nil)
    for name in names where name != "shape" {
      let error = try #require(try flipped(name, file, codec, collection))
      #expect("\(error)".contains("section \"\(name)\""), "\(error)")
    }
  }

  /// The error of opening and verifying what lies there.
  private func opened(
    _ file: TermFile, _ codec: TermCodec, _ collection: Collection
  ) throws -> RetortError? {
    do throws(RetortError) {
      try TermFile(
        path: file.file.path, book: file.bookFile?.path, count: collection.counts.count,
        info: info(codec, collection.dimension)
      ).verify()
      return nil
    } catch {
      return error
    }
  }

  /// The error of a flipped bit in a section, which is found by its bytes.
  private func flipped(
    _ name: String, _ file: TermFile, _ codec: TermCodec, _ collection: Collection
  ) throws -> RetortError? {
    let whole = try FileSystem.read(file.file.path)
    let section = Array(try file.file.section(name).all())
    let start = (0..<whole.count - section.count).first {
      $0 % 64 == 0 && $0 >= 4096 && whole[$0] == section[0]
        && whole[$0..<$0 + section.count].elementsEqual(section)
    }
    var bytes = whole
    bytes[try #require(start) + section.count / 2] ^= 1
    try FileSystem.replace(file.file.path, with: bytes)
    defer { try? FileSystem.replace(file.file.path, with: whole) }
    return try opened(file, codec, collection)
  }
}
