import Formats
import Platform
import Testing

/// Vectors of words in GloVe's and word2vec's text formats.
@Suite struct WordVectorTests {
  private let folder = try? TemporaryFolder()

  private func read(
    _ text: String, _ wanted: Set<String>
  ) throws -> WordVectors.Found {
    let folder = try #require(folder)
    let path = try folder.file("vectors.txt", text)
    return try WordVectors.read(path: path, wanted: wanted)
  }

  @Test func `wanted words have their numbers, the first of a word counts`() throws {
    let found = try read(
      "the 0.5 -1 2e-3\nof 1 2 3\n. . . 7 8 9\nthe 4 4 4\n", ["the", ". . .", "absent"])
    #expect(found.dimension == 3 && found.words == 4)
    #expect(found.vectors == ["the": [0.5, -1, 0.002], ". . .": [7, 8, 9]])
  }

  @Test func `word2vec's heading and its spaces at ends of lines are understood`() throws {
    let found = try read("2 3\nthe 1 2 3 \nof 4 5 6 \n", ["of"])
    #expect(found.dimension == 3 && found.words == 2 && found.vectors == ["of": [4, 5, 6]])
  }

  @Test func `what is no vector is refused with its line`() throws {
    let wrong: [(text: String, line: Int)] = [
      ("the 1 2\nof 1\n", 2), ("the 1 2\nof 1 x\n", 2), ("the 1 2\nof nan 1\n", 2),
      ("the\n", 1), ("a 1\n\nb 2\n", 2),
    ]
    for (text, line) in wrong {
      let error = #expect(throws: RetortError.self) { try read(text, ["the", "of", "a", "b"]) }
      #expect(error?.description.contains(":\(line)") == true, "\(String(describing: error))")
    }
    let empty = #expect(throws: RetortError.self) { try read("", []) }
    #expect(empty?.message.contains("has no words") == true)
  }
}
