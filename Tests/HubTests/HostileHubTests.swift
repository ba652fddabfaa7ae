import Foundation
import Hub
import Platform
import Testing

/// What a broken, lying or malicious hub can do: nothing but cause one clear error.
struct HostileHubTests {
  private static func failure(
    _ hub: TestHub, token: String? = nil,
    _ answer: @escaping @Sendable (ServerRequest, Int) -> ServerAnswer
  ) async throws -> RetortError? {
    let server = try LocalServer(answer)
    let client = try hub.client(server, token: token)
    let error = await #expect(throws: RetortError.self) { try await hub.pull(client) }
    #expect(FileSystem.kind(of: hub.complete) == .nothing, "nothing may be published")
    return error
  }

  @Test func `a file with another hash than listed is deleted and named`() async throws {
    let hub = try TestHub()
    let wrong = String(repeating: "0", count: 64)
    let error = try await Self.failure(hub) { request, _ in
      request.path == TestHub.listing ? TestHub.listing(sha256: wrong) : TestHub.honest(request)
    }
    #expect(error?.code == .checksumMismatch)
    #expect(error?.message.contains("model.safetensors") == true)
    #expect(FileSystem.kind(of: hub.partial) == .nothing)
  }

  @Test func `a small file with another git hash than listed is refused`() async throws {
    let error = try await Self.failure(try TestHub()) { request, _ in
      request.path == TestHub.listing
        ? TestHub.listing(blob: String(repeating: "0", count: 40)) : TestHub.honest(request)
    }
    #expect(error?.code == .checksumMismatch)
    #expect(error?.message.contains("config.json") == true)
  }

  @Test(arguments: [100, 300_001, 1 << 60])
  func `a length other than listed is a lie, not a reason to wait`(length: Int) async throws {
    let hub = try TestHub()
    let error = try await Self.failure(hub) { request, _ in
      var answer = TestHub.honest(request)
      if request.path == TestHub.file("model.safetensors") { answer.claimedLength = length }
      return answer
    }
    #expect(error?.code == .network)
    #expect(error?.message.contains("300000 bytes") == true)
  }

  @Test func `more bytes than listed are refused where no length is announced`() async throws {
    let error = try await Self.failure(try TestHub()) { request, _ in
      guard request.path == TestHub.file("model.safetensors") else {
        return TestHub.honest(request)
      }
      return ServerAnswer(body: TestHub.weights + [1, 2, 3], claimedLength: -1)
    }
    #expect(error?.message.contains("more bytes") == true)
  }

  @Test func `a range that starts elsewhere is refused`() async throws {
    let hub = try TestHub()
    try FileSystem.makeFolder(FileSystem.parent(of: hub.partial))
    try FileSystem.replace(hub.partial, with: Array(TestHub.weights[..<1000]))
    let error = try await Self.failure(hub) { request, _ in
      var answer = TestHub.honest(request)
      if request.rangeStart != nil { answer.headers = [("Content-Range", "bytes 7-299999/300000")] }
      return answer
    }
    #expect(error?.code == .network)
  }

  /// Named by index below: control characters must not reach the log of the tests either.
  private static let hostileNames = [
    "/etc/passwd", "../../escape", "a/../../b", "2_Normalize/../../../x", "2_Normalize/..\\x",
    "2_Normalize/a\u{0}b", "", "a//b", "./a", "2_Normalize/\u{1B}[2J",
  ]

  @Test(arguments: hostileNames.indices)
  func `a name that could lead out of the folder condemns the listing`(index: Int) async throws {
    let name = Self.hostileNames[index]
    let hub = try TestHub()
    let error = try await Self.failure(hub) { request, _ in
      request.path == TestHub.listing
        ? TestHub.listing(more: [(name, 3)]) : TestHub.honest(request)
    }
    #expect(error?.code == .badData)
    #expect(error?.message.contains("\u{1B}") == false)
    #expect(try FileSystem.names(in: hub.cache).isEmpty)
  }

  @Test func `names twice, negative sizes and commits that are none are refused`() async throws {
    let twice = try await Self.failure(try TestHub()) { _, _ in
      TestHub.listing(more: [("vocab.txt", 3)])
    }
    #expect(twice?.message.contains("twice") == true)
    let negative = try await Self.failure(try TestHub()) { _, _ in
      TestHub.listing(more: [("tokenizer.json", -3)])
    }
    #expect(negative?.message.contains("size") == true)
    let commit = try await Self.failure(try TestHub()) { _, _ in
      ServerAnswer(body: Array(#"{"sha": "../../x", "siblings": []}"#.utf8))
    }
    #expect(commit?.code == .badData)
    let nonsense = try await Self.failure(try TestHub()) { _, _ in
      ServerAnswer(body: Array("<html>".utf8))
    }
    #expect(nonsense?.code == .badData)
  }

  @Test func `a model without safetensors is refused in one sentence`() async throws {
    let error = try await Self.failure(try TestHub()) { _, _ in
      TestHub.listing(more: [("pytorch_model.bin", 5)], without: ["model.safetensors"])
    }
    #expect(error?.message.contains("safetensors") == true)
  }

  @Test(arguments: [(401, "HF_TOKEN"), (403, "conditions"), (404, "revision")])
  func `refusals name the remedy`(status: Int, remedy: String) async throws {
    let hub = try TestHub()
    let error = try await Self.failure(hub) { _, _ in
      ServerAnswer(
        status: status, headers: [("X-Error-Message", "no \u{7F}way")], body: Array("no".utf8))
    }
    #expect(error?.code == .missingInput)
    #expect(error?.message.contains("HTTP \(status)") == true)
    #expect(error?.message.contains(remedy) == true)
  }

  @Test func `the token goes to the hub and never to the host of a redirection`() async throws {
    let hub = try TestHub()
    let storage = try LocalServer { request, _ in TestHub.honest(request) }
    let elsewhere = storage.address
    let server = try LocalServer { request, earlier in
      guard request.path == TestHub.file("model.safetensors") else {
        return TestHub.honest(request)
      }
      // First to another path of the same host, then to another one.
      return ServerAnswer(
        status: 302,
        headers: [("Location", elsewhere + TestHub.file("model.safetensors"))])
    }
    try FileSystem.makeFolder(FileSystem.parent(of: hub.partial))
    try FileSystem.replace(hub.partial, with: Array(TestHub.weights[..<1000]))
    let folder = try await hub.pull(try hub.client(server, token: "secret"))
    #expect(try FileSystem.read(folder + "/model.safetensors") == TestHub.weights)
    #expect(server.requests.allSatisfy { $0.headers["authorization"] == "Bearer secret" })
    #expect(storage.requests.count == 1)
    #expect(storage.requests.allSatisfy { $0.headers["authorization"] == nil })
    #expect(storage.requests.map(\.rangeStart) == [1000])
  }

  @Test func `the token follows a redirection on the same host`() async throws {
    let hub = try TestHub()
    let server = try LocalServer { request, earlier in
      guard request.path.hasPrefix("/moved") || request.path != TestHub.listing else {
        return ServerAnswer(status: 307, headers: [("Location", "/moved" + request.path)])
      }
      var moved = request
      if moved.path.hasPrefix("/moved") { moved.path.removeFirst("/moved".count) }
      return TestHub.honest(moved)
    }
    #expect(try await hub.pull(try hub.client(server, token: "secret")) == hub.complete)
    #expect(server.requests.allSatisfy { $0.headers["authorization"] == "Bearer secret" })
  }

  @Test func `redirections in a circle end`() async throws {
    let error = try await Self.failure(try TestHub()) { request, _ in
      ServerAnswer(status: 302, headers: [("Location", request.path)])
    }
    #expect(error?.message.contains("circle") == true)
  }

  @Test func `a model larger than the disk is refused before a byte is fetched`() async throws {
    let hub = try TestHub()
    let server = try LocalServer { request, _ in
      request.path == TestHub.listing
        ? TestHub.listing(more: [("2_Normalize/a", 1 << 42), ("2_Normalize/b", 1 << 42)])
        : TestHub.honest(request)
    }
    let client = try hub.client(server)
    let error = await #expect(throws: RetortError.self) { try await hub.pull(client) }
    #expect(error?.code == .io)
    #expect(error?.message.contains("are needed") == true)
    #expect(server.requests.map(\.path) == [TestHub.listing])
  }

  @Test func `what is no file in the place of a download is left alone`() async throws {
    let hub = try TestHub()
    try FileSystem.makeFolder(hub.partial)
    let error = try await Self.failure(hub) { request, _ in TestHub.honest(request) }
    #expect(error?.code == .io)
    #expect(error?.path == hub.partial)
  }

  @Test(arguments: ["", "a/b/c", "../x", "a b", "a/.b", "/a", "a/", "a\tb", "a--b"])
  func `malformed model names are usage errors`(name: String) async throws {
    let hub = try TestHub()
    let client = try HubClient(endpoint: "http://127.0.0.1:1", token: nil)
    let error = await #expect(throws: RetortError.self) {
      try await client.pull(name, into: hub.cache)
    }
    #expect(error?.code == .usage)
  }

  @Test(arguments: ["ftp://x", "", "not an address", "file:///etc"])
  func `malformed addresses and tokens are usage errors`(endpoint: String) {
    #expect(throws: RetortError.self) { try HubClient(endpoint: endpoint, token: nil) }
    #expect(throws: RetortError.self) {
      try HubClient(endpoint: "https://hub.example", token: "a\r\nX-Forged: 1")
    }
  }

  @Test func `the cache follows the environment`() throws {
    #expect(
      try HubCache.folder(environment: ["RETORT_CACHE": "/c", "XDG_CACHE_HOME": "/x"]) == "/c")
    #expect(
      try HubCache.folder(environment: ["XDG_CACHE_HOME": "/x", "HOME": "/h"]) == "/x/retort")
    #expect(
      try HubCache.folder(environment: ["XDG_CACHE_HOME": "x", "HOME": "/h"]) == "/h/.cache/retort")
    #expect(throws: RetortError.self) { try HubCache.folder(environment: [:]) }
  }

  @Test func `the git hash is git's own`() {
    // git hash-object of nothing, and of 200 letters a.
    #expect(GitBlob.hash(of: []) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
    #expect(
      GitBlob.hash(of: [UInt8](repeating: 0x61, count: 200))
        == "1d33d17ad3abab24046a78cf5a4abc31e69865b3")
  }
}
