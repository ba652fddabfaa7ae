import CKernels
import Platform
import Synchronization
import Tensors

/// Which of the two ways to weaken weights Adam takes; without weight decay they are the same.
package enum OptimizerKind: String, Sendable, Codable, CaseIterable {
  /// The decay takes away a share of every weight (Loshchilov and Hutter 2017).
  case adamW = "adamw"
  /// The decay is a part of the gradient, as that of a squared norm in the loss.
  case adam
}

/// Adam and AdamW.
package struct Adam: Sendable {
  /// What does not change during training.
  package struct Settings: Sendable {
    /// Decay of the mean of gradients.
    package var beta1 = 0.9
    /// Decay of the mean of squared gradients.
    package var beta2 = 0.999
    /// Added to the root of the mean square.
    package var epsilon = 1e-8
    /// Where the weight decay goes.
    package var kind = OptimizerKind.adamW
    /// AdamW: the share of a weight, times the learning rate, that every step takes away. Adam: the
    /// share that is added to its gradient.
    package var weightDecay = 0.0

    package init() {}
  }

  /// What does not change.
  package let settings: Settings
  /// Means of gradients and of squared gradients, by parameter.
  package let first: [Matrix], second: [Matrix]
  /// Steps taken.
  package var steps = 0
  private let parameters: ParameterList
  private let level = retort_level_in_use()

  /// An optimiser of `parameters` that has taken no step.
  package init(_ parameters: ParameterList, _ settings: Settings = .init()) {
    self.parameters = parameters
    self.settings = settings
    first = parameters.zeros()
    second = parameters.zeros()
  }

  /// Moves the parameters by one step against `scale` times the gradients.
  package mutating func step(
    gradients: [Matrix], rates: [Parameter.Group: Double], scale: Double = 1, threads: Int
  ) {
    steps += 1
    let correction = 1 - pow(settings.beta1, Double(steps))
    let root = 1 / (1 - pow(settings.beta2, Double(steps))).squareRoot()
    let prepared = parameters.items.map { parameter in
      let rate = rates[parameter.group] ?? 0
      let decay = parameter.decays ? settings.weightDecay : 0
      return retort_adam_step(
        scale: Float(scale), beta1: Float(settings.beta1), beta2: Float(settings.beta2),
        rate: Float(rate / correction), root: Float(root), epsilon: Float(settings.epsilon),
        penalty: Float(settings.kind == .adam ? decay : 0),
        decay: Float(settings.kind == .adamW ? 1 - rate * decay : 1))
    }
    let values = parameters.items.map(\.values)
    let stretches = Stretch.all(of: values)
    let (level, first, second) = (level, first, second)
    parallelFor(stretches.count, threads: threads) { item, _ in
      let (place, range) = (stretches[item].matrix, stretches[item].range)
      retort_adam(
        level, values[place].pointer + range.lowerBound, first[place].pointer + range.lowerBound,
        second[place].pointer + range.lowerBound, gradients[place].pointer + range.lowerBound,
        range.count, prepared[place])
    }
  }
}

/// √Σ g² over all gradients, summed in an order that does not depend on threads.
package func globalNorm(_ gradients: [Matrix], threads: Int) -> Double {
  let stretches = Stretch.all(of: gradients)
  let level = retort_level_in_use()
  let squares = Mutex([Double](repeating: 0, count: stretches.count))
  parallelFor(stretches.count, threads: threads) { item, _ in
    let (place, range) = (stretches[item].matrix, stretches[item].range)
    let sum = retort_sum_of_squares(
      level, gradients[place].pointer + range.lowerBound, range.count)
    squares.withLock { $0[item] = sum }
  }
  return squares.withLock { $0.reduce(0, +) }.squareRoot()
}
