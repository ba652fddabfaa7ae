import CKernels
import Platform
import Tensors
import Terms
import Testing

/// Numbers of a seeded generator.
func random(_ count: Int, seed: UInt64) -> [Float] {
  var random = SplitMix64(seed: seed)
  return (0..<count).map { _ in Float(random.normal()) }
}

@Suite struct ResidualCodecTests {
  private static let levels: [retort_level] = [
    RETORT_LEVEL_SCALAR, RETORT_LEVEL_NEON, RETORT_LEVEL_AVX2, RETORT_LEVEL_AVX512,
  ].filter { retort_level_available($0) }

  @Test func `the worked example of two bits comes out byte by byte`() {
    let sample: [Float] = [-0.3, -0.1, -0.05, 0, 0.02, 0.07, 0.2, 0.4]
    let buckets = ResidualBuckets(bits: 2, sample: sample)
    let cutoffs: [Float] = [-0.0625, 0.01, 0.1025]
    let weights: [Float] = [-0.125, -0.01875, 0.03875, 0.225]
    for (found, expected) in zip(buckets.cutoffs + buckets.weights, cutoffs + weights) {
      #expect(abs(found - expected) < 1e-6)
    }
    var bytes: [UInt8] = [255, 255]
    let zero = [UInt16](repeating: 0, count: 8)
    retort_encode_residual(&bytes, sample, zero, 8, buckets.cutoffs, 2)
    #expect(bytes == [10, 95])
    var kernel = retort_term_book()
    kernel.dimension = 8
    kernel.count = 1
    kernel.bits = 2
    kernel.id_bytes = 2
    for level in Self.levels {
      var out = [Float](repeating: 0, count: 8)
      let decoded = zero.withUnsafeBufferPointer { centroids in
        buckets.weights.withUnsafeBufferPointer { weights in
          kernel.centroids = centroids.baseAddress
          kernel.weights = weights.baseAddress
          return retort_decode_terms(level, &out, [0, 0], bytes, 1, &kernel)
        }
      }
      let expected = [0, 0, 1, 1, 2, 2, 3, 3].map { buckets.weights[$0] }
      #expect(decoded && out == expected)
    }
  }

  @Test func `the numbers of centroids are those of the formula`() {
    #expect(TermSampling.usualCentroids(rows: 10_000 * 70) == 8192)
    #expect(TermSampling.usualCentroids(rows: 1_000_000 * 70) == 131_072)
    #expect(TermSampling.usualCentroids(rows: 8_841_823 * 70) == 262_144)
    #expect(TermSampling.centroids(rows: 10_000 * 70, dimension: 128) == 8192)
    #expect(TermSampling.centroids(rows: 8_841_823 * 70, dimension: 128) == 262_144)
    #expect(TermSampling.centroids(rows: 1, dimension: 128) == 1)
    // 512 MiB, however long the vectors are.
    let sampled = TermSampling.sampled(rows: 1 << 40, centroids: 1 << 18, dimension: 768)
    #expect(sampled * 768 * 4 <= 512 << 20)
    let rows = TermSampling.rows(100, of: 1000)
    #expect(rows.count == 100 && rows == Set(rows).sorted() && (rows.last ?? 1000) < 1000)
  }

  @Test func `two bits at 128 dimensions take 34 bytes, 35 with many centroids`() {
    #expect(TermCodec.residual2.rowBytes(dimension: 128) + 2 == 34)
    #expect(TermCodec.residual1.rowBytes(dimension: 128) == 16)
    #expect(TermCodec.residual4.rowBytes(dimension: 13) == 7)
    #expect(TermCodec.int8.rowBytes(dimension: 13) == 16)
  }

  @Test(arguments: [1, 2, 4])
  func `every instruction set decodes what the reference decodes`(bits: Int) throws {
    for (dimension, normalizes) in [(128, true), (128, false), (13, true), (8, false), (5, true)] {
      let seed = UInt64(bits * 1000 + dimension)
      let sample = Matrix(
        rows: 400, columns: dimension, values: random(400 * dimension, seed: seed))
      let book = try ResidualBook.train(sample, count: 16, bits: bits, threads: 2)
      let used = ResidualBook(
        centroids: try book.matrix(), buckets: book.buckets, normalizes: normalizes)
      let codec: TermCodec = bits == 1 ? .residual1 : bits == 2 ? .residual2 : .residual4
      let halves = try #require(TermRowCoder.halves(sample.values))
      let coded = try TermRowCoder(codec, dimension: dimension, book: used).code(
        halves: halves[...])
      var reference = [Float](repeating: 0, count: 400 * dimension)
      #expect(
        try used.decode(
          &reference, ids: coded.ids, residuals: coded.rows, rows: 400,
          level: RETORT_LEVEL_SCALAR))
      for level in Self.levels {
        var out = [Float](repeating: 0, count: 400 * dimension)
        #expect(
          try used.decode(&out, ids: coded.ids, residuals: coded.rows, rows: 400, level: level))
        let worst = zip(out, reference).map { abs($0 - $1) }.max() ?? 1
        #expect(worst < 1e-5, "seed \(seed)")
        var wrong = coded.ids
        wrong[401] = 200
        #expect(
          try !used.decode(&out, ids: wrong, residuals: coded.rows, rows: 400, level: level))
      }
    }
  }

  @Test(arguments: [1, 2, 4])
  func `every instruction set unpacks the same bytes, close to what is decoded`(bits: Int) throws {
    for (dimension, normalizes) in [(128, true), (128, false), (256, true)] {
      let sample = Matrix(
        rows: 300, columns: dimension, values: random(300 * dimension, seed: UInt64(bits)))
      let trained = try ResidualBook.train(sample, count: 16, bits: bits, threads: 2)
      let book = ResidualBook(
        centroids: try trained.matrix(), buckets: trained.buckets, normalizes: normalizes)
      let codec: TermCodec = bits == 1 ? .residual1 : bits == 2 ? .residual2 : .residual4
      let halves = try #require(TermRowCoder.halves(sample.values))
      let coded = try TermRowCoder(codec, dimension: dimension, book: book).code(
        halves: halves[...])
      var decoded = [Float](repeating: 0, count: 300 * dimension)
      #expect(try book.decode(&decoded, ids: coded.ids, residuals: coded.rows, rows: 300))
      var results: [(codes: [UInt8], scales: [Float])] = []
      for level in Self.levels {
        let found = try #require(
          try book.unpacked(ids: coded.ids, residuals: coded.rows, rows: 300, level: level))
        results.append(found)
        #expect(found.codes == results[0].codes && found.scales == results[0].scales)
        var wrong = coded.ids
        wrong[401] = 200
        #expect(
          try book.unpacked(ids: wrong, residuals: coded.rows, rows: 300, level: level) == nil)
      }
      #expect(results[0].codes.allSatisfy { (1...127).contains($0) })
      let step =
        ((try trained.matrix().values.map(abs).max() ?? 0)
          + (trained.buckets.weights.map(abs).max() ?? 0)) / 62.5
      let bytes = dimension * bits / 8
      for row in 0..<300 {
        for place in 0..<dimension {
          let component = place % bytes * (8 / bits) + place / bytes
          let value =
            results[0].scales[row] * (Float(results[0].codes[row * dimension + place]) - 64)
          let expected = decoded[row * dimension + component]
          // Half a step for the centroid, half for the weight; lengths are about 11.
          #expect(abs(value - expected) < (normalizes ? step / 8 : step * 1.001))
        }
      }
    }
  }

  @Test func `more bits lose less`() throws {
    let sample = Matrix(rows: 600, columns: 32, values: random(600 * 32, seed: 7))
    let halves = try #require(TermRowCoder.halves(sample.values))
    var losses: [Double] = []
    for (bits, codec) in [(1, TermCodec.residual1), (2, .residual2), (4, .residual4)] {
      let book = try ResidualBook.train(sample, count: 64, bits: bits, threads: 1)
      #expect(!book.normalizes)
      let coded = try TermRowCoder(codec, dimension: 32, book: book).code(halves: halves[...])
      var out = [Float](repeating: 0, count: 600 * 32)
      #expect(try book.decode(&out, ids: coded.ids, residuals: coded.rows, rows: 600))
      losses.append(
        zip(out, sample.values).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) })
    }
    #expect(losses[0] > 1.5 * losses[1] && losses[1] > 3 * losses[2], "\(losses)")
  }

  @Test func `half precision rounds to nearest even`() {
    let values: [Float] = [
      0, -0.0, 1, -2.5, 65504, 65519, 6e-8, 3e-8, 2.98e-8, 1e-5, 0.1, 0.33325195, 1.0004883,
      1.0014648, -0.00006,
    ]
    var halves = [UInt16](repeating: 0, count: values.count)
    retort_to_half(&halves, values, values.count)
    #expect(halves == values.map { Float16($0).bitPattern })
    for level in Self.levels {
      var back = [Float](repeating: 0, count: values.count)
      retort_from_half(level, &back, halves, values.count)
      #expect(back == values.map { Float(Float16($0)) })
    }
    for bad in [Float.infinity, .nan, 65520, -70000] {
      #expect(TermRowCoder.halves([1, bad]) == nil)
    }
  }
}
