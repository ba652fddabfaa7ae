/// How texts become terms: what an inverted file was made with, and what its queries go through.
public struct LexicalSettings: Sendable, Codable, Equatable {
  /// What is done to words so that their forms meet.
  public enum Stemmer: String, Sendable, Codable, CaseIterable {
    /// The Snowball project's English stemmer (Porter's second).
    case english
    /// Words stay as they are.
    case none
  }

  /// Which words are left out.
  public enum StopWords: String, Sendable, Codable, CaseIterable {
    /// 49 English function words and question words.
    case english
    /// None.
    case none
  }

  /// What is done to words.
  public var stemmer: Stemmer
  /// Which words are left out, before stemming.
  public var stopWords: StopWords

  /// Settings for texts.
  public init(stemmer: Stemmer = .english, stopWords: StopWords = .english) {
    self.stemmer = stemmer
    self.stopWords = stopWords
  }
}
