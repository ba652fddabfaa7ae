import Models
import Platform
import Testing

/// The shortest and longest sequences, the smallest and largest batches.
@Suite struct EncoderLimitTests {
  private let files: TinyModel
  private let model: EncoderModel

  init() throws {
    files = try TinyModel(.bert)
    files.add("embeddings.position_embeddings.weight", [512, 8], tag: 2, scale: 0.3)
    files.configuration = files.configuration.replacing(
      "\"max_position_embeddings\": 32", with: "\"max_position_embeddings\": 512")
    try files.write()
    model = try EncoderModel(directory: files.directory)
  }

  private func ids(_ count: Int) -> [Int32] { (0..<count).map { Int32(($0 * 7 + count) % 20) } }

  private func row(_ number: Int, of vectors: [Float]) -> ArraySlice<Float> {
    vectors[(number * model.dimension)..<((number + 1) * model.dimension)]
  }

  private func distance(_ one: some Sequence<Float>, _ other: some Sequence<Float>) -> Float {
    zip(one, other).map { abs($0 - $1) }.max() ?? 0
  }

  @Test(arguments: [1, 2, 3])
  func `sequences of 0, 1, 512 and 513 tokens are encoded, the last without its middle`(
    threads: Int
  ) throws {
    let lengths = [512, 0, 513, 1, 511, 0, 1]
    let vectors = try model.encode(lengths.map(ids), threads: threads)
    #expect(vectors.count == lengths.count * model.dimension)
    let areFinite = vectors.allSatisfy { $0.isFinite }
    #expect(areFinite)
    for (number, length) in lengths.enumerated() {
      let alone = try model.encode([ids(length)], threads: threads)
      #expect(distance(row(number, of: vectors), alone) < 1e-5, "\(length) tokens")
      #expect(alone.allSatisfy { $0 == 0 } == (length == 0))
    }
    let cut = Array(ids(513)[..<511] + ids(513)[512...])
    #expect(distance(row(2, of: vectors), try model.encode([cut], threads: threads)) < 1e-5)
    #expect(distance(row(2, of: vectors), row(0, of: vectors)) > 1e-3)
  }

  @Test func `a batch of 100,000 gives every sequence the vector it has alone`() throws {
    let kinds = 97
    let alone = try (0..<kinds).map { try model.encode([ids($0 % 9)], threads: 1) }
    let sequences = (0..<100_000).map { ids($0 % kinds % 9) }
    let one = try model.encode(sequences, threads: 1)
    #expect(one.count == 100_000 * model.dimension)
    let worst = (0..<100_000).map { distance(row($0, of: one), alone[$0 % kinds]) }.max()
    #expect(worst ?? 1 < 1e-5)
    #expect(try model.encode(sequences, threads: 3) == one)
    #expect(try model.encode([], threads: 2) == [])
  }
}
