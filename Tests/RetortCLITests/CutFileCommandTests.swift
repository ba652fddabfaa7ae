import Platform
import Store
import TestSupport
import Testing

/// Another program cuts files of an index that `retort search` has open.
@Suite(.serialized) struct CutFileCommandTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder
  private var index: String { folder.path + "/index" }

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("cut")
    for (name, bytes) in try contents(of: fixture.index) where !name.hasSuffix("/") {
      try folder.file("index/" + name, bytes)
    }
  }

  @Test(arguments: ["vectors", "graph", "passages"])
  func `a prompt whose index is cut reports the file and ends with an error`(role: String) throws {
    let prompt = try CLIRunner.start(["search", index, "-k", "3"], input: nil)
    try prompt.type(fixture.corpus.passages[17].text + "\n")
    #expect(prompt.wait { prompt.errorsSoFar().contains("total") })
    let path = index + "/segments/000001/\(role).seg"
    try cut(path, to: 5000)
    try prompt.type(fixture.corpus.passages[230].text + "\n")
    let result = try prompt.wait()
    #expect(result.signal == 0 && result.exitCode == 65, "\(result)")
    #expect(
      lastLine(result.standardError).hasPrefix(
        "retort: error: \(path): was cut by another program while it was open"), "\(result)")
    #expect(!result.standardOutput.contains(fixture.corpus.passages[230].id))
  }

  @Test func `a SIGBUS that is not about a mapped file ends the process as ever`() throws {
    // Swift's own handler, which prints where a program crashed, survives signals that others send.
    let prompt = try CLIRunner.start(
      ["search", index, "-k", "3"], input: nil, environment: ["SWIFT_BACKTRACE": "enable=no"])
    try prompt.type(fixture.corpus.passages[17].text + "\n")
    #expect(prompt.wait { prompt.errorsSoFar().contains("total") })
    prompt.send(SIGBUS)
    #expect(try prompt.wait().signal == SIGBUS)
  }

  @Test func `a search whose index is cut at any moment ends well or with an error`() throws {
    let seed: UInt64 = 95
    var random = SplitMix64(seed: seed)
    var file: [UInt8] = []
    let (count, width) = (6000, TinyEncoder.width)
    file.appendInteger(UInt32(count))
    file.appendInteger(UInt32(width))
    for _ in 0..<(count * width) { file.appendInteger(Float(random.normal()).bitPattern) }
    let queries = try folder.file("q.fbin", file)
    let arguments = [
      "search", index, "--query-vectors", queries, "-k", "5", "--threads", "2", "--quiet",
    ]
    let started = monotonicSeconds()
    let walked = try CLIRunner.run(arguments)
    let seconds = monotonicSeconds() - started
    let scanned = try CLIRunner.run(arguments + ["--exact"])
    #expect(walked.exitCode == 0 && scanned.exitCode == 0)
    var errors = 0
    for round in 0..<Soak.times(12) {
      let role = ["vectors", "graph", "passages"][Int(random.next() % 3)]
      let path = index + "/segments/000001/\(role).seg"
      let bytes = try FileSystem.read(path)
      let length = Int(random.next() % UInt64(bytes.count))
      let moment = monotonicSeconds() + random.unit() * seconds
      let isExact = round % 3 == 0
      let search = try CLIRunner.start(arguments + (isExact ? ["--exact"] : []))
      _ = search.wait { monotonicSeconds() >= moment }
      try cut(path, to: length)
      let result = try search.wait()
      let note = "seed \(seed), round \(round): \(role) cut to \(length): \(result.standardError)"
      #expect(result.signal == 0, "\(note)")
      if result.exitCode == 0 {
        let expected = isExact ? scanned : walked
        #expect(result.standardOutput == expected.standardOutput, "\(note)")
      } else {
        errors += 1
        #expect(result.exitCode == 65 && result.standardError.contains(path), "\(note)")
      }
      try FileSystem.replace(path, with: bytes)
    }
    #expect(errors > 0, "no search was hit")
  }
}
