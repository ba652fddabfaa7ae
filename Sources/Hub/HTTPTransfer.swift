import Foundation
import Platform
import Synchronization

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Takes an answer's body as it arrives. Called from one thread at a time.
protocol BodySink: AnyObject {
  /// The answer begins, with status 200 or 206.
  func begin(status: Int, contentRange: String?, length: Int?) throws(RetortError)
  /// More of the body.
  func take(_ bytes: Data) throws(RetortError)
  /// Nothing more will come, whether or not the body is complete.
  func end() throws(RetortError)
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

/// One GET request whose body streams into a sink.
///
/// `@unchecked`: the sink and the plain variables are touched only by the session's delegate
/// queue, which is serial; the outcome leaves it through a mutex, after the last touch.
final class HTTPTransfer: NSObject, URLSessionDataDelegate, @unchecked Sendable {
  private let sink: any BodySink
  private let outcome = Mutex<HTTPOutcome?>(nil)
  private var verdict: HTTPOutcome?
  private var redirects = 0

  private init(sink: any BodySink) { self.sink = sink }

  /// Performs the request, polling `isInterrupted` some dozens of times a second.
  static func run(
    _ request: URLRequest, into sink: any BodySink, isInterrupted: @Sendable () -> Bool
  ) async throws(RetortError) -> HTTPOutcome {
    let transfer = HTTPTransfer(sink: sink)
    let queue = OperationQueue()
    queue.maxConcurrentOperationCount = 1
    let configuration = URLSessionConfiguration.ephemeral
    configuration.timeoutIntervalForRequest = request.timeoutInterval
    let session = URLSession(configuration: configuration, delegate: transfer, delegateQueue: queue)
    let task = session.dataTask(with: request)
    task.resume()
    defer { session.finishTasksAndInvalidate() }
    var cancelledAt: Double?
    while true {
      if let outcome = transfer.outcome.withLock({ $0 }), cancelledAt == nil { return outcome }
      if cancelledAt == nil, isInterrupted() || Task.isCancelled {
        task.cancel()
        cancelledAt = monotonicSeconds()
      }
      // The sink flushes when the cancelled task ends; a stuck one must not hold up the user.
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

  func urlSession(
    _ session: URLSession, task: URLSessionTask,
    willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
    completionHandler: @escaping (URLRequest?) -> Void
  ) {
    redirects += 1
    guard let original = task.originalRequest, let target = request.url,
      let scheme = target.scheme?.lowercased(), ["http", "https"].contains(scheme)
    else { return refuse("redirects to an address that is not http(s)", task, completionHandler) }
    if redirects > 10 { return refuse("redirects in a circle", task, completionHandler) }
    if original.url?.scheme?.lowercased() == "https", scheme != "https" {
      return refuse(
        "redirects from https to http, which nobody can trust", task, completionHandler)
    }
    var next = request
    // Large files live on other hosts; the token is none of their business.
    if Self.origin(of: original.url) != Self.origin(of: target) {
      next.setValue(nil, forHTTPHeaderField: "Authorization")
    }
    for header in ["Range", "Accept-Encoding", "User-Agent"] {
      if let value = original.value(forHTTPHeaderField: header) {
        next.setValue(value, forHTTPHeaderField: header)
      }
    }
    completionHandler(next)
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
  ) {
    guard verdict == nil, let answer = response as? HTTPURLResponse else {
      return completionHandler(.cancel)
    }
    guard answer.statusCode == 200 || answer.statusCode == 206 else {
      verdict = .refused(
        status: answer.statusCode,
        message: visible(answer.value(forHTTPHeaderField: "X-Error-Message") ?? ""),
        retryAfter: answer.value(forHTTPHeaderField: "Retry-After").flatMap(Double.init))
      completionHandler(.cancel)
      dataTask.cancel()
      return
    }
    do throws(RetortError) {
      let length = answer.value(forHTTPHeaderField: "Content-Length").flatMap { Int($0) }
      try sink.begin(
        status: answer.statusCode, contentRange: answer.value(forHTTPHeaderField: "Content-Range"),
        length: length)
      completionHandler(.allow)
    } catch {
      verdict = .failed(error)
      completionHandler(.cancel)
      // The disposition alone does not stop a task of every Foundation.
      dataTask.cancel()
    }
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    guard verdict == nil else { return }
    do throws(RetortError) {
      try sink.take(data)
    } catch {
      verdict = .failed(error)
      dataTask.cancel()
    }
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
  ) {
    var result = verdict ?? error.map(Self.outcome(of:)) ?? .finished
    do throws(RetortError) {
      try sink.end()
    } catch {
      if case .failed = result {} else { result = .failed(error) }
    }
    outcome.withLock { $0 = result }
  }

  private func refuse(
    _ reason: String, _ task: URLSessionTask, _ completionHandler: (URLRequest?) -> Void
  ) {
    verdict = .failed(RetortError(.network, "the server \(reason); check HF_ENDPOINT"))
    completionHandler(nil)
    task.cancel()
  }

  private static func outcome(of error: any Error) -> HTTPOutcome {
    let text = visible(error.localizedDescription)
    guard let code = (error as? URLError)?.code else { return .lost(text) }
    switch code {
    case .secureConnectionFailed, .serverCertificateUntrusted, .serverCertificateHasBadDate,
      .serverCertificateHasUnknownRoot, .serverCertificateNotYetValid, .clientCertificateRejected:
      return .failed(
        RetortError(
          .network,
          "no secure connection: \(text); check the clock and the certificates of this machine"))
    case .badURL, .unsupportedURL:
      return .failed(RetortError(.usage, "\(text); check HF_ENDPOINT"))
    default: return .lost(text)
    }
  }

  /// Scheme, host and port: what a secret may not cross.
  private static func origin(of url: URL?) -> String {
    guard let url else { return "" }
    let scheme = url.scheme?.lowercased() ?? ""
    let port = url.port ?? (scheme == "https" ? 443 : 80)
    return "\(scheme)://\(url.host?.lowercased() ?? ""):\(port)"
  }
}
