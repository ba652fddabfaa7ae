import Foundation
import Platform
import Synchronization

/// A request as the server read it, header names in lower case.
struct ServerRequest: Sendable {
  var path: String
  var headers: [String: String]

  /// The first byte asked for by a `Range: bytes=<first>-` header.
  var rangeStart: Int? {
    headers["range"].flatMap { $0.hasPrefix("bytes=") ? $0.dropFirst(6) : nil }
      .flatMap { $0.split(separator: "-").first }.flatMap { Int($0) }
  }
}

/// What the server answers.
struct ServerAnswer: Sendable {
  var status = 200
  var headers: [(String, String)] = []
  var body: [UInt8] = []
  /// The length announced; nil announces the true one, negative none.
  var claimedLength: Int?
  /// Sends only so many bytes of the body, then closes the connection.
  var cut: Int?
  /// Sends what it sends, then keeps the connection open without a byte more.
  var hang = false
}

/// An HTTP server on 127.0.0.1 with a port of its own: one thread per connection, one request per
/// connection, every request recorded. It ends with the value.
final class LocalServer: Sendable {
  let port: Int
  var address: String { "http://127.0.0.1:\(port)" }
  var requests: [ServerRequest] { log.withLock { $0 } }

  private let listener: Int32
  private let log = Mutex<[ServerRequest]>([])
  private let hanging = Mutex<[Int32]>([])
  private let answer: @Sendable (ServerRequest, Int) -> ServerAnswer

  /// - Parameter answer: given a request and how many for the same path came before it.
  init(_ answer: @escaping @Sendable (ServerRequest, Int) -> ServerAnswer) throws {
    self.answer = answer
    let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listening, $0, length) == 0 && listen(listening, 64) == 0
          && getsockname(listening, $0, &length) == 0
      }
    }
    guard bound else { throw RetortError.system("listen", path: "127.0.0.1", errno: errno) }
    port = Int(UInt16(bigEndian: address.sin_port))
    listener = listening
    Thread.detachNewThread { [weak self] in
      while true {
        let connection = accept(listening, nil, nil)
        guard connection >= 0 else { return }
        guard let self else {
          close(connection)
          return
        }
        Thread.detachNewThread { self.serve(connection) }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
    for connection in hanging.withLock({ $0 }) { close(connection) }
  }

  private func serve(_ connection: Int32) {
    guard let request = Self.read(connection) else {
      close(connection)
      return
    }
    let earlier = log.withLock { log in
      log.append(request)
      return log.count { $0.path == request.path } - 1
    }
    let answer = answer(request, earlier)
    var head = "HTTP/1.1 \(answer.status) Status\r\nConnection: close\r\n"
    let length = answer.claimedLength ?? answer.body.count
    if length >= 0 { head += "Content-Length: \(length)\r\n" }
    for (name, value) in answer.headers { head += "\(name): \(value)\r\n" }
    Self.write(connection, Array((head + "\r\n").utf8) + answer.body.prefix(answer.cut ?? .max))
    if answer.hang {
      hanging.withLock { $0.append(connection) }
    } else {
      shutdown(connection, Int32(SHUT_RDWR))
      close(connection)
    }
  }

  private static func read(_ connection: Int32) -> ServerRequest? {
    var bytes: [UInt8] = []
    var byte = [UInt8](repeating: 0, count: 1)
    while !bytes.suffix(4).elementsEqual(Array("\r\n\r\n".utf8)) {
      guard recv(connection, &byte, 1, 0) == 1, bytes.count < 1 << 16 else { return nil }
      bytes.append(byte[0])
    }
    let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
    let words = lines[0].split(separator: " ")
    guard words.count == 3, words[0] == "GET" else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      headers[line[..<colon].lowercased()] = line[line.index(after: colon)...]
        .trimmingCharacters(in: .whitespaces)
    }
    return ServerRequest(path: String(words[1]), headers: headers)
  }

  private static func write(_ connection: Int32, _ bytes: [UInt8]) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(
          connection, $0.baseAddress.map { $0 + done }, bytes.count - done,
          Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      done += count
    }
  }
}
