import Platform

/// Writes lines of text into a file that appears when it is finished; `-` is standard output.
package final class LineFileWriter {
  private let sink: Sink
  /// Lines written so far.
  package private(set) var count = 0

  /// Starts the file at `path`.
  package init(path: String) throws(RetortError) { sink = try Sink(path: path) }

  /// Appends a line, given without its end.
  package func append(_ line: String) throws(RetortError) {
    try sink.write(Array(line.utf8) + [10])
    count += 1
  }

  /// Completes the file and gives it its name.
  package func finish() throws(RetortError) { try sink.finish() }
}
