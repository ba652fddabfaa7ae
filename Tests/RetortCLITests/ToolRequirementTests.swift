import Foundation
import Platform
import TestSupport
import Testing

/// What the scripts in `tools` say where something is missing that they need.
@Suite struct ToolRequirementTests {
  private let folder: TemporaryFolder
  private let tools: FakeTools

  init() throws {
    folder = try TemporaryFolder("requirements")
    tools = try FakeTools(in: folder)
  }

  private func run(_ script: String, _ arguments: [String] = []) throws -> CLIResult {
    try CLIRunner.script(
      script, arguments, environment: ["PATH": tools.path, "RETORT_NO_INSTALL": ""])
  }

  /// The only line on standard error of `tools/test --no-install`, which has to fail.
  private func complaint() throws -> String {
    let result = try run(FakeTools.scripts + "/test", ["--no-install"])
    #expect(result.exitCode == 1, "\(result)")
    #expect(result.standardOutput.isEmpty, "\(result)")
    #expect(result.standardError.hasSuffix("\n"), "\(result)")
    let lines = result.standardError.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 2, "\(result)")
    return String(lines[0])
  }

  /// A dpkg that has everything but two libraries.
  private func missLibraries(installation: String) throws {
    try tools.addSwift("6.1")
    try tools.add(
      "dpkg-query",
      """
      case "$*" in
        *liblz4-dev | *libedit-dev) exit 1 ;;
        *) printf installed ;;
      esac
      """)
    try tools.add("apt-get", "echo \"$*\" >>'\(folder.path)/apt'; \(installation)")
  }

  @Test func `without Swift one line says which to install and where it is`() throws {
    #expect(
      try complaint()
        == "test: error: swift was not found; install Swift 6.1 or newer, see "
        + "https://www.swift.org/install")
  }

  @Test(arguments: ["5.9", "5.10.1", "6.0.3"])
  func `a Swift that is too old is named in one line`(version: String) throws {
    try tools.addSwift(version)
    #expect(
      try complaint()
        == "test: error: Swift \(version) is too old; install Swift 6.1 or newer, see "
        + "https://www.swift.org/install")
  }

  @Test func `a Swift that does not run is named in one line`() throws {
    try tools.add("swift", "echo 'swift: cannot open shared object file' >&2; exit 127")
    #expect(try complaint().contains("swift does not tell its version; install Swift 6.1"))
  }

  @Test(arguments: ["6.1", "6.10.2", "7.0"])
  func `newer Swifts will do`(version: String) throws {
    try tools.addSwift(version)
    let script = try folder.file(
      "script", "set -euo pipefail\n. '\(FakeTools.scripts)/lib.sh'\nrequire_swift\necho fine\n")
    let result = try run(script)
    #expect(result.exitCode == 0 && result.standardOutput == "fine\n", "\(result)")
    #expect(result.standardError.isEmpty, "\(result)")
  }

  @Test func `missing libraries are one line to run, and nothing is installed`() throws {
    try missLibraries(installation: "exit 0")
    #expect(
      try complaint()
        == "test: error: packages are missing; as root run: apt-get update && apt-get install "
        + "liblz4-dev libedit-dev")
    #expect(FileSystem.kind(of: folder.path + "/apt") == .nothing)
  }

  @Test func `an installation that fails ends with the line to run`() throws {
    try missLibraries(installation: "echo 'E: Unable to locate package' >&2; exit 100")
    let result = try run(FakeTools.scripts + "/test")
    #expect(result.exitCode == 1, "\(result)")
    #expect(result.standardError.hasPrefix("installing liblz4-dev libedit-dev\n"), "\(result)")
    #expect(
      lastLine(result.standardError).hasSuffix(
        "as root run: apt-get update && apt-get install liblz4-dev libedit-dev"), "\(result)")
  }
}
