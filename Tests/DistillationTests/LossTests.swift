import Distillation
import Platform
import Testing

/// Losses with worked numbers, their slopes, and what must not change them.
@Suite struct LossTests {
  private func expect(_ found: Double, _ golden: Double) {
    #expect(abs(found - golden) <= 1e-5 * max(1, abs(golden)))
  }

  private func expect(_ found: [Double], _ golden: [Double]) {
    #expect(found.count == golden.count)
    for (found, golden) in zip(found, golden) { expect(found, golden) }
  }

  // MARK: Worked numbers

  private let pairs = (
    student: [[5.0, 1], [2, 3]], teacher: [[4.0, 2], [3, -1]]
  )

  private func pairLoss(_ loss: Loss) -> Loss.Evaluation {
    loss.evaluate(pairs.student, teacher: pairs.teacher)
  }

  @Test func `two triples give the worked losses and gradients`() {
    expect(pairLoss(.marginMSE).value, 14.5)
    #expect(pairLoss(.marginMSE).gradient == [[2, -2], [-5, 5]])
    expect(pairLoss(.rankNet).value, 0.665706)
    expect(pairLoss(.rankNet).gradient.map { $0[0] }, [-0.008993, -0.365529])
    for loss in [Loss.weightedRankNet, .weightedRankNetPaper, .weightedRankNetSigned] {
      expect(pairLoss(loss).value, 2.644673)
    }
    expect(pairLoss(.pointwiseMSE).value, 4.75)
    expect(pairLoss(.pointwiseMSEWithRankNet).value, 5.415706)
    expect(Loss.hinge.evaluate([[2, 1.5], [5, 1]]).value, 0.25)
  }

  @Test func `a teacher that prefers the negative turns the weighted losses apart`() {
    func value(_ loss: Loss) -> Double { loss.evaluate([[1, 0]], teacher: [[0.5, 2]]).value }
    expect(value(.rankNet), 0.313262)
    expect(value(.weightedRankNetSigned), -0.469893)
    expect(value(.weightedRankNetPaper), 0.469893)
    expect(value(.weightedRankNet), 1.969893)
    expect(value(.marginMSE), 6.25)
  }

  @Test func `a list gives the worked losses`() {
    let (s, t) = ([[3, 1, 2.5]], [[5.0, 1, 4]])
    expect(Loss.marginMSE.evaluate(s, teacher: t).value, 2.125)
    expect(Loss.allPairsMarginMSE.evaluate(s, teacher: t).value, 2.166667)
    let divergence = Loss.listKL.evaluate(s, teacher: t)
    expect(divergence.value, 0.069275)
    expect(divergence.gradient[0], [-0.147302, 0.064483, 0.082819])
    expect(Loss.listKL.evaluate(s, teacher: t, temperature: 2).value, 0.044218)
    expect(Loss.listNet.evaluate(s, teacher: t).value, 0.714074)
    expect(Loss.infoNCE.evaluate(s).value, -log(0.574097))
  }

  @Test func `the dual teachers of TAS-Balanced give the worked loss`() {
    let found = DualTeacherLoss.evaluate(
      .init(positive: [[5, 3], [2, 4]], negative: [[4, 1], [0, 3]]),
      inBatchTeacher: .init(positive: [[10, 4], [3, 9]], negative: [[8, 2], [1, 7]]),
      margins: [3, 1.5])
    expect(found.pairs, 2.125)
    expect(found.inBatch, 16)
    expect(found.value, 14.125)
  }

  // MARK: Properties

  private func random(_ seed: UInt64, lists: Int = 4, length: Int = 5) -> [[Double]] {
    var random = SplitMix64(seed: seed)
    return (0..<lists).map { _ in (0..<length).map { _ in 2 * random.normal() } }
  }

  @Test(arguments: Loss.allCases, [2, 5])
  func `the gradient is the slope`(loss: Loss, length: Int) {
    let (scores, teacher) = (random(1, length: length), random(2, length: length))
    let found = loss.evaluate(scores, teacher: teacher, temperature: 1.7)
    for query in scores.indices {
      for passage in scores[query].indices {
        func value(_ change: Double) -> Double {
          var moved = scores
          moved[query][passage] += change
          return loss.evaluate(moved, teacher: teacher, temperature: 1.7).value
        }
        let slope = (value(1e-6) - value(-1e-6)) / 2e-6
        #expect(abs(found.gradient[query][passage] - slope) <= 1e-6)
      }
    }
  }

  @Test func `the gradient of the dual teachers' loss is the slope`() {
    var student = DualTeacherLoss.Scores(
      positive: random(3, lists: 3, length: 3), negative: random(4, lists: 3, length: 3))
    let teacher = DualTeacherLoss.Scores(
      positive: random(5, lists: 3, length: 3), negative: random(6, lists: 3, length: 3))
    func loss() -> Double {
      DualTeacherLoss.evaluate(student, inBatchTeacher: teacher, margins: [1, -2, 0.5]).value
    }
    let gradient = DualTeacherLoss.evaluate(
      student, inBatchTeacher: teacher, margins: [1, -2, 0.5]
    ).gradient
    for i in 0..<3 {
      for j in 0..<3 {
        for side in [\DualTeacherLoss.Scores.positive, \.negative] {
          student[keyPath: side][i][j] += 1e-6
          let above = loss()
          student[keyPath: side][i][j] -= 2e-6
          let slope = (above - loss()) / 2e-6
          student[keyPath: side][i][j] += 1e-6
          #expect(abs(gradient[keyPath: side][i][j] - slope) <= 1e-6)
        }
      }
    }
  }

  @Test(arguments: Loss.allCases)
  func `a constant added to the scores of a query changes no loss of differences`(loss: Loss) {
    let (scores, teacher) = (random(7), random(8))
    let value = loss.evaluate(scores, teacher: teacher).value
    let shifted = scores.enumerated().map { number, list in list.map { $0 + Double(number) - 7 } }
    let shiftedTeacher = teacher.map { $0.map { $0 + 3 } }
    let changes = loss == .pointwiseMSE || loss == .pointwiseMSEWithRankNet
    #expect((abs(loss.evaluate(shifted, teacher: teacher).value - value) > 1e-9) == changes)
    #expect((abs(loss.evaluate(scores, teacher: shiftedTeacher).value - value) > 1e-9) == changes)
  }

  @Test func `Margin-MSE is zero for equal margins only, and knows their sign and scale`() {
    let scores = random(9, length: 2)
    let same = scores.map { [$0[0] + 5, $0[1] + 5] }
    #expect(Loss.marginMSE.evaluate(scores, teacher: same).value < 1e-20)
    let doubled = scores.map { $0.map { 2 * $0 } }
    #expect(Loss.marginMSE.evaluate(doubled, teacher: scores).value > 1e-3)
    let backwards = scores.map { [$0[1], $0[0]] }
    #expect(Loss.marginMSE.evaluate(backwards, teacher: scores).value > 1e-3)
  }

  @Test func `all pairs by the variance equal the sum over pairs`() {
    for length in 2...6 {
      let (scores, teacher) = (random(10, length: length), random(11, length: length))
      var sum = 0.0
      for (list, targets) in zip(scores, teacher) {
        for i in 0..<length {
          for j in i + 1..<length {
            let difference = (list[i] - list[j]) - (targets[i] - targets[j])
            sum += difference * difference / Double(length * (length - 1) / 2) / 4
          }
        }
      }
      expect(Loss.allPairsMarginMSE.evaluate(scores, teacher: teacher).value, sum)
    }
  }

  @Test func `the divergence is zero for equal lists, and ListNet differs by the entropy`() {
    let (scores, teacher) = (random(12), random(13))
    #expect(abs(Loss.listKL.evaluate(scores, teacher: scores).value) < 1e-12)
    #expect(Loss.listKL.evaluate(scores, teacher: teacher).value > 0)
    let entropy = Loss.listNet.evaluate(teacher, teacher: teacher).value
    expect(
      Loss.listNet.evaluate(scores, teacher: teacher).value,
      Loss.listKL.evaluate(scores, teacher: teacher).value + entropy)
  }

  @Test(arguments: Loss.allCases)
  func `scores far apart overflow nowhere`(loss: Loss) {
    let found = loss.evaluate([[1e4, -1e4], [-1e4, 1e4]], teacher: [[-1e4, 1e4], [1, 0]])
    #expect(found.value.isFinite)
    #expect(found.gradient.joined().allSatisfy { $0.isFinite })
  }
}
