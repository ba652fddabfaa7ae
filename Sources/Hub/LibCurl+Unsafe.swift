import CCurl
import Foundation
import Platform

/// The system's libcurl, as far as downloads need it.
enum LibCurl {
  /// How a request ended.
  enum End {
    /// The body is complete as far as the connection can tell.
    case done
    /// The transfer asked for it.
    case stopped
    /// The connection could not be made or broke.
    case lost(String)
    /// Trying again is useless.
    case failed(RetortError)
  }

  /// Performs a request; the answer goes to `transfer` on this thread.
  static func get(_ request: HTTPRequest, _ transfer: HTTPTransfer) -> End {
    let lines = request.headers.ordered { $0.key < $1.key }.map { strdup("\($0.key): \($0.value)") }
    defer { for line in lines { free(line) } }
    let handler = retort_http_handler(
      context: Unmanaged.passUnretained(transfer).toOpaque(),
      header: { context, line, length in
        guard let transfer = LibCurl.transfer(context) else { return 1 }
        let bytes = UnsafeRawBufferPointer(start: line, count: length)
        return transfer.take(header: String(decoding: bytes, as: UTF8.self)) ? 0 : 1
      },
      body: { context, bytes, length in
        guard let transfer = LibCurl.transfer(context) else { return 1 }
        return transfer.take(body: Array(UnsafeRawBufferPointer(start: bytes, count: length)))
          ? 0 : 1
      },
      waiting: { context in LibCurl.transfer(context)?.wait() == true ? 0 : 1 })
    var message = [CChar](repeating: 0, count: 256)
    let pointers = lines.map { UnsafePointer<CChar>($0) }
    let seconds = Int(request.idleTimeout.rounded(.up))
    let end = withExtendedLifetime(transfer) {
      retort_http_get(
        request.url.absoluteString, pointers, pointers.count, max(seconds, 1), handler, &message)
    }
    let text = message.withUnsafeBufferPointer {
      String(decoding: UnsafeRawBufferPointer($0).prefix { $0 != 0 }, as: UTF8.self)
    }
    switch end {
    case RETORT_HTTP_DONE: return .done
    case RETORT_HTTP_STOPPED: return .stopped
    case RETORT_HTTP_INSECURE:
      return .failed(
        RetortError(
          .network,
          "no secure connection: \(visible(text)); check the clock and the certificates of this "
            + "machine"))
    case RETORT_HTTP_BAD_ADDRESS:
      return .failed(RetortError(.usage, "\(visible(text)); check HF_ENDPOINT"))
    case RETORT_HTTP_NO_LIBRARY:
      return .failed(
        RetortError(
          .network,
          "downloads need libcurl, which is not installed; install it (Debian: apt-get install "
            + "libcurl4), or download the model by other means"))
    default: return .lost(text)
    }
  }

  private static func transfer(_ context: UnsafeMutableRawPointer?) -> HTTPTransfer? {
    context.map { Unmanaged<HTTPTransfer>.fromOpaque($0).takeUnretainedValue() }
  }
}
