import Platform

/// A file system mounted for a test, and gone with the value.
package final class Mount {
  /// Where it is mounted.
  package let path: String

  /// Whether this process may mount: says so by trying.
  package static let isPossible: Bool = {
    guard let folder = try? TemporaryFolder("mount") else { return false }
    return (try? Mount(folder.path + "/probe", options: "size=64k")) != nil
  }()

  /// A memory disk at `path` with options such as `size=1m`.
  package init(_ path: String, options: String) throws {
    self.path = path
    try FileSystem.makeFolder(path)
    try Self.command("mount -t tmpfs -o \(options) tmpfs '\(path)'", path)
  }

  deinit { try? Self.command("umount '\(path)'", path) }

  /// Changes the options.
  package func remount(options: String) throws {
    try Self.command("mount -o remount,\(options) '\(path)'", path)
  }

  private static func command(_ script: String, _ path: String) throws {
    let result = try CLIRunner.shell(script)
    guard result.exitCode == 0 else {
      throw RetortError(.io, "\(script): \(result.standardError)", path: path)
    }
  }
}
