import Distillation
import Platform
import Testing

/// Ensembles of teachers: worked numbers, and what must not change them.
@Suite struct EnsembleTests {
  private let logits = [[3.0, 1, 0], [1, 2, 0.5], [0.5, 2.5, 1]]
  private var worked: TeacherList { TeacherList(logits: logits, grades: [2, 1, 0]) }

  private func expect(_ found: [Double], _ golden: [Double]) {
    #expect(found.count == golden.count)
    for (found, golden) in zip(found, golden) {
      #expect(abs(found - golden) <= 1e-5, "\(found) is not \(golden)")
    }
  }

  // MARK: Worked numbers

  @Test func `the mean is the starting point, with one pair in the wrong order`() {
    expect(worked.mean, [1.5, 1.833333, 0.5])
    #expect(worked.violations(worked.mean) == 1)
    #expect(worked.pairs.count == 3)
  }

  @Test func `pairwise iteration moves the wrong pair towards the teacher that has it right`() {
    let target = PairwiseIterativeEnsemble().combine(worked)
    expect(target.logits, [2.083333, 1.25, 0.5])
    #expect(target.sweeps == 1)
    #expect((target.violationsBefore, target.violationsAfter) == (1, 0))
  }

  @Test func `a margin that labels ask for is reached by every pair`() {
    var ensemble = PairwiseIterativeEnsemble()
    ensemble.floor = 1
    expect(ensemble.combine(worked).logits, [2.4375, 1.25, 0.145833])
  }

  @Test func `where no teacher is right, abstain leaves the mean and nudge follows the label`() {
    let list = TeacherList(logits: [[1, 2], [0.5, 1.5]], grades: [1, 0])
    var ensemble = PairwiseIterativeEnsemble()
    expect(ensemble.combine(list).logits, [0.75, 1.75])
    #expect(ensemble.combine(list).violationsAfter == 1)
    ensemble.policy = .nudge
    expect(ensemble.combine(list).logits, [1.3, 1.2])
  }

  @Test func `weights of teachers have the worked values`() {
    let iterative = TeacherWeights.iterative(worked, rate: 1, clip: 2)
    expect(iterative, [0.736125, 0.164252, 0.099624])
    expect(worked.weighted(iterative), [2.422438, 1.313687, 0.181749])
    let byLabels = TeacherWeights.byLabels(worked)
    expect(byLabels, [0.403907, 0.341570, 0.254523])
    expect(worked.weighted(byLabels), [1.680551, 1.723355, 0.425308])
  }

  @Test func `a vote takes the mean of the majority's side of the student`() {
    let list = TeacherList(logits: [[2], [1.5], [-0.5]], grades: [nil])
    expect(LabelFreeEnsembles.vote(list, student: [0.4]), [1.75])
    let even = TeacherList(logits: [[2], [-1]], grades: [nil])
    expect(LabelFreeEnsembles.vote(even, student: [0]), [0.5])
  }

  @Test func `rank fusion keeps the scale of the mean and shares ties`() {
    let list = TeacherList(logits: [[3, 2, 1], [30, 10, 20]], grades: [nil, nil, nil])
    expect(LabelFreeEnsembles.rankFusion(list), [16.5, 8.25, 8.25])
    let alike = TeacherList(logits: [[5, 5], [1, 3]], grades: [nil, nil])
    expect(LabelFreeEnsembles.rankFusion(alike), [3, 4])
  }

  // MARK: Properties

  /// Lists of eight passages with grades 0...3, and three teachers that see them through noise of
  /// their own, on scales of their own.
  private func synthetic(_ count: Int, seed: UInt64) -> [TeacherList] {
    var random = SplitMix64(seed: seed)
    func noise() -> Double { (0..<12).reduce(-6) { sum, _ in sum + random.unit() } }
    return (0..<count).map { _ in
      let grades = (0..<8).map { _ in Double(Int(random.unit() * 4)) }
      let truth = grades.map { $0 + 0.3 * noise() }
      let logits = [(1.0, 0.0), (2.5, 3.0), (0.6, -2.0)].map { scale, offset in
        truth.map { scale * ($0 + 1.3 * noise()) + offset }
      }
      return TeacherList(logits: logits, grades: grades)
    }
  }

  private func accuracy(_ lists: [TeacherList], _ scores: (TeacherList) -> [Double]) -> Double {
    let pairs = lists.reduce(0) { $0 + $1.pairs.count }
    let wrong = lists.reduce(0) { $0 + $1.violations(scores($1)) }
    return 1 - Double(wrong) / Double(pairs)
  }

  @Test func `targets agree with labels more often than any teacher or their mean`() {
    let seed: UInt64 = 12
    let lists = synthetic(1000, seed: seed)
    let singles = (0..<3).map { teacher in accuracy(lists) { $0.logits[teacher] } }
    let mean = accuracy(lists) { $0.mean }
    let weights = accuracy(lists) { $0.weighted(TeacherWeights.iterative($0)) }
    let abstain = accuracy(lists) { PairwiseIterativeEnsemble().combine($0).logits }
    var nudging = PairwiseIterativeEnsemble()
    nudging.policy = .nudge
    let nudge = accuracy(lists) { nudging.combine($0).logits }
    #expect(singles.allSatisfy { $0 < mean }, "seed \(seed): \(singles), \(mean)")
    #expect(mean < weights, "seed \(seed): \(mean), \(weights)")
    #expect(weights < abstain, "seed \(seed): \(weights), \(abstain)")
    #expect(abstain < nudge, "seed \(seed): \(abstain), \(nudge)")
    #expect(nudge > 0.999, "seed \(seed): \(nudge)")
  }

  @Test func `the sum of a list stays, sweeps end, and no list gets worse than the mean`() {
    for (number, list) in synthetic(300, seed: 5).enumerated() {
      let target = PairwiseIterativeEnsemble().combine(list)
      let change = target.logits.reduce(0, +) - list.mean.reduce(0, +)
      #expect(abs(change) < 1e-9, "list \(number) of seed 5")
      #expect(target.sweeps <= 50)
      #expect(target.violationsAfter <= target.violationsBefore, "list \(number) of seed 5")
      #expect(list.violations(target.logits) == target.violationsAfter)
    }
  }

  @Test func `the order of teachers does not matter, and a shift of all shifts the target`() {
    for (number, list) in synthetic(100, seed: 9).enumerated() {
      let target = PairwiseIterativeEnsemble().combine(list).logits
      let grades = self.grades(of: list)
      let turned = TeacherList(logits: [2, 0, 1].map { list.logits[$0] }, grades: grades)
      expect(PairwiseIterativeEnsemble().combine(turned).logits, target)
      let shifted = TeacherList(logits: list.logits.map { $0.map { $0 + 7 } }, grades: grades)
      expect(PairwiseIterativeEnsemble().combine(shifted).logits, target.map { $0 + 7 })
      let weights = TeacherWeights.iterative(list)
      #expect(abs(weights.reduce(0, +) - 1) < 1e-12, "list \(number) of seed 9")
    }
  }

  /// Grades with the same pairs.
  private func grades(of list: TeacherList) -> [Double?] {
    var below = [Double](repeating: 0, count: list.passages)
    for pair in list.pairs { below[pair.better] += 1 }
    return below
  }

  @Test func `lists without an order by labels, and a single teacher in order, keep the mean`() {
    let alike = TeacherList(logits: logits, grades: [1, 1, 1])
    #expect(PairwiseIterativeEnsemble().combine(alike).logits == alike.mean)
    let even = [Double](repeating: 1.0 / 3, count: 3)
    #expect(TeacherWeights.iterative(alike) == even)
    #expect(TeacherWeights.byLabels(alike) == even)
    let single = TeacherList(logits: [[3, 2, 1]], grades: [2, 1, 0])
    #expect(PairwiseIterativeEnsemble().combine(single).logits == [3, 2, 1])
    #expect(TeacherWeights.byLabels(single) == [1])
    #expect(TeacherWeights.iterative(single) == [1])
  }

  @Test func `passages that nobody judged are in no pair, and only move with the mean`() {
    let list = TeacherList(logits: [[1, 2, 9], [2, 1, 9]], grades: [1, 0, nil])
    #expect(list.pairs == [TeacherList.Pair(better: 0, worse: 1, gap: 1)])
    let target = PairwiseIterativeEnsemble().combine(list)
    #expect(target.logits[2] == 9)
    #expect(target.logits[0] > target.logits[1])
  }
}
