import Platform

// The header of a .npy file (NumPy's NEP 1):
//   6  "\x93NUMPY"
//   2  version: 1.0, 2.0 or 3.0
//   2  (version 1) or 4 (versions 2 and 3) length of what follows, little-endian
//   …  {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } in Python's notation, Latin-1 in
//      versions 1 and 2, UTF-8 in 3; spaces and a line feed fill up to a multiple of 64 bytes
// Only what describes a matrix of f4 or f2 is read; the rest is refused by name.

/// What the header of a .npy file says.
struct NPYHeader: Equatable {
  /// Bytes a value: 4 for f4, 2 for f2.
  var valueSize: Int
  var rows: Int
  var columns: Int
  /// Where the values begin.
  var length: Int

  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// Where the dictionary begins in a file of version 1.
  private static let prefix = 10
  /// The bytes of every header that is written: room for any number of rows.
  static let writtenLength = 128
  /// Longer headers describe nothing that is read here.
  private static let longest = 1 << 20

  /// The header of a matrix of f4, `writtenLength` bytes whatever its size.
  static func bytes(rows: Int, columns: Int) -> [UInt8] {
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(columns)), }"
    let length = writtenLength - prefix
    var bytes = magic + [1, 0, UInt8(length & 255), UInt8(length >> 8)] + Array(text.utf8)
    bytes += [UInt8](repeating: UInt8(ascii: " "), count: writtenLength - bytes.count - 1)
    return bytes + [UInt8(ascii: "\n")]
  }

  /// The bytes at the start of a file that hold its header, of which `start` is a prefix of at least
  /// 12 bytes or the whole file.
  static func extent(_ start: Span<UInt8>, path: String) throws(RetortError) -> Int {
    func failure(_ code: RetortError.Code, _ text: String, at offset: UInt64 = 0) -> RetortError {
      RetortError(
        code, text + "; save the array again with numpy.save", path: path, at: .offset(offset))
    }
    guard start.count >= prefix else {
      throw failure(.truncated, "is too short for a .npy file")
    }
    for (index, byte) in magic.enumerated() where start[index] != byte {
      throw failure(.badMagic, "is named .npy but does not begin like one")
    }
    let (major, minor) = (start[6], start[7])
    guard (1...3).contains(major), minor == 0 else {
      throw failure(
        .unsupportedVersion,
        "has version \(major).\(minor) of the .npy format; 1.0 to 3.0 are read",
        at: 6)
    }
    let width = major == 1 ? 2 : 4
    guard start.count >= 8 + width else { throw failure(.truncated, "ends within its header") }
    var length = 0
    for index in (0..<width).reversed() { length = length << 8 | Int(start[8 + index]) }
    guard length <= longest else {
      throw failure(.limitExceeded, "claims a header of \(length) bytes", at: 8)
    }
    return 8 + width + length
  }

  /// Reads a header of the extent that `extent` gave.
  init(_ bytes: Span<UInt8>, path: String) throws(RetortError) {
    let start = bytes[6] == 1 ? 10 : 12
    var parser = PythonLiteral(bytes, from: start)
    let fields: [String: PythonLiteral.Value]
    do throws(PythonLiteral.Failure) {
      fields = try parser.dictionary()
    } catch {
      throw RetortError(
        .badData,
        "has a header that cannot be read (\(error.reason)); save the array again with numpy.save",
        path: path, at: .offset(UInt64(error.offset)))
    }
    func failure(_ text: String) -> RetortError {
      RetortError(.badData, text, path: path, at: .offset(UInt64(start)))
    }
    guard Set(fields.keys) == ["descr", "fortran_order", "shape"] else {
      throw failure(
        "has a header with the keys \(fields.keys.ordered().joined(separator: ", ")) instead of "
          + "descr, fortran_order and shape; save the array again with numpy.save")
    }
    switch fields["descr"] {
    case .text("<f4"): valueSize = 4
    case .text("<f2"): valueSize = 2
    case .text(let other):
      throw failure(
        "holds values of type \(quoted(other)); <f4 and <f2 are read: save "
          + "array.astype('float32')")
    default: throw failure("holds records, not numbers; save an array of float32")
    }
    guard case .truth(let isFortran) = fields["fortran_order"] else {
      throw failure("has a fortran_order that is neither True nor False")
    }
    guard !isFortran else {
      throw failure("is in Fortran order; save numpy.ascontiguousarray(array)")
    }
    guard case .numbers(let shape) = fields["shape"] else {
      throw failure("has a shape that is no tuple of numbers")
    }
    guard shape.count == 2 else {
      throw failure(
        "has \(shape.count) dimensions; a matrix with one vector a row is needed: reshape the array"
      )
    }
    (rows, columns) = (shape[0], shape[1])
    length = bytes.count
  }
}
