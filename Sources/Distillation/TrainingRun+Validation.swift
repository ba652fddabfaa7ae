import Platform

extension TrainingRun {
  /// Whether validation has found nothing better for too long.
  var hasLostPatience: Bool {
    let patience = options.validation.patience
    return validation != nil && patience > 0 && cursor.validation.sinceBest >= patience
      && cursor.step < schedule.total
  }

  /// Steps of the weights that are written.
  var exportedStep: Int { cursor.validation.best?.step ?? cursor.step }

  /// Validates at the start, every so many steps and at the end, once each.
  mutating func validateIfDue(
    _ log: TrainingLog, _ progress: TrainingProgress
  ) throws(RetortError) {
    guard let validation, cursor.validation.step != cursor.step,
      cursor.step % options.validation.every == 0 || cursor.step == schedule.total
    else { return }
    let begun = monotonicSeconds()
    let scores: ValidationScores
    do throws(RetortError) {
      scores = try validation.scores(model, threads: options.threads)
    } catch  where error.code == .cancelled {
      // The checkpoint says that this validation is still to come.
      try checkpoint(log)
      throw interrupted
    } catch  where error.code == .badData {
      throw RetortError(
        .badData,
        "the weights after step \(cursor.step) rank with scores that are no finite numbers; lower "
          + "--learning-rate, raise --warmup, or set --clip-norm 1, and start again with --overwrite",
        cause: error)
    }
    let target = options.validation.target
    let best = cursor.validation.best?.scores.value(target)
    let isBest = best.map { scores.value(target) > $0 } ?? true
    if isBest {
      let checksum = try store.saveBest(step: cursor.step, model.parameters)
      cursor.validation.best = .init(step: cursor.step, scores: scores, checksum: checksum)
      cursor.validation.sinceBest = 0
    } else {
      cursor.validation.sinceBest += 1
    }
    cursor.validation.step = cursor.step
    let seconds = monotonicSeconds() - begun
    report.validationSeconds += seconds
    progress.pause(seconds)
    try log.append(
      ValidationRecord(
        step: cursor.step, validation: scores, best: isBest, seconds: seconds))
    progress.note(
      "validation after step \(cursor.step): nDCG@10 \(fourDecimals(scores.nDCG10)), "
        + "MRR@10 \(fourDecimals(scores.mrr10))" + (isBest ? ", the best so far" : ""))
  }

  /// Goes back to the weights that validation found best.
  func takeBest() throws(RetortError) {
    guard let best = cursor.validation.best, best.step != cursor.step else { return }
    try store.loadBest(best, model.parameters)
  }
}
