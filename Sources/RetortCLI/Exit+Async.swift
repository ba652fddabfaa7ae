import ArgumentParser
import Platform

/// Like the form for plain functions, for work that waits for others.
func runReportingErrors(_ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let error as RetortError {
    let line = Array("retort: error: \(error)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    throw ExitCode(error.exitCode)
  }
}
