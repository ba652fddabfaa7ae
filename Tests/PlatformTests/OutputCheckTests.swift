import Platform
import TestSupport
import Testing

/// What is said of a place to write to before anything is written.
@Suite struct OutputCheckTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("output") }

  private func error(_ body: () throws(RetortError) -> Void) -> RetortError? {
    do throws(RetortError) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  @Test func `a file needs its folder, which is named`() throws {
    let path = folder.path
    try folder.file("file", "x")
    for good in ["-", "/dev/stdout", "/dev/null", path + "/new", path + "/file"] {
      #expect(error { () throws(RetortError) in try FileSystem.checkOutput(good) } == nil)
    }
    let bad: [(path: String, named: String, reason: String)] = [
      ("/none/x.tsv", "/none", "there is no such folder"), ("", "", "is a folder"),
      ("/file/x.tsv", "/file", "is not a folder"), ("/new/", "/new/", "is the name of a folder"),
    ]
    for (name, named, reason) in bad {
      let found = error { () throws(RetortError) in try FileSystem.checkOutput(path + name) }
      #expect(found?.path == path + named && found?.exitCode == 64)
      #expect(found?.message.contains(reason) == true, "\(name): \(String(describing: found))")
    }
    #expect(try FileSystem.names(in: path) == ["file"])
  }

  @Test func `a folder is made with its parents, but not below a file`() throws {
    let path = folder.path
    try folder.file("file", "x")
    for good in [path, path + "/a/b/c", "."] {
      #expect(error { () throws(RetortError) in try FileSystem.checkOutputFolder(good) } == nil)
    }
    let found = error { () throws(RetortError) in
      try FileSystem.checkOutputFolder(path + "/file/b/c")
    }
    #expect(found?.path == path + "/file" && found?.exitCode == 64)
  }

  @Test(.enabled(if: Mount.isPossible, "mounting needs root: not tested"))
  func `a folder that may not be written into is named`() throws {
    let mount = try Mount(folder.path + "/disk", options: "size=64k,ro")
    let file = error { () throws(RetortError) in try FileSystem.checkOutput(mount.path + "/x") }
    let below = error { () throws(RetortError) in
      try FileSystem.checkOutputFolder(mount.path + "/x/y")
    }
    for found in [file, below] {
      #expect(found?.path == mount.path && found?.exitCode == 74)
      #expect(found?.message.contains("check the permissions or choose another place") == true)
    }
  }
}
