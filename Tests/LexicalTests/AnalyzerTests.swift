import Lexical
import Testing

@Suite struct AnalyzerTests {
  private static let texts: [(text: String, terms: String)] = [
    ("Heat-transfer, 2nd edition!", "heat transfer 2nd edition"),
    ("what's O'Neill's x", "what s o neill s x"),
    ("Café CAFÉ cafe\u{301} naïve Ångström", "cafe cafe cafe naive angstrom"),
    ("Straße ΑΘΗΝΑ Київ", "straße αθηνα киів"), ("ΟΔΟΣ οδός", "οδοσ οδοσ"),
    ("か\u{3099} ｱﾒﾘｶ アメリカx", "が ア メ リ カ ア メ リ カ x"),
    ("水を飲む H2O 漢字", "水 を 飲 む h2o 漢 字"),
    ("한국어 문서", "한국어 문서"),
    ("Ｆｕｌｌ　ｗｉｄｔｈ ﬁne x²", "full width fine x2"),
    ("a\u{0}b \u{FEFF}c — d…e 🌊f", "a b c d e f"),
    ("", ""), (" \n\t", ""), ("...", ""),
  ]

  @Test(arguments: texts)
  func `words are runs of letters and digits, in one form`(text: String, terms: String) {
    let plain = Analyzer(LexicalSettings(stemmer: .none, stopWords: .none))
    #expect(plain.terms(of: text.utf8).joined(separator: " ") == terms)
  }

  @Test func `stop words go before stemming, and stemming leaves other alphabets alone`() {
    let usual = Analyzer(LexicalSettings())
    let text = "What are the effects of being THIS Überlegungen, would 1990s boundary-layers?"
    #expect(
      usual.terms(of: text.utf8) == ["effect", "be", "uberlegungen", "1990s", "boundari", "layer"])
    let stemmed = Analyzer(LexicalSettings(stopWords: .none))
    #expect(stemmed.terms(of: "this is it".utf8) == ["this", "is", "it"])
  }

  @Test func `a text without end or of broken UTF-8 gives terms all the same`() {
    let plain = Analyzer(LexicalSettings(stemmer: .english, stopWords: .none))
    let long = [UInt8](repeating: UInt8(ascii: "x"), count: 3_000_000)
    #expect(plain.terms(of: long).map(\.utf8.count) == [255])
    let cyrillic = String(repeating: "ж", count: 1000)
    #expect(plain.terms(of: cyrillic.utf8) == [String(cyrillic.prefix(127))])
    #expect(plain.terms(of: [0xFF, 0x61, 0xC3, 0x20, 0x62]) == ["a", "b"])
  }

  /// The stems of Snowball's own implementation (snowballstemmer 2.2.0).
  @Test func `English words have the stems they should have`() {
    let pairs = Self.stems.split(whereSeparator: \.isWhitespace).map { $0.split(separator: ":") }
    #expect(pairs.count > 115)
    let stemmer = Analyzer(LexicalSettings(stopWords: .none))
    for pair in pairs {
      #expect(stemmer.terms(of: pair[0].utf8) == [String(pair[1])], "\(pair[0])")
    }
  }

  private static let stems = """
    a:a is:is sky:sky skies:sky skis:ski dying:die lying:lie tying:tie idly:idl gently:gentl
    ugly:ugli early:earli only:onli singly:singl news:news howe:howe atlas:atlas cosmos:cosmos
    bias:bias andes:andes caresses:caress ponies:poni ties:tie tie:tie cries:cri cats:cat
    gas:gas this:this kiwis:kiwi gaps:gap agreed:agre feed:feed proceed:proceed exceeds:exceed
    succeeded:succeed outing:outing outings:outing plastered:plaster bled:bled motoring:motor
    sing:sing hopping:hop hoped:hope luxuriating:luxuri hissing:hiss falling:fall filing:file
    bed:bed shed:shed shred:shred cry:cri by:by say:say toying:toy enjoy:enjoy happy:happi
    boyish:boyish youth:youth relational:relat conditional:condit rational:ration
    valency:valenc hesitancy:hesit digitizer:digit conformably:conform radically:radic
    differently:differ vilely:vile analogously:analog vietnamization:vietnam predication:predic
    operator:oper feudalism:feudal decisiveness:decis hopefulness:hope callousness:callous
    formality:formal sensitivity:sensit sensibility:sensibl geology:geolog apology:apolog
    bully:bulli possibly:possibl hopelessly:hopeless formative:format formalize:formal
    triplicate:triplic electricity:electr electrical:electr hopeful:hope goodness:good
    communism:communism community:communiti general:general generously:generous arsenal:arsenal
    arsenic:arsenic revival:reviv allowance:allow inference:infer airliner:airlin
    gyroscopic:gyroscop adjustable:adjust defensible:defens irritant:irrit replacement:replac
    adjustment:adjust dependent:depend adoption:adopt homologous:homolog activate:activ
    angularity:angular effective:effect bowdlerize:bowdler probate:probat rate:rate cease:ceas
    controlling:control roll:roll knightly:knight consolations:consol consigned:consign
    consistency:consist knackeries:knackeri knots:knot beautifully:beauti yearly:year yyy:yyy
    queueing:queue abeyance:abey
    """
}
