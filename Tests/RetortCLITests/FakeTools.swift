import Foundation
import Platform
import TestSupport

/// A PATH for scripts: ordinary programs of the machine, and beside them made ones.
///
/// Swift, apt and dpkg are there only where a test adds them, wherever the machine has its own.
struct FakeTools {
  /// The folder that is the whole PATH.
  let path: String
  private let folder: TemporaryFolder

  /// Makes the folder `bin` in `folder`.
  init(in folder: TemporaryFolder) throws {
    self.folder = folder
    path = folder.path + "/bin"
    try FileSystem.makeFolder(path)
    let linked = try CLIRunner.shell(
      """
      for name in awk basename bash cat cp dirname env find head id mkdir mv rm sed tail touch tr \\
        uname wc; do
        ln -s "$(command -v "$name")" '\(path)'/ || exit
      done
      """)
    guard linked.exitCode == 0 else { throw RetortError(.badData, "no tools: \(linked)") }
  }

  /// Adds a program that is a shell script.
  func add(_ name: String, _ script: String) throws {
    let file = try folder.file("bin/" + name, "#!/bin/sh\n" + script + "\n")
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file)
  }

  /// Adds a Swift that tells its version; `build` is what it does when it is to build.
  func addSwift(_ version: String, build: String = "exit 1") throws {
    try add(
      "swift",
      """
      case "$1" in
        --version) echo "Swift version \(version) (swift-\(version)-RELEASE)" ;;
        *) \(build) ;;
      esac
      """)
  }

  /// The folder `tools` of this checkout.
  static let scripts = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../../tools").standardized.path
}
