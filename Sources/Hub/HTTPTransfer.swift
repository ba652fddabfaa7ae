import Foundation
import Platform
import Synchronization

/// Takes an answer's body as it arrives. Called from one thread at a time.
protocol BodySink: AnyObject {
  /// The answer begins, with status 200 or 206.
  func begin(status: Int, contentRange: String?, length: Int?) throws(RetortError)
  /// More of the body.
  func take(_ bytes: [UInt8]) throws(RetortError)
  /// Nothing more will come, whether or not the body is complete.
  func end() throws(RetortError)
}

/// A GET request.
struct HTTPRequest: Sendable {
  /// Where it goes.
  var url: URL
  /// The lines of its head, by name.
  var headers: [String: String]
  /// Seconds without a byte after which the connection counts as lost.
  var idleTimeout: Double
}

/// How one exchange with the server ended.
enum HTTPOutcome: Sendable {
  /// The body is complete as far as the connection can tell.
  case finished
  /// Another status than 200 or 206.
  case refused(status: Int, message: String, retryAfter: Double?)
  /// The connection could not be made or broke; trying again may help.
  case lost(String)
  /// Trying again is useless.
  case failed(RetortError)
}

/// One GET request, and those it is redirected to, whose body streams into a sink.
///
/// `@unchecked`: the sink and the plain variables are touched only by the thread of the transfer; the
/// outcome leaves it through a mutex, after the last touch.
final class HTTPTransfer: @unchecked Sendable {
  private let sink: any BodySink
  private let outcome = Mutex<HTTPOutcome?>(nil)
  private let isCancelled = Atomic(false)
  private var request: HTTPRequest
  private var answer = HTTPAnswerHead()
  private var verdict: HTTPOutcome?
  private var target: URL?
  private var lastByte = monotonicSeconds()

  private init(_ request: HTTPRequest, sink: any BodySink) {
    self.request = request
    self.sink = sink
  }

  /// Performs the request, polling `isInterrupted` some dozens of times a second.
  static func run(
    _ request: HTTPRequest, into sink: any BodySink, isInterrupted: @Sendable () -> Bool
  ) async throws(RetortError) -> HTTPOutcome {
    let transfer = HTTPTransfer(request, sink: sink)
    Thread.detachNewThread { transfer.perform() }
    var cancelledAt: Double?
    while true {
      if let outcome = transfer.outcome.withLock({ $0 }), cancelledAt == nil { return outcome }
      if cancelledAt == nil, isInterrupted() || Task.isCancelled {
        transfer.isCancelled.store(true, ordering: .relaxed)
        cancelledAt = monotonicSeconds()
      }
      // The sink flushes when the cancelled transfer ends; a stuck one must not hold up the user.
      if let cancelledAt {
        if transfer.outcome.withLock({ $0 != nil }) || monotonicSeconds() - cancelledAt > 0.5 {
          throw RetortError(.cancelled, "interrupted; what was downloaded is kept for the next run")
        }
        usleep(10_000)
      } else {
        try? await Task.sleep(for: .milliseconds(20))
      }
    }
  }

  // MARK: On the transfer's thread

  private func perform() {
    var redirects = 0
    var result = exchange()
    while case .finished = result, let target {
      redirects += 1
      if redirects > 10 {
        result = Self.refusal("redirects in a circle")
        break
      }
      // Large files live on other hosts; the token is none of their business.
      if Self.origin(of: request.url) != Self.origin(of: target) {
        request.headers["Authorization"] = nil
      }
      request.url = target
      result = exchange()
    }
    do throws(RetortError) {
      try sink.end()
    } catch {
      if case .failed = result {} else { result = .failed(error) }
    }
    let final = result
    outcome.withLock { $0 = final }
  }

  /// One request and its answer; `target` is set where that is a redirection to follow.
  private func exchange() -> HTTPOutcome {
    target = nil
    verdict = nil
    answer = HTTPAnswerHead()
    lastByte = monotonicSeconds()
    let end = LibCurl.get(request, self)
    if let verdict { return verdict }
    switch end {
    case .done: return .finished
    // Only redirections stop without a verdict.
    case .stopped: return .finished
    case .lost(let text): return .lost(visible(text))
    case .failed(let error): return .failed(error)
    }
  }

  /// A line of the head; false ends the exchange.
  func take(header line: String) -> Bool {
    lastByte = monotonicSeconds()
    guard answer.take(line), answer.status >= 200 else { return true }
    switch answer.status {
    case 200, 206:
      do throws(RetortError) {
        try sink.begin(
          status: answer.status, contentRange: answer["Content-Range"],
          length: answer["Content-Length"].flatMap { Int(decimal: $0) })
        return true
      } catch {
        verdict = .failed(error)
        return false
      }
    case 301, 302, 303, 307, 308:
      redirect(to: answer["Location"] ?? "")
      return false
    default:
      verdict = .refused(
        status: answer.status, message: visible(answer["X-Error-Message"] ?? ""),
        retryAfter: answer["Retry-After"].flatMap(Double.init))
      return false
    }
  }

  /// More of the body; false ends the exchange.
  func take(body bytes: [UInt8]) -> Bool {
    lastByte = monotonicSeconds()
    do throws(RetortError) {
      try sink.take(bytes)
      return true
    } catch {
      verdict = .failed(error)
      return false
    }
  }

  /// Called while nothing arrives; false ends the exchange.
  func wait() -> Bool {
    if isCancelled.load(ordering: .relaxed) {
      verdict = .lost("interrupted")
      return false
    }
    if monotonicSeconds() - lastByte > request.idleTimeout {
      verdict = .lost(
        "the server sent nothing for \(ProgressReporter.duration(request.idleTimeout))")
      return false
    }
    return true
  }

  private func redirect(to location: String) {
    guard let url = URL(string: location, relativeTo: request.url)?.absoluteURL,
      let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme), url.host != nil
    else {
      verdict = Self.refusal("redirects to an address that is not http(s)")
      return
    }
    if request.url.scheme?.lowercased() == "https", scheme != "https" {
      verdict = Self.refusal("redirects from https to http, which nobody can trust")
      return
    }
    target = url
  }

  private static func refusal(_ reason: String) -> HTTPOutcome {
    .failed(RetortError(.network, "the server \(reason); check HF_ENDPOINT"))
  }

  /// Scheme, host and port: what a secret may not cross.
  private static func origin(of url: URL) -> String {
    let scheme = url.scheme?.lowercased() ?? ""
    let port = url.port ?? (scheme == "https" ? 443 : 80)
    return "\(scheme)://\(url.host?.lowercased() ?? ""):\(port)"
  }
}

/// The head of an answer, line by line.
private struct HTTPAnswerHead {
  /// The status; 0 before its line.
  private(set) var status = 0
  private var fields: [String: String] = [:]

  /// Takes a line with its line break; true when the head is complete.
  mutating func take(_ line: String) -> Bool {
    let line = line.trimmingCharacters(in: .whitespacesAndNewlines)
    if line.isEmpty { return true }
    if line.hasPrefix("HTTP/") {
      // An interim answer may have come before.
      fields = [:]
      status = line.split(separator: " ").dropFirst().first.flatMap { Int(decimal: $0) } ?? 0
    } else if let colon = line.firstIndex(of: ":") {
      let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
      fields[line[..<colon].lowercased()] = value
    }
    return false
  }

  subscript(name: String) -> String? { fields[name.lowercased()] }
}
