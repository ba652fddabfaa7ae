import CKernels
import Platform

/// The record of a forward pass, and its way back.
///
/// Operators append to it while they compute; `backward` runs the steps in reverse and adds the
/// gradients of parameters to `gradients`. Work is split into blocks of rows, sequences and tiles of
/// weights that do not depend on the number of threads, and sums over blocks have a fixed order: so
/// do the bytes of every gradient.
///
/// Not thread-safe: one pass at a time. A tape is used once.
package final class Tape {
  /// A matrix with its gradient.
  package final class Value {
    /// What was computed.
    package let matrix: Matrix
    /// The gradient so far, nil until a later operation gives one.
    fileprivate(set) var gradient: Matrix?
    /// Whether this is the sum of embeddings, whose normalisation is followed by dropout.
    let isEmbedding: Bool

    init(_ matrix: Matrix, isEmbedding: Bool = false) {
      self.matrix = matrix
      self.isEmbedding = isEmbedding
    }

    /// Takes the gradient away, with the memory.
    func takeGradient() -> Matrix? {
      defer { gradient = nil }
      return gradient
    }

    /// Adds a gradient whose memory nobody else uses.
    func add(_ matrix: Matrix, _ tape: Tape) {
      if let gradient {
        tape.add(matrix, to: gradient)
      } else {
        gradient = matrix
      }
    }
  }

  /// Memory that outlives a tape: activations, and scratch for every thread.
  package final class Memory {
    /// By width: batches differ in rows, and a buffer of one width that served another would have to
    /// grow to the widest.
    private var activations: [Int: Workspace] = [:]
    let scratch: [Workspace]
    /// Matrices in panels, which live for one product.
    let panels = Workspace()
    let threads: Int

    /// Memory for passes on `threads` threads.
    package init(threads: Int) {
      self.threads = max(1, threads)
      scratch = (0..<self.threads).map { _ in Workspace() }
    }

    /// Bytes held.
    package var bytes: Int { (scratch + activations.values + [panels]).reduce(0) { $0 + $1.bytes } }

    fileprivate func matrix(rows: Int, columns: Int) -> Matrix {
      let pool = activations[columns] ?? Workspace()
      activations[columns] = pool
      return pool.matrix(rows: rows, columns: columns)
    }
  }

  /// What is trained.
  let parameters: ParameterList
  /// One matrix per parameter.
  let gradients: [Matrix]
  let memory: Memory
  let level: retort_level
  let dropout: Dropout
  /// What linear layers multiply in; everything else, and the weights, are f32.
  let precision: Precision
  private var steps: [(Tape) -> Void] = []
  private var operations = 0

  /// A tape over `parameters` whose gradients are added to `gradients`.
  ///
  /// `precision` is f32 or, where `retort_has_bf16`, bf16. `level` forces an instruction set.
  package init(
    _ parameters: ParameterList, gradients: [Matrix], memory: Memory, dropout: Dropout = .none,
    precision: Precision = .float32, level: retort_level? = nil
  ) {
    precondition(gradients.count == parameters.items.count)
    self.parameters = parameters
    self.gradients = gradients
    self.memory = memory
    self.dropout = dropout
    self.level = level ?? retort_level_in_use()
    self.precision = precision
    precondition(
      precision == .float32 || precision == .bfloat16 && retort_has_bf16(self.level),
      "gradients are products of f32 or bf16")
  }

  /// Whether products go through our kernels: all but those of the reference in f32.
  var packs: Bool { level != RETORT_LEVEL_SCALAR || precision != .float32 }

  /// Remembers how to go back over an operation.
  func record(_ step: @escaping (Tape) -> Void) { steps.append(step) }

  /// The number of the next operation that drops values.
  func nextOperation() -> Int {
    operations += 1
    return operations
  }

  /// Runs the steps in reverse from `seed`, the gradient of the loss with respect to `value`.
  package func backward(from value: Value, seed: Matrix) {
    precondition((seed.rows, seed.columns) == (value.matrix.rows, value.matrix.columns))
    value.add(seed, self)
    while let step = steps.popLast() { step(self) }
  }

  /// The place of a weight among the gradients, nil where it is not trained.
  func gradient(of weight: Matrix) -> Matrix? {
    parameters.place(of: weight).map { gradients[$0] }
  }

  func matrix(rows: Int, columns: Int) -> Matrix {
    memory.matrix(rows: rows, columns: columns)
  }

  /// Calls `body` for all rows in blocks, on all threads.
  func overRows(
    _ count: Int, _ body: @Sendable (_ block: Int, _ rows: Range<Int>, _ worker: Int) -> Void
  ) {
    let size = RowBlocks.size
    parallelFor(RowBlocks.count(count), threads: memory.threads) { block, worker in
      body(block, block * size..<min((block + 1) * size, count), worker)
    }
  }
}

/// How rows are split: by a constant, so that results do not depend on threads.
enum RowBlocks {
  /// Rows of a block: enough for fast products, few enough for the second-level cache.
  static let size = 192

  static func count(_ rows: Int) -> Int { (rows + size - 1) / size }
}
