import Platform
import TestSupport
import Testing

/// Mappings whose files are cut while they are read.
@Suite struct MappedFileTests {
  private let folder: TemporaryFolder
  private let path: String
  private let bytes: [UInt8]

  init() throws {
    folder = try TemporaryFolder("mapped")
    bytes = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 7 | 1) }
    path = try folder.file("data", bytes)
  }

  @Test(arguments: [0, 1, 4096, 20_000, 49_151, 49_152, 49_153, 49_999])
  func `a file that was cut reads on as zeros and is reported`(length: Int) throws {
    let file = try MappedFile(path: path)
    let other = try MappedFile(path: try folder.file("other", bytes))
    try file.checkIntact()
    try cut(path, to: length)
    #expect(Array(file.bytes[..<length]) == Array(bytes[..<length]))
    #expect(file.bytes[length...].allSatisfy { $0 == 0 })
    let error = #expect(throws: RetortError.self) { try file.checkIntact() }
    #expect(error?.code == .truncated && error?.path == path)
    // Putting the bytes back mends nothing: what was read is what it was.
    try folder.file("data", bytes)
    #expect(throws: RetortError.self) { try file.checkIntact() }
    try MappedFile(path: path).checkIntact()
    try other.checkIntact()
  }

  @Test func `a cut is noticed before anything behind it is read`() throws {
    for length in [0, 4096, 49_999] {
      let file = try MappedFile(path: try folder.file("data", bytes))
      try cut(path, to: length)
      #expect(throws: RetortError.self) { try file.checkIntact() }
    }
  }

  @Test func `places are read without a wait once the system holds them`() throws {
    // Where the usual temporary folder lies in memory, nothing is ever forgotten.
    let disk = try TemporaryFolder("mapped", in: "/var/tmp")
    // The last bytes are touched where they are mapped, and what lies around them stays.
    let bytes = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 | 1) }
    let path = try disk.file("data", bytes)
    let file = try MappedFile(path: path, isRead: true)
    let mapped = try MappedFile(path: path)
    #expect(file.isRead && !mapped.isRead)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 9_000, alignment: 1)
    defer { memory.deallocate() }
    var random = SplitMix64(seed: 31)
    var held = 0
    for round in 0..<20 {
      if round % 4 == 0 { try forget(path) }
      let start = Int(3_000_000 * random.unit())
      let range = start..<(start + 1 + Int(8_999 * random.unit()))
      let target = UnsafeMutableRawBufferPointer(rebasing: memory[..<range.count])
      let isHeld = file.readHeld(start, into: target)
      if !isHeld { try file.read(start, into: target) }
      #expect(target.elementsEqual(bytes[range]), "round \(round), \(range), held \(isHeld)")
      if file.readHeld(start, into: target) { held += 1 }
    }
    // What was just read is held; the kernel is sure to tell of ext4.
    if disk.isOnExt4 { #expect(held > 15, "\(held) of 20") }
    try cut(path, to: 100)
    let target = UnsafeMutableRawBufferPointer(rebasing: memory[..<50])
    #expect(!file.readHeld(80, into: target))
    let error = #expect(throws: RetortError.self) { try file.read(80, into: target) }
    #expect(error?.code == .truncated && error?.path == path)
  }

  @Test func `zeros at the end of a file are not taken for a cut, whether they go or stay`() throws
  {
    let padded = bytes + [UInt8](repeating: 0, count: 1000)
    let file = try MappedFile(path: try folder.file("padded", padded))
    try cut(file.path, to: bytes.count)
    #expect(Array(file.bytes) == padded)
    try file.checkIntact()
    let zeros = try MappedFile(path: try folder.file("zeros", [UInt8](repeating: 0, count: 9000)))
    try zeros.checkIntact()
    try cut(zeros.path, to: 4000)
    #expect(throws: RetortError.self) { try zeros.checkIntact() }
    try MappedFile(path: try folder.file("empty", [])).checkIntact()
  }

  @Test func `more mappings than one table holds are watched, also when others went before`() throws
  {
    var files: [MappedFile] = []
    for number in 0..<700 {
      files.append(try MappedFile(path: try folder.file("many-\(number)", [1, 2, 3])))
    }
    files.removeFirst(300)
    for number in 0..<100 {
      files.append(try MappedFile(path: try folder.file("more-\(number)", [4, 5, 6])))
    }
    for (place, file) in files.enumerated() {
      if place % 3 == 0 { try cut(file.path, to: 0) }
    }
    for (place, file) in files.enumerated() {
      #expect(file.bytes.reduce(0) { $0 + Int($1) } == (place % 3 == 0 ? 0 : place < 400 ? 6 : 15))
      if place % 3 == 0 {
        #expect(throws: RetortError.self) { try file.checkIntact() }
      } else {
        try file.checkIntact()
      }
    }
  }

  @Test func `threads that read the same cut file all go on`() throws {
    for _ in 0..<Soak.times(20) {
      let large = [UInt8](repeating: 1, count: 400_000)
      let file = try MappedFile(path: try folder.file("large", large))
      let sums = OrderedResults<Int>(count: 8)
      parallelFor(8, threads: 4) { item, _ in
        if item == 3 { try? cut(file.path, to: 100_000) }
        sums.set(item, file.bytes.reduce(0) { $0 + Int($1) })
      }
      #expect(sums.values.allSatisfy { (100_000...400_000).contains($0) })
      #expect(throws: RetortError.self) { try file.checkIntact() }
    }
  }

  @Test func `a file that is cut while it is hashed has no hash`() throws {
    let long = try folder.file("long", [UInt8](repeating: 9, count: 9 << 20))
    var checks = 0
    let error = #expect(throws: RetortError.self) {
      try SHA256Digest.hexadecimal(ofFile: long) {
        checks += 1
        if checks == 2 { try? cut(long, to: 1000) }
        return false
      }
    }
    #expect(error?.code == .truncated)
  }
}
