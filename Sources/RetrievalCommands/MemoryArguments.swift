import ArgumentParser

/// How much memory an index may take.
struct MemoryArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Memory that the index's data may take: bytes, or a number with K, M or G (1024, 1024² or 1024³ \
      bytes), at least 1M. Answers are the same, and slower where it is little. The model, the filters \
      and the answers themselves come on top. (default: as much as the system has room for)
      """, valueName: "bytes"))
  var memoryLimit: ByteCount?
}

/// A number of bytes on the command line.
struct ByteCount: ExpressibleByArgument, Equatable {
  /// The least that searches get along with: a few blocks of every section.
  static let least = 1 << 20

  let bytes: Int

  init?(argument: String) {
    let units: [Character: Int] = ["K": 10, "M": 20, "G": 30]
    var digits = argument[...]
    var shift = 0
    if let unit = digits.last.flatMap({ units[Character($0.uppercased())] }) {
      shift = unit
      digits = digits.dropLast()
    }
    guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(decimal: digits)
    else {
      return nil
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    guard !overflow, bytes >= Self.least else { return nil }
    self.bytes = bytes
  }
}
