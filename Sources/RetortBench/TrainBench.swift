import ArgumentParser
import CKernels
import Distillation
import Foundation
import Models
import Platform
import Tensors

/// Steps of training on request: one side of the comparison that `tools/bench train` makes.
///
/// Reads requests on standard input, words separated by tabs, and answers each with a line:
///
///     load NAME FILE     triples of ids: a query, its positive and its negative, a line each
///     time NAME          seconds of a step over all of them
///     end                peak resident bytes of the process; ends it
///
/// A step is Margin-MSE of BERT_DOT over [CLS], forwards and backwards with dropout 0.1, and AdamW.
struct TrainBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Times steps of training on request; driven by tools/bench train.")

  @Option(help: "The folder of the model to start from.")
  var model: String

  @Option(help: "What products are computed in: f32 or bf16.")
  var precision = "f32"

  @Option(help: "Threads.")
  var threads = 1

  func run() throws {
    guard let precision = Precision(rawValue: precision),
      precision == .float32
        || precision == .bfloat16 && retort_multiplies_bf16(retort_level_in_use())
    else {
      throw RetortError(.usage, "no training in \"\(precision)\" on this CPU")
    }
    var options = TrainableModel.Options()
    options.pooling = .cls
    let student = try TrainableModel(
      directory: model, kind: .bertDot, options: options, tokenizes: false)
    let gradients = student.parameters.zeros()
    let memory = Tape.Memory(threads: threads)
    var optimizer = Adam(student.parameters)
    var works: [String: RankingBatch] = [:]
    answer("ready")
    while let line = readLine() {
      let words = line.split(separator: "\t").map(String.init)
      switch (words.first, words.count) {
      case ("load", 3):
        works[words[1]] = student.batch(ids: try triples(words[2]))
        answer("loaded")
      case ("time", 2):
        let batch = try loaded(words[1], works)
        let start = monotonicSeconds()
        gradients.clear(threads: threads)
        let tape = Tape(
          student.parameters, gradients: gradients, memory: memory,
          dropout: Dropout(hidden: 0.1, attention: 0.1, seed: 1, step: UInt64(optimizer.steps)),
          precision: precision)
        let scores = student.scores(TapeOperators(tape), batch)
        let values = scores.matrix.values
        let lists = batch.lists.map { $0.map { Double(values[$0]) } }
        let loss = Loss.marginMSE.evaluate(lists, teacher: lists.map { _ in [1, 0] })
        tape.backward(
          from: scores,
          seed: Matrix(
            rows: values.count, columns: 1, values: loss.gradient.joined().map { Float($0) }))
        optimizer.step(
          gradients: gradients, rates: [.encoder: 1e-5, .embedding: 1e-5, .head: 1e-5],
          threads: threads)
        answer("\(monotonicSeconds() - start)")
      case ("end", 1):
        answer("\(peakResidentBytes() ?? 0)")
        return
      default: throw RetortError(.usage, "there is no request \"\(line)\"")
      }
    }
  }

  private func triples(_ path: String) throws -> [(query: [Int32], passages: [[Int32]])] {
    let sequences = try readSequences(path)
    guard sequences.count % 3 == 0 else {
      throw RetortError(.badData, "holds no triples", path: path)
    }
    return stride(from: 0, to: sequences.count, by: 3).map {
      (sequences[$0], Array(sequences[$0 + 1...$0 + 2]))
    }
  }
}
