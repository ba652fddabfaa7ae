import Platform
import TestSupport
import Testing

@Suite struct FullDiskTests {
  @Test func `a write that crosses the limit stores what fits, and later ones nothing`() throws {
    let folder = try TemporaryFolder("disk")
    let disk = FullDisk(below: folder.path, after: .bytes(300_000))
    let writer = try FileWriter(path: folder.path + "/a", mode: .replace)
    try writer.append([UInt8](repeating: 1, count: 200_000))
    try writer.flush()
    try writer.append([UInt8](repeating: 2, count: 200_000))
    for _ in 0..<2 {
      let error = #expect(throws: RetortError.self) { try writer.flush() }
      #expect(error?.exitCode == 74)
    }
    #expect(try FileSystem.size(of: folder.path + "/a") == 300_000)
    #expect(disk.bytes == 300_000 && disk.failures == 2)
    // Elsewhere nothing is full, and here no more once it ends.
    let other = try TemporaryFolder("other")
    try FileSystem.replace(other.path + "/b", with: [1, 2, 3])
    #expect(throws: RetortError.self) { try FileSystem.replace(folder.path + "/b", with: [1]) }
    #expect(try FileSystem.names(in: folder.path) == ["a"])
    disk.end()
    try FileSystem.replace(folder.path + "/b", with: [1])
    #expect(try FileSystem.names(in: folder.path) == ["a", "b"])
  }

  @Test func `folders, files and syncs count as operations`() throws {
    let folder = try TemporaryFolder("disk")
    for (most, made) in [(0, []), (1, ["x"]), (2, ["x"]), (3, ["x"])] {
      let disk = FullDisk(below: folder.path, after: .operations(most))
      #expect(throws: RetortError.self) {
        try FileSystem.makeFolder(folder.path + "/x")
        try FileSystem.replace(folder.path + "/x/file", with: [1])
      }
      disk.end()
      #expect(try FileSystem.names(in: folder.path) == made, "after \(most)")
      try FileSystem.removeTree(folder.path + "/x")
    }
  }
}
