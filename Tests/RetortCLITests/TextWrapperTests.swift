import CommandSupport
import Platform
import RetrievalCommands
import Testing

struct TextWrapperTests {
  private static func scalar(_ generator: inout SplitMix) -> String {
    let pools: [[String]] = [
      ["a", "b", "c", ",", "-"], [" ", "  ", "\n", "\t"], ["語", "日", "한", "😀", "👨‍👩‍👧", "🇩🇪"],
      ["é", "e\u{301}", "n\u{303}"], ["\u{1B}[31m", "\u{7}", "\u{85}", "\u{202E}", "\u{0}"],
    ]
    let pool = pools[Int(generator.next() % UInt64(pools.count))]
    return pool[Int(generator.next() % UInt64(pool.count))]
  }

  @Test func `lines break between words and never exceed the width`() {
    let lines = TextWrapper(width: 20).lines(of: "the quick brown fox jumps over the lazy dog")
    #expect(lines == ["the quick brown fox", "jumps over the lazy", "dog"])
  }

  @Test func `a word that fits exactly stays on the line`() {
    #expect(TextWrapper(width: 11).lines(of: "hello world") == ["hello world"])
    #expect(TextWrapper(width: 10).lines(of: "hello world") == ["hello", "world"])
  }

  @Test func `white space of any kind separates words and none of it is kept`() {
    #expect(TextWrapper(width: 40).lines(of: "  a\n\n b\t\u{3000}c \r\n") == ["a b c"])
    #expect(TextWrapper(width: 40).lines(of: " \n ").isEmpty)
    #expect(TextWrapper(width: 40).lines(of: "").isEmpty)
  }

  @Test func `words longer than the line are split`() {
    #expect(
      TextWrapper(width: 10, indent: "  ").lines(of: "ab 123456789012345678")
        == ["  ab", "  12345678", "  90123456", "  78"])
  }

  @Test func `characters of double width count twice and break anywhere`() {
    #expect(
      TextWrapper(width: 10).lines(of: "日本語の検索エンジン") == ["日本語の検", "索エンジン"])
    #expect(TextWrapper(width: 9).lines(of: "日本語の検索") == ["日本語の", "検索"])
  }

  @Test(
    arguments: [
      ("a", 1), ("é", 1), ("e\u{301}", 1), ("語", 2), ("😀", 2), ("👨‍👩‍👧", 2), ("🇩🇪", 2), ("한", 2),
      ("Ａ", 2), ("\u{200B}", 0), ("❤", 1), ("❤\u{FE0F}", 2), ("ｱ", 1), ("", 0),
    ])
  func `the width of a character is that of its columns`(text: String, width: Int) {
    #expect(Display.width(text) == width)
  }

  @Test func `a passage cannot steer the terminal`() {
    let hostile = "\u{1B}]0;title\u{7} \u{1B}[2J \u{9B}31m a\rb \u{202E}abc \u{7F}\u{8}"
    let clean = TextWrapper(width: 200).lines(of: hostile).joined()
    #expect(
      clean == "␛]0;title␇ ␛[2J \u{FFFD}31m a b \u{FFFD}abc ␡␈")
  }

  @Test func `line ends and tabs survive only where asked for`() {
    #expect(Display.sanitised("a\tb\nc\u{1B}") == "a b c␛")
    #expect(Display.sanitised("a\tb\nc\u{1B}", keepingLines: true) == "a\tb\nc␛")
    #expect(Display.sanitised("plain 日本語 é") == "plain 日本語 é")
  }

  @Test func `cut text ends in an ellipsis within the width`() {
    let text = "the quick brown fox jumps over the lazy dog"
    #expect(TextWrapper(width: 20).lines(of: text, limit: 1) == ["the quick brown …"])
    #expect(TextWrapper(width: 20).lines(of: text, limit: 3).last == "dog")
    #expect(TextWrapper(width: 8).lines(of: "123456789", limit: 1) == ["123456 …"])
  }

  @Test func `random text keeps its visible characters, its width and no control`() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix(state: seed)
    for _ in 0..<300 {
      let text = (0..<Int(generator.next() % 80)).map { _ in Self.scalar(&generator) }.joined()
      let width = 8 + Int(generator.next() % 40)
      let lines = TextWrapper(width: width).lines(of: text)
      #expect(lines.allSatisfy { Display.width($0) <= width }, "seed \(seed)")
      let visible = Display.sanitised(text).filter { !$0.isWhitespace }
      #expect(
        lines.joined().unicodeScalars.filter { !$0.properties.isWhitespace }
          .elementsEqual(visible.unicodeScalars), "seed \(seed)")
      #expect(
        lines.joined().unicodeScalars.allSatisfy {
          $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value)
        }, "seed \(seed)")
    }
  }
}

/// A small seeded generator (SplitMix64), for tests that print their seed.
struct SplitMix {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
