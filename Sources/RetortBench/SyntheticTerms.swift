import Platform
import Tensors

/// Term vectors that are functions of a seed and a number.
struct SyntheticTerms: Sendable {
  let dimension: Int
  let tokens: Int
  private let seed: UInt64
  private let words: [Float]
  private static let topics = 2000
  private static let wordsPerTopic = 12

  init(dimension: Int, tokens: Int, seed: UInt64) {
    self.dimension = dimension
    self.tokens = tokens
    self.seed = seed
    var random = SplitMix64(seed: seed)
    var words: [Float] = []
    for _ in 0..<Self.topics {
      let center = (0..<dimension).map { _ in Float(random.normal()) }
      for _ in 0..<Self.wordsPerTopic {
        words += center.map { $0 + 0.8 * Float(random.normal()) }
      }
    }
    self.words = words
  }

  private func generator(_ number: Int) -> SplitMix64 {
    SplitMix64(
      seed: Hashing.mix(seed &+ UInt64(bitPattern: Int64(number)) &* 0x9E37_79B9_7F4A_7C15))
  }

  private func count(_ random: inout SplitMix64) -> Int {
    max(1, tokens / 2 + Int(random.next() % UInt64(tokens + 1)))
  }

  /// The vectors of a passage.
  func passage(_ number: Int) -> [Float] {
    var random = generator(number)
    let count = count(&random)
    let own = (0..<4).map { _ in Int(random.next() % UInt64(Self.topics)) }
    var values: [Float] = []
    values.reserveCapacity(count * dimension)
    // Sums of four uniform numbers: near enough to normal, and quick.
    func noise() -> Float {
      let bits = random.next()
      var sum: Float = 0
      for shift in [0, 16, 32, 48] { sum += Float(bits >> UInt64(shift) & 0xFFFF) }
      return (sum / 65536 - 2) * 1.732
    }
    for _ in 0..<count {
      let topic = own[Int(random.next() % 4)]
      let word = topic * Self.wordsPerTopic + Int(random.next() % UInt64(Self.wordsPerTopic))
      append(word, scale: 0.6, noise, to: &values)
    }
    return values
  }

  private func append(
    _ word: Int, scale: Float, _ noise: () -> Float, to values: inout [Float]
  ) {
    var square: Float = 0
    let start = values.count
    for i in 0..<dimension {
      let value = words[word * dimension + i] + scale * noise()
      square += value * value
      values.append(value)
    }
    let inverse = 1 / square.squareRoot()
    for i in start..<values.count { values[i] *= inverse }
  }

  /// Vectors of all passages together, about.
  func rows(of passages: Int) -> Int { passages * tokens }

  /// A query, [tokens × dimension].
  func query(_ number: Int, of passages: Int, tokens: Int) -> Matrix {
    var random = generator(-1 - number)
    let passage = passage(Int(random.next() % UInt64(passages)))
    let rows = passage.count / dimension
    var values: [Float] = []
    for _ in 0..<tokens {
      let row = Int(random.next() % UInt64(rows))
      let moved = (0..<dimension).map {
        passage[row * dimension + $0] + 0.05 * Float(random.normal())
      }
      let length = moved.reduce(0) { $0 + $1 * $1 }.squareRoot()
      values += moved.map { $0 / length }
    }
    return Matrix(rows: tokens, columns: dimension, values: values)
  }
}
