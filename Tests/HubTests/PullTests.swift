import Foundation
import Hub
import Platform
import TestSupport
import Testing

struct PullTests {
  @Test func `a model arrives complete, with the files an engine needs and no others`() async throws
  {
    let hub = try TestHub()
    let server = try LocalServer { request, _ in TestHub.honest(request) }
    let folder = try await hub.pull(try hub.client(server))
    #expect(folder == hub.complete)
    #expect(
      try FileSystem.names(in: folder) == ["config.json", "model.safetensors", "vocab.txt"])
    #expect(try FileSystem.read(folder + "/config.json") == TestHub.config)
    #expect(try FileSystem.read(folder + "/model.safetensors") == TestHub.weights)
    #expect(HubCache.model("tiny/model", in: hub.cache) == folder)
    #expect(HubCache.model("tiny/other", in: hub.cache) == nil)
    #expect(FileSystem.kind(of: hub.partial) == .nothing)
  }

  @Test func `the second pull asks for the listing and downloads nothing`() async throws {
    let hub = try TestHub()
    let server = try LocalServer { request, _ in TestHub.honest(request) }
    let first = try await hub.pull(try hub.client(server))
    let before = server.requests.count
    #expect(try await hub.pull(try hub.client(server)) == first)
    #expect(server.requests.dropFirst(before).map(\.path) == [TestHub.listing])
    // A commit can never change, so that not even the listing is needed.
    #expect(try await hub.pull(try hub.client(server), revision: TestHub.commit) == first)
    #expect(server.requests.count == before + 1)
  }

  @Test func `without a connection the copy pulled before is good enough`() async throws {
    let hub = try TestHub()
    let client: HubClient
    do {
      let server = try LocalServer { request, _ in TestHub.honest(request) }
      client = try hub.client(server, attempts: 1)
      _ = try await hub.pull(client)
    }
    let silent = try LocalServer { _, _ in ServerAnswer(status: 503) }
    #expect(try await hub.pull(try hub.client(silent, attempts: 1)) == hub.complete)
    let error = await #expect(throws: RetortError.self) {
      try await hub.pull(try hub.client(silent, attempts: 1), revision: "other")
    }
    #expect(error?.code == .network)
  }

  @Test func `a download cut off in the middle continues where it ended`() async throws {
    let hub = try TestHub()
    let server = try LocalServer { request, earlier in
      var answer = TestHub.honest(request)
      if request.path == TestHub.file("model.safetensors"), earlier < 2 { answer.cut = 100_000 }
      return answer
    }
    let folder = try await hub.pull(try hub.client(server))
    #expect(try FileSystem.read(folder + "/model.safetensors") == TestHub.weights)
    let starts = server.requests.filter { $0.path == TestHub.file("model.safetensors") }
      .map(\.rangeStart)
    #expect(starts == [nil, 100_000, 200_000])
  }

  @Test func `a partial file of an earlier run is continued`() async throws {
    let hub = try TestHub()
    let server = try LocalServer { request, _ in TestHub.honest(request) }
    try FileSystem.makeFolder(FileSystem.parent(of: hub.partial))
    try FileSystem.replace(hub.partial, with: Array(TestHub.weights[..<123_456]))
    let folder = try await hub.pull(try hub.client(server))
    #expect(try FileSystem.read(folder + "/model.safetensors") == TestHub.weights)
    #expect(server.requests.contains { $0.rangeStart == 123_456 })
  }

  @Test func `a server that ignores ranges sends everything again`() async throws {
    let hub = try TestHub()
    let server = try LocalServer { request, earlier in
      var plain = request
      plain.headers["range"] = nil
      var answer = TestHub.honest(plain)
      if request.path == TestHub.file("model.safetensors"), earlier == 0 { answer.cut = 100_000 }
      return answer
    }
    let folder = try await hub.pull(try hub.client(server))
    #expect(try FileSystem.read(folder + "/model.safetensors") == TestHub.weights)
  }

  @Test func `a connection that always breaks ends in one error, with what arrived kept`()
    async throws
  {
    let hub = try TestHub()
    let server = try LocalServer { request, earlier in
      var answer = TestHub.honest(request)
      if request.path == TestHub.file("model.safetensors") { answer.cut = earlier == 0 ? 5_000 : 0 }
      return answer
    }
    let error = await #expect(throws: RetortError.self) {
      try await hub.pull(try hub.client(server))
    }
    #expect(error?.code == .network)
    #expect(error?.message.contains("what has arrived is kept") == true)
    #expect(try FileSystem.size(of: hub.partial) == 5_000)
    #expect(FileSystem.kind(of: hub.complete) == .nothing)
    #expect(server.requests.count { $0.path == TestHub.file("model.safetensors") } <= 4)
  }

  @Test func `a busy server is asked again`() async throws {
    let hub = try TestHub()
    let server = try LocalServer { request, earlier in
      earlier == 0
        ? ServerAnswer(status: 429, headers: [("Retry-After", "0")]) : TestHub.honest(request)
    }
    #expect(try await hub.pull(try hub.client(server)) == hub.complete)
  }

  /// A server that sends a part of the weights and then falls silent.
  private func hangingServer() throws -> LocalServer {
    try LocalServer { request, _ in
      var answer = TestHub.honest(request)
      if request.path == TestHub.file("model.safetensors") {
        answer.cut = 50_000
        answer.hang = true
      }
      return answer
    }
  }

  // In a process of its own: here the other tests keep the threads that a transfer needs.
  @Test func `Ctrl-C ends a pull with 130 and keeps the partial file`() throws {
    let hub = try TestHub()
    let server = try hangingServer()
    let pull = try CLIRunner.start(
      ["model", "pull", "tiny/model"],
      environment: ["HF_ENDPOINT": server.address, "RETORT_CACHE": hub.cache])
    let partial = hub.partial
    #expect(pull.wait(until: { FileSystem.kind(of: partial) == .file }))
    let result = try pull.interrupt()
    #expect(result.exitCode == 130, "\(result.standardError)")
    #expect(FileSystem.kind(of: hub.complete) == .nothing)
    #expect(FileSystem.kind(of: partial) == .file)
  }

  @Test func `shards come with their index, and a stale single file is not expected`() async throws
  {
    let hub = try TestHub()
    let names = [
      "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
    ]
    let server = try LocalServer { request, _ in
      if request.path == TestHub.listing {
        return TestHub.listing(
          more: names.map { ($0, 7) } + [("model-x-of-y.safetensors", 7)],
          without: ["model.safetensors"])
      }
      if names.contains(where: { TestHub.file($0) == request.path }) {
        return ServerAnswer(body: Array("content".utf8))
      }
      return TestHub.honest(request)
    }
    let folder = try await hub.pull(try hub.client(server))
    #expect(
      try FileSystem.names(in: folder) == ["config.json"] + names.sorted() + ["vocab.txt"])
  }

  @Test func `files in subfolders keep their place`() async throws {
    let hub = try TestHub()
    let server = try LocalServer { request, _ in
      if request.path == TestHub.listing {
        return TestHub.listing(more: [("1_Pooling/config.json", 2), ("tokenizer.json", 0)])
      }
      if request.path == TestHub.file("1_Pooling/config.json") {
        return ServerAnswer(body: Array("{}".utf8))
      }
      return TestHub.honest(request)
    }
    let folder = try await hub.pull(try hub.client(server))
    #expect(try FileSystem.read(folder + "/1_Pooling/config.json") == Array("{}".utf8))
    #expect(try FileSystem.size(of: folder + "/tokenizer.json") == 0)
  }
}
