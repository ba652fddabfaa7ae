/// PILE, a pairwise iterative logits ensemble of teachers that labels supervise: a reconstruction.
///
/// Of Cai et al. 2022, *Pairwise Iterative Logits Ensemble for Multi-Teacher Labeled Distillation*,
/// only the abstract was at hand: logits of teachers are combined pair by pair, iteratively, under
/// the supervision of labels. The update rule here is this project's own. It starts from the mean of
/// the teachers, and while a pair of judged passages is in the wrong order, it moves the pair's margin
/// towards the mean margin of those teachers that have it right. A list whose mean is in order stays
/// the plain mean; the sum of a list's logits never changes.
public struct PairwiseIterativeEnsemble: Sendable {
  /// What happens to a pair that every teacher has wrong.
  public enum Policy: String, Sendable, Codable, CaseIterable {
    /// It stays: no teacher's knowledge supports the label.
    case abstain
    /// It is moved just into order: the label is trusted over all teachers.
    case nudge
  }

  /// The share η of the way to the target margin that one move goes.
  package var rate = 0.5
  /// The margin δ that a grade's difference of 1 asks for; 0: any margin above 0.
  package var floor = 0.0
  /// How far beyond the demanded margin ε a nudge aims.
  package var nudge = 0.1
  /// Sweeps over the violated pairs at most.
  package var sweeps = 50
  /// A sweep that moves no logit by as much as this is the last.
  package var tolerance = 1e-9
  /// What happens to a pair that every teacher has wrong.
  package var policy = Policy.abstain

  package init() {}

  /// The target of a list.
  package struct Target: Sendable, Equatable {
    /// The logits, [n].
    package var logits: [Double]
    /// Pairs whose margin is too small in the mean of the teachers.
    package var violationsBefore: Int
    /// Pairs whose margin is too small in `logits`.
    package var violationsAfter: Int
    /// Sweeps made.
    package var sweeps: Int
  }

  /// The target of a list.
  package func combine(_ list: TeacherList) -> Target {
    var logits = list.mean
    var violated = self.violated(logits, list)
    let before = violated.count
    var best = (logits: logits, violations: before)
    var made = 0
    while made < sweeps, !violated.isEmpty {
      let start = logits
      for pair in violated where isViolated(pair, logits) { repair(pair, &logits, list) }
      made += 1
      violated = self.violated(logits, list)
      if violated.count < best.violations { best = (logits, violated.count) }
      let moved = zip(start, logits).reduce(0) { max($0, abs($1.0 - $1.1)) }
      if moved < tolerance { break }
    }
    if violated.count > best.violations { logits = best.logits }
    return Target(
      logits: logits, violationsBefore: before,
      violationsAfter: min(violated.count, best.violations), sweeps: made)
  }

  /// Moves a pair's two logits apart, by the same amount each.
  private func repair(_ pair: TeacherList.Pair, _ logits: inout [Double], _ list: TeacherList) {
    let need = floor * pair.gap
    let margin = logits[pair.better] - logits[pair.worse]
    let right = (0..<list.teachers).map { list.margin($0, pair) }.filter { $0 > need }
    let shift: Double
    if !right.isEmpty {
      shift = rate * (right.reduce(0, +) / Double(right.count) - margin) / 2
    } else if policy == .nudge {
      shift = (need + nudge - margin) / 2
    } else {
      return
    }
    logits[pair.better] += shift
    logits[pair.worse] -= shift
  }

  private func isViolated(_ pair: TeacherList.Pair, _ logits: [Double]) -> Bool {
    let margin = logits[pair.better] - logits[pair.worse]
    return floor == 0 ? margin <= 0 : margin < floor * pair.gap
  }

  /// Violated pairs, the worst first, equal ones by places.
  private func violated(_ logits: [Double], _ list: TeacherList) -> [TeacherList.Pair] {
    var found: [(pair: TeacherList.Pair, size: Double)] = []
    for pair in list.pairs where isViolated(pair, logits) {
      found.append((pair, floor * pair.gap - (logits[pair.better] - logits[pair.worse])))
    }
    found = found.ordered {
      if $0.size != $1.size { return $0.size > $1.size }
      return ($0.pair.better, $0.pair.worse) < ($1.pair.better, $1.pair.worse)
    }
    return found.map(\.pair)
  }
}
