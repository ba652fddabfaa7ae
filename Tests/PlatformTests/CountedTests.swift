import Platform
import Testing

@Suite struct CountedTests {
  @Test func `things are counted as a sentence has them`() {
    let plain: [(count: Int, thing: String, text: String)] = [
      (0, "passage", "0 passages"), (1, "passage", "1 passage"), (2, "passage", "2 passages"),
      (0, "query", "0 queries"), (1, "judged query", "1 judged query"),
      (12, "judged query", "12 judged queries"), (3, "key", "3 keys"),
    ]
    for (count, thing, text) in plain { #expect(counted(count, thing) == text) }
    #expect(counted(1, "text was cut", "texts were cut") == "1 text was cut")
    #expect(counted(2, "text was cut", "texts were cut") == "2 texts were cut")
  }
}
