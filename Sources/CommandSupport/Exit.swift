import ArgumentParser
import Platform

/// Runs a command's work; an error goes to standard error as `retort: error: …` and decides the
/// exit code: 64 usage, 65 bad data, 66 missing input, 74 I/O, 130 interrupted, else 1.
package func runReportingErrors(_ body: () throws -> Void) throws {
  do {
    try body()
    try flushOutput()
  } catch let error as RetortError {
    throw report(error)
  }
}

/// The same for work that waits.
package func runReportingErrors(_ body: () async throws -> Void) async throws {
  do {
    try await body()
    try flushOutput()
  } catch let error as RetortError {
    throw report(error)
  }
}

private func report(_ error: RetortError) -> ExitCode {
  writeError("retort: error: \(error)")
  return ExitCode(error.exitCode)
}

/// Throws when something printed did not arrive: a full disk or a closed stream must not look like
/// success.
private func flushOutput() throws(RetortError) {
  if fflush(nil) != 0 {
    throw .system("write", path: "standard output", errno: errno)
  }
}

/// Writes a line to standard error.
package func writeError(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  _ = write(STDERR_FILENO, bytes, bytes.count)
}
