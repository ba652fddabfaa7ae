import Platform
import Testing

@Suite struct OrderingTests {
  private struct Row: Equatable {
    var key: Int
    var place: Int
  }

  @Test(arguments: [0, 1, 2, 7, 64, 1000])
  func `what is ordered is what the standard library sorts, equals in their order`(count: Int) {
    var random = SplitMix64(seed: UInt64(count))
    let rows = (0..<count).map { Row(key: Int(random.next() % 20), place: $0) }
    let expected = rows.sorted { ($0.key, $0.place) < ($1.key, $1.place) }
    #expect(rows.ordered { $0.key < $1.key } == expected)
    #expect(rows.indices.ordered { rows[$0].key < rows[$1].key } == expected.map(\.place))
    #expect(orderedPositions(count) { rows[$0].key < rows[$1].key } == expected.map(\.place))
    let keys = rows.map(\.key)
    #expect(keys.ordered() == keys.sorted())
    #expect(keys.ordered(by: >) == keys.sorted(by: >))
    let names = keys.map { "\($0)" }
    #expect(names.ordered() == names.sorted())
  }

  @Test func `bytes decide, not what characters are equivalent to`() {
    #expect("a".precedesInBytes("b"))
    #expect(!"b".precedesInBytes("a"))
    #expect(!"a".precedesInBytes("a"))
    #expect("".precedesInBytes("a"))
    #expect("a".precedesInBytes("ab"))
    // A decomposed é is the same String as a composed one and other bytes.
    #expect("e\u{301}".precedesInBytes("\u{E9}"))
    #expect(!"\u{E9}".precedesInBytes("e\u{301}"))
    // Surrogates in UTF-16 would come before U+FFFD.
    #expect("\u{FFFD}".precedesInBytes("\u{1F600}"))
  }
}

@Suite struct IntegersTests {
  @Test(
    arguments: [
      ("0", 0), ("007", 7), ("+5", 5), ("-12", -12), ("9223372036854775807", Int.max),
      ("-9223372036854775808", Int.min), ("9223372036854775808", nil), ("", nil), ("-", nil),
      (" 1", nil), ("1 ", nil), ("1.0", nil), ("0x1", nil), ("١", nil), ("1\0", nil),
    ] as [(String, Int?)])
  func `a decimal number is digits with a sign or not`(text: String, number: Int?) {
    #expect(Int(decimal: text) == number)
    #expect(Int(decimal: Substring("[\(text)]".dropFirst().dropLast())) == number)
  }

  @Test func `an integer's bytes are appended lowest first`() {
    var bytes: [UInt8] = [9]
    bytes.appendInteger(UInt8(0xFE))
    bytes.appendInteger(UInt16(0x0102))
    bytes.appendInteger(Int32(-2))
    bytes.appendInteger(UInt64(0x0102_0304_0506_0708))
    bytes.appendInteger(Int64.min)
    #expect(
      bytes == [9, 0xFE, 2, 1, 0xFE, 0xFF, 0xFF, 0xFF, 8, 7, 6, 5, 4, 3, 2, 1]
        + [0, 0, 0, 0, 0, 0, 0, 0x80])
  }
}

@Suite struct RetortErrorTests {
  @Test func `a code is found by its stable name and by no other`() {
    let codes: [RetortError.Code] = [
      .usage, .missingInput, .badData, .truncated, .badMagic, .unsupportedVersion,
      .checksumMismatch, .limitExceeded, .dimensionMismatch, .io, .cancelled, .network,
    ]
    #expect(Set(codes.map(\.rawValue)).count == codes.count)
    for code in codes { #expect(RetortError.Code(rawValue: code.rawValue) == code) }
    #expect(RetortError.Code(rawValue: "badData") == .badData)
    #expect(RetortError.Code(rawValue: "Usage") == nil)
  }

  @Test func `an error says where, what and why`() {
    struct Cause: Error, CustomStringConvertible { var description: String { "because" } }
    let plain = RetortError(.usage, "do this")
    #expect("\(plain)" == "do this")
    #expect((plain.path, plain.position == nil, plain.cause == nil) == (nil, true, true))
    let line = RetortError(.badData, "is empty", path: "a.tsv", at: .line(3), cause: Cause())
    #expect("\(line)" == "a.tsv:3: is empty [because]")
    let offset = RetortError(.truncated, "ends", path: "b", at: .offset(16))
    #expect("\(offset)" == "b (offset 16): ends")
    #expect((line.exitCode, plain.exitCode, offset.code) == (65, 64, .truncated))
  }
}
