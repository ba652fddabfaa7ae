import Platform
import Synchronization

/// Standard input as libedit asks for it: one Unicode scalar at a time.
///
/// libedit's own reader sleeps in `read`, from which the restarting signal handlers do not wake
/// it: Ctrl-C would wait for the next key.
enum TerminalInput {
  /// Bytes read ahead that belong to the next scalar.
  private static let pending = Mutex<UInt8?>(nil)

  /// Forgets what was left of the line before.
  static func reset() { pending.withLock { $0 = nil } }

  /// The next scalar; -1, which libedit takes for the end of input, at the end and after a signal.
  static func nextScalar() -> Int32 {
    guard var lead = nextByte() else { return -1 }
    // Stray continuation bytes and bytes UTF-8 never uses are dropped.
    while (0x80..<0xC2).contains(lead) || lead > 0xF4 {
      guard let another = nextByte() else { return -1 }
      lead = another
    }
    if lead < 0x80 { return Int32(lead) }
    var bytes = [lead]
    let length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    while bytes.count < length {
      guard let byte = nextByte() else { return -1 }
      guard byte & 0xC0 == 0x80 else {
        pending.withLock { $0 = byte }
        return 0xFFFD
      }
      bytes.append(byte)
    }
    let scalar = String(validating: bytes, as: UTF8.self)?.unicodeScalars.first
    return Int32(scalar?.value ?? 0xFFFD)
  }

  private static func nextByte() -> UInt8? {
    let kept = pending.withLock { pending in
      defer { pending = nil }
      return pending
    }
    if let kept { return kept }
    var byte: UInt8 = 0
    while true {
      guard (try? waitForInput(STDIN_FILENO)) == true else { return nil }
      let count = read(STDIN_FILENO, &byte, 1)
      if count == 1 { return byte }
      if count < 0, errno == EINTR { continue }
      return nil
    }
  }
}
