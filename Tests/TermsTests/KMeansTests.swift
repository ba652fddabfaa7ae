import CKernels
import Platform
import Tensors
import Terms
import Testing

@Suite struct KMeansTests {
  @Test func `the nearest row is that of a plain search, of equals the first`() {
    let dimension = 20
    let rows = Matrix(rows: 700, columns: dimension, values: random(700 * dimension, seed: 3))
    rows.copyRow(5, of: rows, to: 600)
    let queries = Matrix(rows: 130, columns: dimension, values: random(130 * dimension, seed: 4))
    queries.copyRow(5, of: rows, to: 0)
    func distance(_ query: Int, _ row: Int) -> Double {
      (0..<dimension).reduce(0) {
        let difference = Double(queries.row(query)[$1]) - Double(rows.row(row)[$1])
        return $0 + difference * difference
      }
    }
    for level in [RETORT_LEVEL_SCALAR, retort_level_in_use()] {
      let found = NearestRows(rows, level: level).nearest(queries.pointer, count: 130)
      #expect(found[0] == 5)
      for query in 0..<130 {
        let best = (0..<700).map { distance(query, $0) }.min() ?? 0
        #expect(distance(query, Int(found[query])) <= best + 1e-4)
      }
    }
  }

  @Test func `centroids find clusters, the same for every number of threads`() throws {
    let centers = random(7 * 16, seed: 8)
    var random = SplitMix64(seed: 9)
    var values: [Float] = []
    for row in 0..<2000 {
      for i in 0..<16 { values.append(centers[row % 7 * 16 + i] + 0.01 * Float(random.normal())) }
    }
    let rows = Matrix(rows: 2000, columns: 16, values: values)
    let one = try KMeans.centroids(of: rows, count: 40, threads: 1)
    let four = try KMeans.centroids(of: rows, count: 40, threads: 4)
    #expect(one.values == four.values)
    let nearest = try KMeans.assign(rows, to: one, threads: 3)
    for (row, centroid) in nearest.enumerated() {
      let difference = (0..<16).map { abs(one.row(Int(centroid))[$0] - values[row * 16 + $0]) }
      #expect((difference.max() ?? 1) < 0.1)
    }
  }

  @Test func `a book of unit vectors decodes unit vectors`() throws {
    var values = random(500 * 24, seed: 12)
    for row in 0..<500 {
      let length = (0..<24).reduce(Float(0)) { $0 + values[row * 24 + $1] * values[row * 24 + $1] }
        .squareRoot()
      for i in 0..<24 { values[row * 24 + i] /= length }
    }
    let sample = Matrix(rows: 500, columns: 24, values: values)
    let book = try ResidualBook.train(sample, count: 32, bits: 2, threads: 2)
    #expect(book.normalizes)
    let halves = try #require(TermRowCoder.halves(values))
    let coded = try TermRowCoder(.residual2, dimension: 24, book: book).code(halves: halves[...])
    var out = [Float](repeating: 0, count: 500 * 24)
    #expect(try book.decode(&out, ids: coded.ids, residuals: coded.rows, rows: 500))
    for row in 0..<500 {
      let square = (0..<24).reduce(Float(0)) { $0 + out[row * 24 + $1] * out[row * 24 + $1] }
      #expect(abs(square - 1) < 1e-4)
    }
  }

  @Test func `MaxSim over bytes is the same at every level, and close to single precision`() {
    for (tokens, width, rows) in [(32, 128, 100), (5, 13, 7), (17, 64, 1), (1, 8, 3)] {
      let seed = UInt64(tokens * width)
      let query = Matrix(rows: tokens, columns: width, values: random(tokens * width, seed: seed))
      let passage = Matrix(
        rows: rows, columns: width, values: random(rows * width, seed: seed + 1))
      let exact = MaxSim(query).scores(passage, offsets: [0, rows])[0]
      let reference = CodedMaxSim(query, level: RETORT_LEVEL_SCALAR).score(
        passage.pointer, rows: rows, scratch: CodedMaxSim.Scratch())
      let bound = 0.02 * Float(width).squareRoot() * Float(tokens)
      #expect(abs(exact - reference) < bound)
      for level in [RETORT_LEVEL_NEON, RETORT_LEVEL_AVX2, RETORT_LEVEL_AVX512]
      where retort_level_available(level) {
        let found = CodedMaxSim(query, level: level).score(
          passage.pointer, rows: rows, scratch: CodedMaxSim.Scratch())
        #expect(abs(found - reference) < 1e-3 * max(1, abs(reference)), "\(tokens) × \(width)")
      }
    }
    let query = Matrix(rows: 3, columns: 2, values: [1, 0, 0, 1, 0.6, 0.8])
    #expect(
      CodedMaxSim(query).score(query.pointer, rows: 0, scratch: CodedMaxSim.Scratch())
        == -Float.infinity)
  }

  @Test func `MaxSim over codes of 7 bits is the same at every level, at their extremes too`() {
    for (tokens, width, rows) in [(32, 128, 100), (5, 12, 7), (17, 64, 1), (40, 20, 13)] {
      let seed = UInt64(tokens * width)
      // Ones make all pairs of the query's codes as large as they get.
      for values in [
        random(tokens * width, seed: seed), [Float](repeating: 1, count: tokens * width),
      ] {
        let query = Matrix(rows: tokens, columns: width, values: values)
        for codes in [
          random(rows * width, seed: seed + 1).map { UInt8(max(1, min(127, 64 + 30 * $0))) },
          [UInt8](repeating: 127, count: rows * width), [UInt8](repeating: 1, count: rows * width),
        ] {
          func score(_ level: retort_level) -> Float? {
            CodedMaxSim(query, level: level).score(rows: rows, scratch: CodedMaxSim.Scratch()) {
              $0.update(from: codes, count: codes.count)
              for row in 0..<rows { $1[row] = Float(row % 7 + 1) / 64 }
              return true
            }
          }
          let reference = score(RETORT_LEVEL_SCALAR) ?? .nan
          for level in [RETORT_LEVEL_NEON, RETORT_LEVEL_AVX2, RETORT_LEVEL_AVX512]
          where retort_level_available(level) {
            let found = score(level) ?? .nan
            #expect(
              abs(found - reference) <= 1e-5 * max(1, abs(reference)),
              "\(tokens) × \(width), seed \(seed)")
          }
        }
      }
    }
  }
}
