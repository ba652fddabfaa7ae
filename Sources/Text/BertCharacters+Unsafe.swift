import Platform
import Synchronization

/// What BERT's basic tokenizer does with each Unicode character, as a two-stage table whose pages of
/// 256 characters are made when the first of them occurs: a text has few scripts, and all pages
/// together take a fifth of a second.
///
/// The four tables (lower-case or not, strip or not) live as long as the process.
final class BertCharacters: @unchecked Sendable {
  /// 256 entries, and behind them the UTF-8 that characters map to, each behind a length byte.
  struct Page {
    fileprivate let base: UnsafePointer<UInt32>

    /// The entry of one of the page's characters.
    @inline(__always)
    func entry(_ scalar: UInt32) -> Entry { Entry(bits: base[Int(scalar & 255)]) }

    /// What an entry maps to, nil where it maps to itself.
    @inline(__always)
    func mapping(_ entry: Entry) -> UnsafeBufferPointer<UInt8>? {
      guard let offset = entry.mapping else { return nil }
      let bytes = UnsafeRawPointer(base + 256).assumingMemoryBound(to: UInt8.self) + offset
      return UnsafeBufferPointer(start: bytes + 1, count: Int(bytes[0]))
    }
  }

  private static let pageCount = 0x1100
  private let lowercase: Bool
  private let strip: Bool
  /// Made and never freed; nil where no character has occurred yet.
  private let pages: UnsafeMutablePointer<Atomic<UnsafeMutablePointer<UInt32>?>>

  private static let neither = BertCharacters(lowercase: false, strip: false)
  private static let lowered = BertCharacters(lowercase: true, strip: false)
  private static let stripped = BertCharacters(lowercase: false, strip: true)
  private static let both = BertCharacters(lowercase: true, strip: true)

  /// The table of these settings, shared by all tokenizers of the process.
  static func table(lowercase: Bool, strip: Bool) -> BertCharacters {
    switch (lowercase, strip) {
    case (false, false): neither
    case (true, false): lowered
    case (false, true): stripped
    case (true, true): both
    }
  }

  private init(lowercase: Bool, strip: Bool) {
    self.lowercase = lowercase
    self.strip = strip
    pages = .allocate(capacity: Self.pageCount)
    for page in 0..<Self.pageCount { (pages + page).initialize(to: Atomic(nil)) }
  }

  /// The page of a scalar value.
  @inline(__always)
  func page(_ scalar: UInt32) -> Page {
    let number = Int(scalar >> 8)
    if let base = pages[number].load(ordering: .acquiring) { return Page(base: base) }
    return Page(base: make(number))
  }

  /// Makes a page. Threads that need it at once may each make it; they make the same, and the first
  /// to finish has it kept.
  private func make(_ number: Int) -> UnsafePointer<UInt32> {
    let content = PageContent(UInt32(number), lowercase: lowercase, strip: strip)
    let words = 256 + (content.pool.count + 3) / 4
    let base = UnsafeMutablePointer<UInt32>.allocate(capacity: words)
    base.initialize(repeating: 0, count: words)
    base.update(from: content.entries, count: 256)
    UnsafeMutableRawPointer(base + 256).copyMemory(
      from: content.pool, byteCount: content.pool.count)
    let (kept, other) = pages[number].compareExchange(
      expected: nil, desired: base, ordering: .acquiringAndReleasing)
    guard !kept, let other else { return UnsafePointer(base) }
    base.deallocate()
    return UnsafePointer(other)
  }
}
