import Evaluation
import Testing

@Suite struct RecallTests {
  @Test func `recall counts shared ids among the first k`() {
    let exact: [[UInt32]] = [[1, 2, 3], [4, 5, 6]]
    #expect(recallAtK(exact: exact, approximate: [[3, 2, 1], [6, 5, 4]], k: 3) == 1)
    #expect(recallAtK(exact: exact, approximate: [[3, 2, 1], [6, 5, 4]], k: 1) == 0)
    #expect(recallAtK(exact: exact, approximate: [[1, 9, 8], [5, 4]], k: 2) == 0.75)
    #expect(recallAtK(exact: exact, approximate: [[], [7, 7]], k: 3) == 0)
  }

  @Test func `repeated ids count once and short truths are whole`() {
    #expect(recallAtK(exact: [[1, 2]], approximate: [[1, 1]], k: 2) == 0.5)
    #expect(recallAtK(exact: [[1, 2]], approximate: [[2, 1, 9]], k: 10) == 1)
    #expect(recallAtK(exact: [[], [1]], approximate: [[5], [2]], k: 1) == 0)
    #expect(recallAtK(exact: [], approximate: [], k: 1) == 1)
  }

  @Test func `equally good neighbours count by score`() {
    let exact: [[Float]] = [[9, 8, 8]]
    #expect(scoreRecallAtK(exact: exact, approximate: [[9, 8, 8]], k: 2) == 1)
    #expect(scoreRecallAtK(exact: exact, approximate: [[8, 7]], k: 2) == 0.5)
    #expect(scoreRecallAtK(exact: exact, approximate: [[7.9995, 7]], k: 3) == 1.0 / 3)
    #expect(scoreRecallAtK(exact: exact, approximate: [[]], k: 3) == 0)
  }
}
