import Platform
import TestSupport
import Testing

/// `retort model pull` as a user runs it, with a model that encodes.
struct PullCommandTests {
  private let folder: TemporaryFolder
  private let files: [String: [UInt8]]
  private let server: LocalServer
  private let environment: [String: String]

  init() throws {
    folder = try TemporaryFolder("pull-command")
    try TinyEncoder.write(to: folder.path + "/written")
    let files = try contents(of: folder.path + "/written").filter { !$0.key.hasSuffix("/") }
    try folder.file("corpus.tsv", "p1\tgold and silver\np2\twater of a river\np3\tbread\n")
    self.files = files
    server = try LocalServer { request, _ in
      TestHub.answer(request, name: "owner/tiny", files: files)
    }
    environment = [
      "HF_ENDPOINT": server.address, "HF_TOKEN": "hf_secret",
      "RETORT_CACHE": folder.path + "/cache",
    ]
  }

  private func retort(_ arguments: String...) throws -> CLIResult {
    try CLIRunner.run(arguments, environment: environment)
  }

  @Test func `the token goes with every request, and the folder is printed`() throws {
    let pulled = try retort("model", "pull", "owner/tiny")
    #expect(pulled.exitCode == 0, "\(pulled)")
    let model = folder.path + "/cache/models/owner--tiny/" + TestHub.commit
    #expect(pulled.standardOutput == model + "\n")
    #expect(!pulled.standardError.contains("hf_secret"))
    #expect(server.requests.count == files.count + 1)
    #expect(server.requests.allSatisfy { $0.headers["authorization"] == "Bearer hf_secret" })
    #expect(try contents(of: model).filter { !$0.key.hasSuffix("/") } == files)
  }

  @Test func `a build finds the pulled model by its name, without asking the hub`() throws {
    let index = folder.path + "/index"
    let build = [
      "index", "build", "--corpus", folder.path + "/corpus.tsv", "--model", "owner/tiny",
      "--output", index, "--quiet",
    ]
    let early = try CLIRunner.run(build, environment: environment)
    #expect(early.exitCode == 66, "\(early)")
    #expect(early.standardError.contains("retort model pull owner/tiny"), "\(early)")
    #expect(server.requests.isEmpty)

    #expect(try retort("model", "pull", "owner/tiny", "--quiet").exitCode == 0)
    let asked = server.requests.count
    let built = try CLIRunner.run(build, environment: environment)
    #expect(built.exitCode == 0, "\(built)")
    #expect(server.requests.count == asked)
    let found = try retort("search", index, "water of a river", "-k", "3", "--quiet")
    #expect(found.exitCode == 0, "\(found)")
    #expect(["p1", "p2", "p3"].allSatisfy { found.standardOutput.contains($0) }, "\(found)")
    let info = try retort("index", "info", index)
    #expect(info.standardOutput.contains("/cache/models/owner--tiny/" + TestHub.commit), "\(info)")
  }
}
