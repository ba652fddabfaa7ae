import Formats
import Platform
import Testing

@Suite struct VectorTableTests {
  /// What NumPy 2 wrote of these values, in versions 1.0, 2.0 and 3.0 of its format.
  private static let values: [Float] = [1, -2.5, 3e-5, 0.1, 65504, -0.0]
  private static let data: [UInt8] = [
    0x00, 0x00, 0x80, 0x3F, 0x00, 0x00, 0x20, 0xC0, 0x82, 0xA8, 0xFB, 0x37,
    0xCD, 0xCC, 0xCC, 0x3D, 0x00, 0xE0, 0x7F, 0x47, 0x00, 0x00, 0x00, 0x80,
  ]
  private static let dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A .npy file: magic, version, length, dictionary, spaces up to 128 bytes, line feed, data.
  private static func npy(
    _ dictionary: String = Self.dictionary, version: UInt8 = 1, data: [UInt8] = Self.data
  ) -> [UInt8] {
    var bytes: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, version, 0]
    let length = 128 - (version == 1 ? 10 : 12)
    bytes += version == 1 ? [UInt8(length), 0] : [UInt8(length), 0, 0, 0]
    bytes += Array(dictionary.utf8)
    bytes += [UInt8](repeating: 0x20, count: max(0, 127 - bytes.count)) + [0x0A]
    return bytes + data
  }

  private static let fvecs: [UInt8] = [3, 0, 0, 0] + data[..<12] + [3, 0, 0, 0] + data[12...]
  private static let fbin: [UInt8] = [2, 0, 0, 0, 3, 0, 0, 0] + data

  private func open(_ name: String, _ bytes: [UInt8]) throws -> VectorTable {
    try VectorTable(path: folder.file(name, bytes))
  }

  private func failure(_ name: String, _ bytes: [UInt8]) -> RetortError? {
    #expect(throws: RetortError.self) {
      let table = try open(name, bytes)
      _ = try table.rows(0..<table.count)
    }
  }

  // MARK: Reading

  @Test(arguments: [1, 2, 3] as [UInt8])
  func `arrays that NumPy wrote are read`(version: UInt8) throws {
    let table = try open("a.npy", Self.npy(version: version))
    #expect(table.count == 2 && table.dimension == 3 && table.valueSize == 4)
    #expect(try table.rows(0..<2) == Self.values)
    #expect(try table.rows(1..<2) == Array(Self.values[3...]))
    #expect(try table.rows(1..<1) == [])
  }

  @Test func `arrays of half precision are widened exactly`() throws {
    let table = try open(
      "a.npy",
      Self.npy(
        "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }",
        data: [0x00, 0x3C, 0x00, 0xC1, 0x01, 0x00, 0xFF, 0x7B, 0x66, 0x2E, 0x00, 0x80]))
    #expect(table.valueSize == 2)
    #expect(
      try table.rows(0..<2).map(\.bitPattern)
        == [1, -2.5, 0x1p-24, 65504, 0.09997558593750, -0.0].map { Float($0).bitPattern })
  }

  @Test func `other spellings of the header are read alike`() throws {
    for text in [
      "{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f4\"}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L)}",
      " { 'fortran_order' : False , 'shape' : ( 2 , 3 , ) , 'descr' : '<f4' , } ",
    ] {
      #expect(try open("a.npy", Self.npy(text)).rows(0..<2) == Self.values)
    }
  }

  @Test func `fvecs and fbin are read`() throws {
    for (name, bytes) in [("a.fvecs", Self.fvecs), ("b.FBIN", Self.fbin)] {
      let table = try open(name, bytes)
      #expect(table.count == 2 && table.dimension == 3)
      #expect(try table.rows(0..<2) == Self.values)
    }
    #expect(try open("empty.fvecs", []).count == 0)
    #expect(try open("empty.fbin", [0, 0, 0, 0, 3, 0, 0, 0]).count == 0)
  }

  // MARK: Writing

  @Test func `a written array has the bytes that NumPy writes`() throws {
    let path = folder.path + "/out.npy"
    let writer = try VectorTableWriter(path: path, format: .npy, dimension: 3)
    try writer.append(bytes: Array(Self.data[..<12]))
    try writer.append(bytes: Array(Self.data[12...]))
    #expect(FileSystem.kind(of: path) == .nothing)
    try writer.finish()
    #expect(try FileSystem.read(path) == Self.npy())
  }

  @Test(arguments: [("out.fvecs", fvecs), ("out.fbin", fbin)])
  func `a written file has the bytes of its format`(name: String, expected: [UInt8]) throws {
    let path = folder.path + "/" + name
    let writer = try VectorTableWriter(
      path: path, format: VectorFormat(ofName: path), dimension: 3)
    try writer.append(bytes: Self.data)
    try writer.finish()
    #expect(writer.count == 2)
    #expect(try FileSystem.read(path) == expected)
  }

  @Test(arguments: VectorFormat.allCases)
  func `what is written is read back, none and a thousand vectors alike`(format: VectorFormat)
    throws
  {
    var random = SplitMix64(seed: 5)
    for count in [0, 1, 1000] {
      let path = folder.path + "/\(count).\(format.rawValue)"
      let values = (0..<count * 7).map { _ in Float(random.normal()) }
      let writer = try VectorTableWriter(path: path, format: format, dimension: 7)
      for start in stride(from: 0, to: values.count, by: 70) {
        let part = values[start..<min(start + 70, values.count)]
        try writer.append(
          bytes: part.flatMap { value in
            (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) }
          })
      }
      try writer.finish()
      let table = try VectorTable(path: path)
      #expect(table.count == count)
      #expect(try table.rows(0..<count) == values)
    }
  }

  @Test func `a writer that is dropped leaves the old file and nothing else`() throws {
    let path = try folder.file("old.npy", Self.npy())
    do {
      let writer = try VectorTableWriter(path: path, format: .npy, dimension: 3)
      try writer.append(bytes: Self.data)
    }
    #expect(try FileSystem.read(path) == Self.npy())
    #expect(try FileSystem.names(in: folder.path) == ["old.npy"])
  }

  @Test func `streams take fvecs only, and ids no line ends`() throws {
    #expect(throws: RetortError.self) {
      try VectorTableWriter(path: "/dev/null", format: .npy, dimension: 3)
    }
    let stream = try VectorTableWriter(path: "/dev/null", format: .fvecs, dimension: 3)
    try stream.append(bytes: Self.data)
    try stream.finish()
    let ids = try IDFileWriter(path: folder.path + "/a.ids")
    try ids.append(Array("d 1".utf8))
    let error = #expect(throws: RetortError.self) { try ids.append(Array("d\n2".utf8)) }
    #expect(error?.message.contains(#""d\n2""#) == true)
    try ids.append(Array("é".utf8))
    try ids.finish()
    #expect(try FileSystem.read(folder.path + "/a.ids") == Array("d 1\né\n".utf8))
  }

  // MARK: Refused

  @Test(arguments: [
    ("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", "astype('float32')"),
    ("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", "astype('float32')"),
    ("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }", "astype('float32')"),
    (
      "{'descr': [('a', '<f4'), ('b]', '<i4')], 'fortran_order': False, 'shape': (2,), }", "records"
    ),
    ("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", "ascontiguousarray"),
    ("{'descr': '<f4', 'fortran_order': 'x', 'shape': (2, 3), }", "neither True nor False"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", "1 dimensions"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "0 dimensions"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }", "3 dimensions"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': True, }", "no tuple"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3), }", "negative"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 99999999999999999999), }", "2^63"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", "2^64"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (3074457345618258603, 3), }", "2^64"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 6), } x", "follows"),
    ("{'descr': '<f4', 'shape': (2, 3), }", "keys"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': True}", "keys"),
    ("{'descr': '<f4', 'descr': '<f4', 'shape': (2, 3), }", "twice"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", "missing"),
    ("{'descr': '<f4", "control character"),
    ("{'descr': [[[", "does not end"),
    ("[1, 2]", "missing"),
    ("{'descr': __import__('os'), }", "neither a string"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 65537), }", "bytes"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", "bytes"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", "bytes"),
  ])
  func `headers that describe something else are refused by name`(text: String, part: String) {
    let error = failure("a.npy", Self.npy(text))
    #expect(error?.message.contains(part) == true, "\(String(describing: error))")
    #expect(error?.exitCode == 65)
    #expect(error?.path?.hasSuffix("a.npy") == true)
  }

  @Test func `files that are not what their names say are refused`() {
    #expect(failure("a.npy", [])?.code == .truncated)
    #expect(failure("a.npy", Self.fbin)?.code == .badMagic)
    #expect(failure("a.npy", Array(Self.npy()[..<11]))?.code == .truncated)
    #expect(failure("a.npy", Self.npy(version: 4))?.code == .unsupportedVersion)
    var long = Self.npy(version: 2)
    long[11] = 0x7F
    #expect(failure("a.npy", long)?.code == .limitExceeded)
    long[11] = 0
    long[9] = 0x7F
    #expect(failure("a.npy", long)?.code == .truncated)
    #expect(failure("a.fbin", [1, 0, 0])?.code == .truncated)
    #expect(
      failure("a.fbin", [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])?.code == .truncated)
    #expect(failure("a.fbin", [0, 0, 0, 0, 0, 0, 0, 0] + Self.data)?.code == .truncated)
    #expect(failure("a.fvecs", [0, 0, 0, 0])?.code == .badData)
    #expect(failure("a.fvecs", [0xFF, 0xFF, 0xFF, 0xFF] + Self.data)?.code == .badData)
    #expect(failure("a.fvecs", Array(Self.fvecs.dropLast()))?.code == .truncated)
    var mixed = Self.fvecs
    mixed[16] = 2
    #expect(failure("a.fvecs", mixed)?.code == .dimensionMismatch)
    #expect(failure("a.bin", [])?.code == .usage)
    #expect(failure("npy", [])?.code == .usage)
    #expect(throws: RetortError.self) { try VectorTable(path: folder.path + "/missing.npy") }
    #expect(throws: RetortError.self) { try VectorTable(path: folder.path, format: .npy) }
  }

  @Test func `values that are not finite are named`() throws {
    var data = Self.data
    data.replaceSubrange(16..<20, with: [0, 0, 0x80, 0x7F])
    let error = failure("a.npy", Self.npy(data: data))
    #expect(error?.message.contains("inf in vector 1") == true)
    #expect(error?.position == .offset(128 + 16))
    #expect(try open("a.npy", Self.npy(data: data)).rows(0..<1) == Array(Self.values[..<3]))
  }

  @Test(arguments: [("a.npy", npy()), ("a.fvecs", fvecs), ("a.fbin", fbin)])
  func `flipped and cut bytes give an error or vectors, never a crash`(
    name: String, bytes: [UInt8]
  ) throws {
    let seed: UInt64 = 17
    var random = SplitMix64(seed: seed)
    var refused = 0
    let rounds = 300
    for round in 0..<rounds {
      var damaged = bytes
      // Most flips go into the header, where the numbers are.
      for _ in 0...(random.next() % 3) {
        let header = round % 4 != 0
        let place = Int(random.next() % UInt64(header ? min(80, damaged.count) : damaged.count))
        damaged[place] ^= 1 << UInt8(random.next() % 8)
      }
      if round % 3 == 0 { damaged.removeLast(Int(random.next() % UInt64(damaged.count))) }
      do {
        let table = try open(name, damaged)
        #expect(table.count >= 0 && table.count <= damaged.count, "seed \(seed), round \(round)")
        _ = try table.rows(0..<table.count)
      } catch let error as RetortError {
        refused += 1
        #expect(error.path != nil && !error.message.isEmpty, "seed \(seed), round \(round)")
      }
    }
    #expect(refused > rounds / 3 && refused < rounds)
  }
}
