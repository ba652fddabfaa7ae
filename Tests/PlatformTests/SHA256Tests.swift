import Platform
import Testing

/// Vectors of NIST's FIPS 180-4 examples and of the CAVP short-message test.
struct SHA256Tests {
  private static func digest(_ text: String) -> String {
    var digest = SHA256Digest()
    digest.update(Array(text.utf8))
    return hexadecimalText(digest.finalize())
  }

  @Test(
    arguments: [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      (
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
          + "lmnopqrsmnopqrstnopqrstu",
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
      ),
    ])
  func `the published examples are met`(text: String, expected: String) {
    #expect(Self.digest(text) == expected)
  }

  @Test func `a million times the letter a, in pieces of awkward sizes`() {
    var digest = SHA256Digest()
    var left = 1_000_000
    var size = 1
    while left > 0 {
      let count = min(size, left)
      digest.update([UInt8](repeating: UInt8(ascii: "a"), count: count))
      left -= count
      size = size * 3 % 1009 + 1
    }
    #expect(
      hexadecimalText(digest.finalize())
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func `every split of a message gives the same digest`() {
    let message = (0..<131).map { UInt8($0) }
    var whole = SHA256Digest()
    whole.update(message)
    let expected = whole.finalize()
    for split in 0...message.count {
      var digest = SHA256Digest()
      digest.update(Array(message[..<split]))
      digest.update(Array(message[split...]))
      #expect(digest.finalize() == expected, "split at \(split)")
    }
  }

  @Test func `a file is hashed like its bytes, and an interruption stops it`() throws {
    let path = "/tmp/retort-sha256-\(getpid())"
    defer { unlink(path) }
    try FileSystem.replace(path, with: Array("abc".utf8))
    #expect(
      try SHA256Digest.hexadecimal(ofFile: path)
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(throws: RetortError.self) {
      try SHA256Digest.hexadecimal(ofFile: path, isInterrupted: { true })
    }
  }
}
