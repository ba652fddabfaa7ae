import Formats
import Platform
import Testing

@Suite struct SafeTensorsTests {
  /// A scratch file that goes with the test.
  private final class Scratch {
    let path: String

    init() {
      let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
      path = "\(folder)/retort-\(UInt64.random(in: 0 ... .max)).safetensors"
    }

    deinit { try? FileSystem.remove(path) }

    /// Writes a header and data as they are.
    func put(header: String, data: [UInt8] = [], length: UInt64? = nil) throws {
      let bytes = Array(header.utf8)
      let count = length ?? UInt64(bytes.count)
      let prefix = (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * UInt64($0))) }
      try FileSystem.replace(path, with: prefix + bytes + data)
    }

    /// Writes bytes without waiting for the disk, for tests that do so thousands of times.
    func overwrite(_ bytes: [UInt8]) {
      guard let file = fopen(path, "wb") else { return }
      fwrite(bytes, 1, bytes.count, file)
      fclose(file)
    }

    func open() throws(RetortError) -> SafeTensors { try SafeTensors(path: path) }
  }

  private func bytes<Value: BitwiseCopyable>(_ values: [Value]) -> [UInt8] {
    values.withUnsafeBytes { Array($0) }
  }

  // MARK: Reading

  @Test func `what is written is read back`() throws {
    let scratch = Scratch()
    var writer = SafeTensorsWriter()
    let values = (0..<24).map { Float($0) * 0.5 - 3 }
    writer.add("b.weight", shape: [4, 6], values: values)
    writer.add("a \"quoted\" \\ name\n", shape: [], values: [42])
    writer.add("empty", shape: [0, 7], values: [])
    writer.metadata["format"] = "pt"
    try writer.write(to: scratch.path)
    let file = try scratch.open()
    #expect(file.tensors.count == 3)
    #expect(file.metadata == ["format": "pt"])
    let tensor = try #require(file["b.weight"])
    #expect(tensor.shape == [4, 6])
    #expect(try file.floats(tensor) == values)
    #expect(try file.floats(try #require(file["a \"quoted\" \\ name\n"])) == [42])
    #expect(try #require(file["empty"]).count == 0)
    #expect(file["missing"] == nil)
  }

  @Test func `the same tensors give the same bytes`() throws {
    let (first, second) = (Scratch(), Scratch())
    for (scratch, names) in [(first, ["x", "y", "z"]), (second, ["z", "x", "y"])] {
      var writer = SafeTensorsWriter()
      for name in names { writer.add(name, shape: [1], values: [Float(name.utf8.count)]) }
      try writer.write(to: scratch.path)
    }
    #expect(try FileSystem.read(first.path) == FileSystem.read(second.path))
  }

  @Test func `tensors at odd offsets are read`() throws {
    let scratch = Scratch()
    let values: [Float] = [1.5, -2.25, 1e-20]
    try scratch.put(
      header: #"{"m":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"#
        + #""x":{"dtype":"F32","shape":[3],"data_offsets":[3,15]}} "#,
      data: [1, 2, 3] + bytes(values))
    let file = try scratch.open()
    #expect(try file.floats(try #require(file["x"])) == values)
  }

  @Test func `every finite half is widened exactly`() throws {
    let scratch = Scratch()
    let halves = (0...UInt16.max).filter { $0 & 0x7C00 != 0x7C00 }
    try scratch.put(
      header: #"{"x":{"dtype":"F16","shape":[\#(halves.count)],"data_offsets":[0,"#
        + "\(2 * halves.count)]}}", data: bytes(halves))
    let file = try scratch.open()
    let floats = try file.floats(try #require(file["x"]))
    for (half, float) in zip(halves, floats) {
      let fraction = Double(half & 0x3FF) / 1024
      let exponent = Int(half >> 10 & 31)
      let magnitude =
        exponent == 0 ? fraction * 0x1p-14 : (1 + fraction) * pow(2, Double(exponent - 15))
      let expected = Float(half >> 15 == 1 ? -magnitude : magnitude)
      #expect(float.bitPattern == expected.bitPattern, "half \(half)")
    }
  }

  @Test func `bfloat16 and doubles are read`() throws {
    let scratch = Scratch()
    let brains: [UInt16] = [0x3FC0, 0xC010, 0x0000]
    let doubles: [Double] = [0.1, -7]
    try scratch.put(
      header: #"{"b":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},"#
        + #""d":{"dtype":"F64","shape":[2],"data_offsets":[6,22]}}"#,
      data: bytes(brains) + bytes(doubles))
    let file = try scratch.open()
    #expect(try file.floats(try #require(file["b"])) == [1.5, -2.25, 0])
    #expect(try file.floats(try #require(file["d"])) == [0.1, -7])
  }

  @Test func `integers are refused as weights`() throws {
    let scratch = Scratch()
    try scratch.put(
      header: #"{"x":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#,
      data: [UInt8](repeating: 0, count: 8))
    let file = try scratch.open()
    let tensor = try #require(file["x"])
    let error = #expect(throws: RetortError.self) { try file.floats(tensor) }
    #expect(error?.message.contains("I64") == true)
  }

  @Test(arguments: [UInt16(0x7C00), 0xFC00, 0x7E00])
  func `a half that is not finite is named`(bits: UInt16) throws {
    let scratch = Scratch()
    try scratch.put(
      header: #"{"x":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}"#,
      data: bytes([0, bits, 0]))
    let file = try scratch.open()
    let tensor = try #require(file["x"])
    let error = #expect(throws: RetortError.self) { try file.floats(tensor) }
    #expect(error?.message.contains("element 1;") == true)
  }

  // MARK: Lying headers

  /// A header, the data behind it, and what the error must say.
  struct Lie: Sendable, CustomTestStringConvertible {
    var name: String
    var header: String
    var data = 8
    var says: String

    var testDescription: String { name }
  }

  static let lies = [
    Lie(
      name: "offset past the end",
      header: #"{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#, says: "ends at byte 12"),
    Lie(
      name: "overlap",
      header: #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
        + #""y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, says: "overlaps"),
    Lie(
      name: "length near 2^63",
      header: #"{"x":{"dtype":"F32","shape":[2305843009213693952],"#
        + #""data_offsets":[0,9223372036854775808]}}"#, says: "ends at byte 9223372036854775808"),
    Lie(
      name: "shape whose product overflows",
      header: #"{"x":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]}}"#,
      says: "not what F32"),
    Lie(
      name: "a product that overflows to the right length",
      header: #"{"x":{"dtype":"F64","shape":[2305843009213693953],"data_offsets":[0,8]}}"#,
      says: "not what F64"),
    Lie(
      name: "an empty tensor of monstrous extents",
      header: #"{"x":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}"#,
      data: 0, says: "not what F32"),
    Lie(
      name: "number beyond 2^64",
      header: #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551616]}}"#,
      says: "beyond 2^64"),
    Lie(
      name: "negative number",
      header: #"{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, says: "negative"),
    Lie(
      name: "fraction", header: #"{"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#,
      says: "not whole"),
    Lie(
      name: "wrong length", header: #"{"x":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}}"#,
      says: "8 bytes, which is not what F16"),
    Lie(
      name: "backwards", header: #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
      says: "ends before it begins"),
    Lie(
      name: "gap", header: #"{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
      says: "leaves 4 bytes"),
    Lie(
      name: "rest", header: #"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
      says: "4 bytes after its last tensor"),
    Lie(
      name: "duplicate name",
      header: #"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
        + #""x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, says: "'x' twice"),
    Lie(
      name: "unknown type", header: #"{"x":{"dtype":"F13","shape":[2],"data_offsets":[0,8]}}"#,
      says: "'F13'"),
    Lie(
      name: "missing field", header: #"{"x":{"dtype":"F32","shape":[2]}}"#, says: "data_offsets"),
    Lie(
      name: "one offset", header: #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#,
      says: "two data_offsets"),
    Lie(
      name: "repeated field",
      header: #"{"x":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
      says: "repeated field 'dtype'"),
    Lie(name: "no JSON", header: "PK\u{3}\u{4} a zip archive", says: "not valid"),
    Lie(name: "half a JSON", header: #"{"x":{"dtype":"F32","sha"#, says: "ends within a name"),
    Lie(name: "text behind the JSON", header: "{} x", says: "after its JSON"),
    Lie(
      name: "metadata that is no string", header: #"{"__metadata__":{"a":1}}"#, says: "expected"),
    Lie(name: "half a surrogate", header: #"{"\ud800":{}}"#, says: "surrogate"),
    Lie(name: "empty header", header: "", says: "not valid"),
  ]

  @Test(arguments: lies)
  func `a lying header is one clear error`(lie: Lie) throws {
    let scratch = Scratch()
    try scratch.put(header: lie.header, data: [UInt8](repeating: 0, count: lie.data))
    let error = #expect(throws: RetortError.self) { try scratch.open() }
    #expect(error?.message.contains(lie.says) == true, "\(error?.description ?? "")")
    #expect(error?.path == scratch.path)
    #expect(error?.exitCode == 65)
  }

  @Test(arguments: [UInt64(3), 100_000_000, 100_000_001, 1 << 63, .max])
  func `a header longer than the file or the limit is an error`(length: UInt64) throws {
    let scratch = Scratch()
    try scratch.put(header: "{", length: length)
    let error = #expect(throws: RetortError.self) { try scratch.open() }
    #expect(error?.exitCode == 65)
  }

  @Test func `every truncation of a good file is an error`() throws {
    let scratch = Scratch()
    var writer = SafeTensorsWriter()
    writer.add("x", shape: [2], values: [1, 2])
    try writer.write(to: scratch.path)
    let whole = try FileSystem.read(scratch.path)
    for length in 0..<whole.count {
      scratch.overwrite(Array(whole[..<length]))
      let error = #expect(throws: RetortError.self, "\(length) bytes") { try scratch.open() }
      #expect(error?.exitCode == 65)
    }
  }

  @Test func `random damage is an error or harmless, never a crash`() throws {
    let scratch = Scratch()
    var writer = SafeTensorsWriter()
    writer.add("x", shape: [2, 3], values: [1, 2, 3, 4, 5, 6])
    writer.add("y", shape: [2], values: [1, 2])
    try writer.write(to: scratch.path)
    let whole = try FileSystem.read(scratch.path)
    var state: UInt64 = 2026
    for _ in 0..<2000 {
      var damaged = whole
      for _ in 0..<3 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        damaged[Int(state >> 33) % damaged.count] = UInt8(truncatingIfNeeded: state >> 20)
      }
      scratch.overwrite(damaged)
      if let file = try? scratch.open() {
        for tensor in file.tensors { _ = try? file.floats(tensor) }
      }
    }
  }

  @Test func `a missing file is missing input`() {
    let error = #expect(throws: RetortError.self) {
      try SafeTensors(path: "/nonexistent/model.safetensors")
    }
    #expect(error?.exitCode == 66)
  }
}
