import Foundation
import Hub
import Platform

/// A small model as a hub would hold it, and a folder to pull it into.
final class TestHub: Sendable {
  static let commit = "0123456789abcdef0123456789abcdef01234567"
  static let config = Array(#"{"hidden_size": 4}"#.utf8)
  static let vocabulary = Array("[PAD]\n[UNK]\nthe\n".utf8)
  /// 300,000 bytes: more than one read of the client.
  static let weights = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }

  static let listing = "/api/models/tiny/model/revision/main?blobs=true"
  static func file(_ name: String) -> String { "/tiny/model/resolve/\(commit)/\(name)" }

  let cache: String

  init() throws {
    cache = NSTemporaryDirectory() + "/retort-hub-" + UUID().uuidString
    try FileSystem.makeFolder(cache)
  }

  deinit { try? FileSystem.removeTree(cache) }

  var folder: String { cache + "/models/tiny--model" }
  var complete: String { folder + "/" + Self.commit }
  var partial: String { folder + "/.staging-" + Self.commit + "/model.safetensors.part" }

  func client(
    _ server: LocalServer, token: String? = nil, attempts: Int = 3, idleTimeout: Double = 300
  ) throws -> HubClient {
    try HubClient(
      endpoint: server.address, token: token,
      retry: RetryPolicy(
        attempts: attempts, firstDelay: 0.01, longestDelay: 0.05, idleTimeout: idleTimeout),
      isInterrupted: { false })
  }

  func pull(_ client: HubClient, revision: String = "main") async throws(RetortError) -> String {
    try await client.pull("tiny/model", revision: revision, into: cache)
  }

  /// The listing of the model, with more files and with other hashes on demand.
  static func listing(
    more: [(name: String, size: Int)] = [], sha256: String? = nil, blob: String? = nil,
    without missing: Set<String> = []
  ) -> ServerAnswer {
    var digest = SHA256Digest()
    digest.update(weights)
    let weightHash = sha256 ?? hexadecimalText(digest.finalize())
    // printf '{"hidden_size": 4}' | git hash-object --stdin
    let configHash = blob ?? "787e8a46d95c02787a2caf9b120950ee77599c0c"
    var siblings: [[String: Any]] = [
      ["rfilename": "config.json", "size": config.count, "blobId": configHash],
      ["rfilename": "vocab.txt", "size": vocabulary.count],
      [
        "rfilename": "model.safetensors", "size": weights.count,
        "blobId": "ffffffffffffffffffffffffffffffffffffffff",
        "lfs": ["sha256": weightHash, "size": weights.count, "pointerSize": 133],
      ],
      ["rfilename": "README.md", "size": 10],
      ["rfilename": "onnx/model.onnx", "size": 1_000_000_000],
    ]
    siblings += more.map { ["rfilename": $0.name, "size": $0.size] }
    siblings.removeAll { missing.contains($0["rfilename"] as? String ?? "") }
    let answer: [String: Any] = ["sha": commit, "siblings": siblings, "private": false]
    let bytes = (try? JSONSerialization.data(withJSONObject: answer)) ?? Data()
    return ServerAnswer(body: [UInt8](bytes))
  }

  /// What an honest hub answers that holds `files` as the model `name`.
  static func answer(
    _ request: ServerRequest, name: String, files: [String: [UInt8]]
  ) -> ServerAnswer {
    if request.path == "/api/models/\(name)/revision/main?blobs=true" {
      let siblings: [[String: Any]] = files.map { file, content in
        ["rfilename": file, "size": content.count, "blobId": GitBlob.hash(of: content)]
      }
      let listing: [String: Any] = ["sha": commit, "siblings": siblings]
      let bytes = (try? JSONSerialization.data(withJSONObject: listing)) ?? Data()
      return ServerAnswer(body: [UInt8](bytes))
    }
    let place = "/\(name)/resolve/\(commit)/"
    guard request.path.hasPrefix(place),
      let content = files[String(request.path.dropFirst(place.count))]
    else { return ServerAnswer(status: 404, body: Array("Not Found".utf8)) }
    return ServerAnswer(body: content)
  }

  /// What an honest hub answers, ranges included.
  static func honest(_ request: ServerRequest) -> ServerAnswer {
    let content: [UInt8]
    switch request.path {
    case listing: return listing()
    case file("config.json"): content = config
    case file("vocab.txt"): content = vocabulary
    case file("model.safetensors"): content = weights
    default: return ServerAnswer(status: 404, body: Array("Not Found".utf8))
    }
    guard let start = request.rangeStart else { return ServerAnswer(body: content) }
    guard start < content.count else { return ServerAnswer(status: 416) }
    return ServerAnswer(
      status: 206,
      headers: [("Content-Range", "bytes \(start)-\(content.count - 1)/\(content.count)")],
      body: Array(content[start...]))
  }
}
