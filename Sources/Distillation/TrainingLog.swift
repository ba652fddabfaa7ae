import Foundation
import Platform

/// One line of the log.
struct TrainingStepRecord: Codable {
  var step: Int
  var epoch: Double
  var loss: Double
  var learningRate: Double
  var gradientNorm: Double
  var tokens: Int
  var tokensPerSecond: Double

  enum CodingKeys: String, CodingKey {
    case step, epoch, loss, tokens
    case learningRate = "learning_rate"
    case gradientNorm = "gradient_norm"
    case tokensPerSecond = "tokens_per_second"
  }
}

/// A line of a validation.
struct ValidationRecord: Codable {
  /// Steps taken before it.
  var step: Int
  var validation: ValidationScores
  /// Whether it is better than all before.
  var best: Bool
  var seconds: Double
}

/// The JSON lines of a run: one a step, and one a validation behind its step's.
final class TrainingLog {
  /// What the lines show.
  private(set) var curves = TrainingCurves()
  private let writer: FileWriter
  private let encoder = JSONEncoder()
  private let path: String

  /// Goes on behind the lines of what `cursor` has seen, or starts the file.
  init(path: String, after cursor: TrainingCursor) throws(RetortError) {
    self.path = path
    encoder.outputFormatting = [.sortedKeys]
    var kept = 0
    if cursor != TrainingCursor(), FileSystem.kind(of: path) == .file {
      // A killed run may have written lines of steps that are taken again now.
      let decoder = JSONDecoder()
      for line in try FileSystem.read(path).split(separator: 10, omittingEmptySubsequences: false) {
        let data = Data(line)
        if let record = try? decoder.decode(TrainingStepRecord.self, from: data) {
          guard record.step <= cursor.step else { break }
          curves.add(record)
        } else if let record = try? decoder.decode(ValidationRecord.self, from: data) {
          guard record.step <= cursor.validation.step else { break }
          curves.add(record)
        } else {
          break
        }
        kept += line.count + 1
      }
      kept = min(kept, try FileSystem.size(of: path))
    }
    writer = try FileWriter(path: path, mode: kept > 0 ? .resume(length: kept) : .replace)
  }

  /// Appends the line of a step; it may wait in memory until `flush`.
  func append(_ record: TrainingStepRecord) throws(RetortError) {
    curves.add(record)
    try write(record)
  }

  /// Appends the line of a validation.
  func append(_ record: ValidationRecord) throws(RetortError) {
    curves.add(record)
    try write(record)
  }

  private func write(_ record: some Encodable) throws(RetortError) {
    do {
      try writer.append(Array(try encoder.encode(record)) + [10])
    } catch let error as RetortError {
      throw error
    } catch {
      throw RetortError(.badData, "a step cannot be logged", path: path, cause: error)
    }
  }

  func flush() throws(RetortError) { try writer.flush() }

  func finish() throws(RetortError) { try writer.finish() }
}

/// The progress of a run on standard error: loss, speed and the time that is left.
///
/// On a terminal one line is redrawn; elsewhere a line is written every ten seconds.
final class TrainingProgress {
  private let quiet: Bool
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let total: Int
  private let started = monotonicSeconds()
  private var shown: Double
  private var losses: [Double] = []
  private var tokens = 0
  private var steps = 0
  private var paused = 0.0

  init(total: Int, quiet: Bool) {
    self.total = total
    self.quiet = quiet
    shown = isTerminal ? 0 : monotonicSeconds()
  }

  /// A step is done; the loss shown is the mean of the last fifty.
  func update(step: Int, loss: Double, tokens: Int) {
    losses.append(loss)
    if losses.count > 50 { losses.removeFirst() }
    self.tokens += tokens
    steps += 1
    let now = monotonicSeconds()
    let isLast = step == total
    guard !quiet, isLast || now - shown >= (isTerminal ? 0.2 : 10) else { return }
    shown = now
    let elapsed = max(now - started, 1e-9)
    let mean = losses.reduce(0, +) / Double(losses.count)
    var text =
      "training: step \(step)/\(total), loss \(shortNumber(mean)), "
      + ProgressReporter.rate(Double(self.tokens) / max(elapsed - paused, 1e-9)) + " tokens/s, "
    text +=
      isLast
      ? ProgressReporter.duration(elapsed)
      : ProgressReporter.duration(Double(total - step) * elapsed / Double(steps)) + " left"
    emit(isTerminal ? "\r\u{1B}[K\(text)\(isLast ? "\n" : "")" : text + "\n")
  }

  /// Leaves the last `seconds` out of the speed; the time that is left counts more like them.
  func pause(_ seconds: Double) { paused += seconds }

  /// Writes a line of its own.
  func note(_ message: String) {
    guard !quiet else { return }
    emit((isTerminal ? "\r\u{1B}[K" : "") + message + "\n")
  }

  private func emit(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
  }
}

/// Four significant digits.
package func shortNumber(_ value: Double) -> String { String(format: "%.4g", value) }

/// A measure's value.
package func fourDecimals(_ value: Double) -> String { String(format: "%.4f", value) }
