import ArgumentParser
import Platform

/// Runs a command's work; a failure becomes `retort: error: …` on standard error and the exit code
/// of its kind.
func runReportingErrors(_ body: () throws -> Void) throws {
  do {
    try body()
  } catch let error as RetortError {
    let line = Array("retort: error: \(error)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    throw ExitCode(error.exitCode)
  }
}
