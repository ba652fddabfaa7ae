import Platform

/// A matrix that training changes, and the tensors of a checkpoint that it holds.
package struct Parameter: Sendable {
  /// A tensor of the checkpoint: a stretch of the matrix's values.
  package struct Tensor: Sendable, Equatable {
    /// Its name in the checkpoint.
    package var name: String
    /// Its shape there.
    package var shape: [Int]

    /// Names a tensor.
    package init(_ name: String, shape: [Int]) {
      self.name = name
      self.shape = shape
    }

    /// The number of its values.
    package var count: Int { shape.reduce(1, *) }
  }

  /// Parts of a network that may learn at rates of their own.
  package enum Group: String, Sendable, CaseIterable {
    /// Words, positions, types and their normalisation.
    case embedding
    /// The layers.
    case encoder
    /// What turns the encoder's output into a score.
    case head
  }

  /// The tensors, one after the other; together as many values as the matrix has.
  package let tensors: [Tensor]
  /// The values. Forward passes read the same memory.
  package let values: Matrix
  /// The part of the network.
  package let group: Group
  /// Whether weight decay applies: to matrices and tables, not to biases and normalisations.
  package let decays: Bool

  /// Describes a parameter.
  package init(_ values: Matrix, _ tensors: [Tensor], group: Group, decays: Bool) {
    precondition(tensors.reduce(0) { $0 + $1.count } == values.count)
    self.values = values
    self.tensors = tensors
    self.group = group
    self.decays = decays
  }
}

/// All parameters of a network, in a fixed order: that of sums over them, and of checkpoints.
///
/// A parameter that several layers share is listed once.
package struct ParameterList: Sendable {
  /// The parameters in order.
  package private(set) var items: [Parameter] = []
  private var places: [ObjectIdentifier: Int] = [:]

  /// An empty list.
  package init() {}

  /// Appends a parameter unless its memory is listed already.
  package mutating func append(_ parameter: Parameter) {
    let key = ObjectIdentifier(parameter.values.buffer)
    guard places[key] == nil else { return }
    places[key] = items.count
    items.append(parameter)
  }

  /// The number of values.
  package var count: Int { items.reduce(0) { $0 + $1.values.count } }

  /// The place of the parameter that `matrix` is, nil for one that is not trained.
  func place(of matrix: Matrix) -> Int? { places[ObjectIdentifier(matrix.buffer)] }

  /// A matrix of zeros for every parameter: its gradient, or a moment of the optimiser.
  package func zeros() -> [Matrix] {
    items.map { Matrix(rows: $0.values.rows, columns: $0.values.columns) }
  }
}

extension [Matrix] {
  /// Sets every value to zero, on several threads.
  package func clear(threads: Int) {
    let stretches = Stretch.all(of: self)
    parallelFor(stretches.count, threads: threads) { item, _ in
      let stretch = stretches[item]
      (self[stretch.matrix].pointer + stretch.range.lowerBound)
        .update(repeating: 0, count: stretch.range.count)
    }
  }
}

/// A part of one of several matrices: a unit of parallel work that does not depend on threads.
package struct Stretch: Sendable {
  /// The matrix's place.
  package var matrix: Int
  /// Which of its values.
  package var range: Range<Int>

  /// All values of all matrices, in order, at most 2¹⁸ at a time.
  package static func all(of matrices: [Matrix]) -> [Stretch] {
    let longest = 1 << 18
    var stretches: [Stretch] = []
    for (place, matrix) in matrices.enumerated() {
      for start in stride(from: 0, to: matrix.count, by: longest) {
        stretches.append(
          Stretch(matrix: place, range: start..<Swift.min(start + longest, matrix.count)))
      }
    }
    return stretches
  }
}
