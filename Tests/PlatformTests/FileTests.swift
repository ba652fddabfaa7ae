import Foundation
import Platform
import Synchronization
import TestSupport
import Testing

@Suite struct FileSystemTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("files") }

  @Test func `a reader sees the old or the new file, never a mix`() throws {
    let path = try folder.file("value", [UInt8](repeating: 0, count: 300_000))
    let isDone = Atomic(false)
    let failure = Mutex<(any Error)?>(nil)
    let finished = DispatchSemaphore(value: 0)
    Thread {
      do {
        for value in 1...60 as ClosedRange<UInt8> {
          try FileSystem.replace(path, with: [UInt8](repeating: value, count: 300_000))
        }
      } catch {
        failure.withLock { $0 = error }
      }
      isDone.store(true, ordering: .releasing)
      finished.signal()
    }.start()
    var last: UInt8 = 0
    while !isDone.load(ordering: .acquiring) {
      let bytes = try FileSystem.read(path)
      #expect(bytes.count == 300_000)
      let value = try #require(bytes.first)
      #expect(bytes.allSatisfy { $0 == value })
      #expect(value >= last)
      last = value
    }
    finished.wait()
    #expect(failure.withLock { $0 == nil })
    #expect(try FileSystem.names(in: folder.path) == ["value"])
  }

  @Test func `a replacement that fails leaves the old file`() throws {
    let path = try folder.file("value", "old")
    try FileSystem.makeFolder(path + ".tmp")
    let error = #expect(throws: RetortError.self) { try FileSystem.replace(path, with: [1]) }
    #expect(error?.exitCode == 74)
    #expect(try FileSystem.read(path) == Array("old".utf8))
  }

  @Test func `trees are removed without following links`() throws {
    let kept = try folder.file("outside/kept", "kept")
    try folder.file("tree/a/b", "x")
    symlink(folder.path + "/outside", folder.path + "/tree/a/link")
    try FileSystem.removeTree(folder.path + "/tree")
    #expect(FileSystem.kind(of: folder.path + "/tree") == .nothing)
    #expect(try FileSystem.read(kept) == Array("kept".utf8))
    try FileSystem.removeTree(folder.path + "/never-there")
  }

  @Test func `names are sorted by bytes and folders made with their parents`() throws {
    for name in ["b", "ä", "a", "B"] { try folder.file(name, "") }
    try FileSystem.makeFolder(folder.path + "/deep/er/est")
    #expect(try FileSystem.names(in: folder.path) == ["B", "a", "b", "deep", "ä"])
    let error = #expect(throws: RetortError.self) {
      try FileSystem.makeFolder(folder.path + "/a/below")
    }
    #expect(error?.path == folder.path + "/a/below")
  }

  @Test(arguments: [("a/b", "a"), ("b", "."), ("/b", "/"), ("a/b/", "a"), ("/", "/")])
  func `the parent of a path`(path: String, parent: String) {
    // "/" has no parent but itself.
    #expect(FileSystem.parent(of: path) == parent)
  }

  @Test func `what is missing, a folder or too large says so`() throws {
    let path = try folder.file("five", "12345")
    func code(_ path: String, limit: Int = 100) -> RetortError.Code? {
      #expect(throws: RetortError.self) { try FileSystem.read(path, limit: limit) }?.code
    }
    #expect(code(folder.path + "/none") == .missingInput)
    #expect(code(folder.path) == .missingInput)
    #expect(code(path, limit: 4) == .limitExceeded)
    #expect(try FileSystem.size(of: path) == 5)
  }

  @Test func `a mapping survives the replacement of its file`() throws {
    let path = try folder.file("mapped", "first")
    let mapped = try MappedFile(path: path)
    try FileSystem.replace(path, with: Array("second".utf8))
    let replaced = try MappedFile(path: path)
    withExtendedLifetime((mapped, replaced)) {
      #expect(mapped.bytes.elementsEqual("first".utf8))
      #expect(replaced.bytes.elementsEqual("second".utf8))
    }
    let error = #expect(throws: RetortError.self) {
      try mapped.slice(offset: .max - 1, length: 4)
    }
    #expect(error?.code == .truncated)
    #expect(try MappedFile(path: try folder.file("empty", "")).count == 0)
  }
}

@Suite struct FileWriterTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("writer") }

  @Test func `appended pieces of every size arrive in order`() throws {
    let path = folder.path + "/out"
    let writer = try FileWriter(path: path, mode: .replace)
    var random = SplitMix64(seed: 3)
    var expected: [UInt8] = []
    for size in [0, 1, 100_000, 262_144, 262_143, 300_000, 7, 600_000] {
      let piece = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      try writer.append(piece)
      expected += piece
      #expect(writer.length == expected.count)
    }
    try writer.pad(to: 64)
    expected += [UInt8](repeating: 0, count: (64 - expected.count % 64) % 64)
    try writer.overwrite([9, 8, 7], at: 5)
    expected.replaceSubrange(5..<8, with: [9, 8, 7])
    try writer.finish()
    #expect(try FileSystem.read(path) == expected)
  }

  @Test func `resuming cuts the file to the length the journal knows`() throws {
    let path = try folder.file("part", "keep me, not this")
    let writer = try FileWriter(path: path, mode: .resume(length: 7))
    try writer.append(Array("!".utf8))
    try writer.finish()
    #expect(try FileSystem.read(path) == Array("keep me!".utf8))
    let error = #expect(throws: RetortError.self) {
      _ = try FileWriter(path: path, mode: .resume(length: 100))
    }
    #expect(error?.code == .truncated)
  }

  @Test(.enabled(if: FileSystem.kind(of: "/dev/full") == .other, "there is no /dev/full here"))
  func `a full disk is reported with the remedy, whenever it shows`() throws {
    let large = try FileWriter(path: "/dev/full", mode: .replace)
    let first = #expect(throws: RetortError.self) {
      try large.append([UInt8](repeating: 1, count: 1 << 20))
    }
    let small = try FileWriter(path: "/dev/full", mode: .replace)
    try small.append([1])
    let second = #expect(throws: RetortError.self) { try small.finish() }
    for error in [first, second] {
      #expect(error?.exitCode == 74)
      #expect(error?.description.hasPrefix("/dev/full: ") == true)
      #expect(error?.message.contains("No space left on device; free some space") == true)
    }
  }

  #if os(Linux)
    @Test func `a lock is given back whole while a process that is being started has a copy`()
      throws
    {
      let path = folder.path + "/copied.lock"
      let lock = try FileLock(path: path)
      let own = try #require(
        (0..<4096 as Range<Int32>).first {
          (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))
            == path
        })
      let copy = dup(own)
      defer { close(copy) }
      lock.release()
      let next = try FileLock(path: path)
      next.release()
    }
  #endif

  @Test func `a lock excludes until it is given back, also when its file was removed`() throws {
    let path = folder.path + "/lock"
    let lock = try FileLock(path: path)
    let error = #expect(throws: RetortError.self) { _ = try FileLock(path: path) }
    #expect(error?.exitCode == 64)
    #expect(error?.message.contains("another process is writing here") == true)
    lock.release()
    lock.release()
    let second = try FileLock(path: path)
    try FileSystem.remove(path)
    let third = try FileLock(path: path)
    second.release()
    #expect(throws: RetortError.self) { _ = try FileLock(path: path) }
    third.release()
  }
}
