import Foundation
import Platform

/// Fetches models from the Hugging Face hub, or a mirror of it, into the user's cache folder.
///
/// A model is pinned by its commit: every file is fetched for one commit, checked against the size
/// and hash the hub lists, and the folder appears under its final name only when it is complete:
///
///     <cache>/models/<owner>--<name>/<commit>/…        a complete model, never changed again
///     <cache>/models/<owner>--<name>/refs/<revision>   the commit a branch or tag had last time
///     <cache>/models/<owner>--<name>/.staging-<commit> files on their way, `.part` while incomplete
public struct HubClient: Sendable {
  /// Where requests go, without a trailing slash.
  package let endpoint: String
  /// The access token, sent to the endpoint's host and no other.
  let token: String?
  let retry: RetryPolicy
  let isInterrupted: @Sendable () -> Bool

  /// A client configured by `HF_ENDPOINT` (default https://huggingface.co) and `HF_TOKEN`.
  public init(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(RetortError) {
    let endpoint = environment["HF_ENDPOINT"] ?? ""
    try self.init(
      endpoint: endpoint.isEmpty ? "https://huggingface.co" : endpoint,
      token: environment["HF_TOKEN"])
  }

  /// A client with everything spelt out, for tests.
  package init(
    endpoint: String, token: String?, retry: RetryPolicy = RetryPolicy(),
    isInterrupted: @escaping @Sendable () -> Bool = { Interruption.isRequested }
  ) throws(RetortError) {
    var trimmed = endpoint
    while trimmed.hasSuffix("/") { trimmed.removeLast() }
    guard let url = URL(string: trimmed), let scheme = url.scheme?.lowercased(),
      ["http", "https"].contains(scheme), let host = url.host, !host.isEmpty, url.query == nil
    else {
      throw RetortError(
        .usage,
        "the hub's address '\(visible(endpoint))' is no http(s) address; correct HF_ENDPOINT")
    }
    let secret = token?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    // A line break inside a header would let the value forge other headers.
    guard secret.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw RetortError(.usage, "the access token holds characters no token has; correct HF_TOKEN")
    }
    self.endpoint = trimmed
    self.token = secret.isEmpty ? nil : secret
    self.retry = retry
    self.isInterrupted = isInterrupted
  }

  /// Downloads a model unless it is there already, and returns its folder.
  ///
  /// - Parameters:
  ///   - name: the model's name on the hub, `owner/name`.
  ///   - revision: a branch, a tag or a commit.
  ///   - cache: the cache folder, as `HubCache.folder()` finds it.
  /// - Throws: `.usage` for a malformed name, `.missingInput` where the hub has no such model or
  ///   refuses it, `.network` where it cannot be reached, `.checksumMismatch` for damaged files.
  public func pull(
    _ name: String, revision: String = "main", into cache: String
  ) async throws(RetortError) -> String {
    try await pull(
      name, revision: revision, into: cache, progress: ProgressReporter(quiet: true))
  }

  /// The folder of a model that was pulled before, or nil: lets `--model` take a hub name.
  public static func cached(_ name: String) -> String? {
    guard let cache = try? HubCache.folder() else { return nil }
    return HubCache.model(name, in: cache)
  }
}

/// How often and how patiently a failed request is repeated.
package struct RetryPolicy: Sendable {
  /// Failures in a row, without a byte of progress between them, after which the pull gives up.
  package var attempts: Int
  /// The wait after the first failure in seconds; doubles with each further one.
  package var firstDelay: Double
  /// The longest wait in seconds, also where the server asks for more.
  package var longestDelay: Double
  /// Seconds without a byte after which a connection counts as lost.
  package var idleTimeout: Double

  /// A policy; the defaults ride out an interruption of about half a minute.
  package init(
    attempts: Int = 6, firstDelay: Double = 1, longestDelay: Double = 30, idleTimeout: Double = 30
  ) {
    self.attempts = attempts
    self.firstDelay = firstDelay
    self.longestDelay = longestDelay
    self.idleTimeout = idleTimeout
  }

  /// The wait before the next try after `failures` failures in a row (at least one).
  func delay(failures: Int, serverAsks: Double?) -> Double {
    var delay = firstDelay
    for _ in 1..<max(failures, 1) where delay < longestDelay { delay *= 2 }
    return min(max(delay, serverAsks ?? 0), longestDelay)
  }
}

/// A server's text made harmless for a terminal: one line, printable, at most 200 characters.
func visible(_ text: String) -> String {
  var kept = ""
  for scalar in text.unicodeScalars.prefix(200) {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate,
      .unassigned:
      kept.append("?")
    default: kept.unicodeScalars.append(scalar)
    }
  }
  return kept
}
