import Models
import Platform
import Tensors

/// The second teacher of TAS-Balanced: a ColBERT that scores every query of a batch with every
/// passage of it, while training.
///
/// Its vectors are those of inference, without dropout; passages are encoded once a batch.
struct InBatchTeacher: Sendable {
  private let model: ColBERT
  private let threads: Int

  /// What its scores depend on.
  var fingerprint: String { model.fingerprint }

  /// Loads what the options name; nil where they name no such teacher.
  init?(_ options: TrainingOptions) throws(RetortError) {
    guard let folder = options.inBatchTeacher else { return nil }
    model = try ColBERT(directory: folder)
    threads = options.threads
  }

  /// Scores of triples' queries with all their passages; the same for every number of threads.
  func scores(_ items: [RankingItem]) throws(RetortError) -> DualTeacherLoss.Scores {
    let texts = items.flatMap { [$0.query] + $0.passages }
    let perItem = 3
    let encoded = OrderedResults<Matrix>(count: texts.count)
    parallelFor(texts.count, threads: threads) { place, _ in
      let sequence =
        place % perItem == 0 ? model.query(texts[place]) : model.passage(texts[place])
      encoded.set(place, model.vectors(sequence))
    }
    let vectors = encoded.values
    try model.checkIntact()
    let rows = OrderedResults<[[Double]]>(count: items.count)
    parallelFor(items.count, threads: threads) { query, _ in
      let maxSim = MaxSim(vectors[query * perItem])
      func scores(_ side: Int) -> [Double] {
        items.indices.map { other in
          let passage = vectors[other * perItem + side]
          return Double(maxSim.scores(passage, offsets: [0, passage.rows])[0])
        }
      }
      rows.set(query, [scores(1), scores(2)])
    }
    let all = rows.values
    guard all.allSatisfy({ $0.allSatisfy { $0.allSatisfy(\.isFinite) } }) else {
      throw RetortError(
        .badData,
        "the teacher of --in-batch-teacher gives scores that are no finite numbers; its weights are "
          + "damaged: train or download it again")
    }
    return DualTeacherLoss.Scores(positive: all.map { $0[0] }, negative: all.map { $0[1] })
  }
}
