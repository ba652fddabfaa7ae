import CBLAS
import Testing

/// The system's matrix product behind its small interface.
@Suite struct BLASTests {
  /// Rows and columns of the result, and what is summed over.
  private static let shapes: [[Int]] = [
    [1, 1, 1], [3, 5, 2], [17, 33, 65], [64, 1, 40], [1, 70, 9],
  ]

  private static let seed: UInt64 = 0xB1A5

  @Test(arguments: shapes, [false, true])
  func `products are those of their definition, whatever is transposed`(
    shape: [Int], scaled: Bool
  ) throws {
    let (m, n, k) = (shape[0], shape[1], shape[2])
    var state = Self.seed
    func values(_ count: Int) -> [Float] {
      (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int(state >> 40) - (1 << 23)) / Float(1 << 23)
      }
    }
    // Rows lie further apart than they are long.
    let gap = 3
    let (alpha, beta): (Float, Float) = scaled ? (0.5, 2) : (1, 0)
    for transposed in [(false, false), (false, true), (true, false), (true, true)] {
      let (a, b) = transposed
      let (lda, ldb, ldc) = ((a ? m : k) + gap, (b ? k : n) + gap, n + gap)
      let x = values((a ? k : m) * lda)
      let y = values((b ? n : k) * ldb)
      let before = values(m * ldc)
      // In double precision, and by another loop than that of the library's stand-in.
      var expected = before.map { Double($0) }
      for i in 0..<m {
        for j in 0..<n {
          var sum = 0.0
          for l in 0..<k {
            let left = Double(a ? x[l * lda + i] : x[i * lda + l])
            sum += left * Double(b ? y[j * ldb + l] : y[l * ldb + j])
          }
          expected[i * ldc + j] = Double(alpha) * sum + Double(beta) * expected[i * ldc + j]
        }
      }
      for isReference in [false, true] {
        var found = before
        (isReference ? retort_sgemm_reference : retort_sgemm)(
          a, b, Int32(m), Int32(n), Int32(k), alpha, x, Int32(lda), y, Int32(ldb), beta, &found,
          Int32(ldc))
        let what = "reference \(isReference), seed \(Self.seed), transposed \(transposed)"
        let worst = zip(found, expected).reduce(0.0) { max($0, abs(Double($1.0) - $1.1)) }
        #expect(worst <= 2e-5, "\(what)")
        // What lies between the rows is nobody's.
        let isKept = (0..<m).allSatisfy { row in
          let rest = (row * ldc + n)..<((row + 1) * ldc)
          return found[rest] == before[rest]
        }
        #expect(isKept, "\(what)")
      }
    }
  }
}
