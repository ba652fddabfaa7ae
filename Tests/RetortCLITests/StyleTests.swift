import RetrievalCommands
import Testing

struct StyleTests {
  @Test func `colours need a capable terminal and nobody who forbids them`() {
    #expect(Style.allowsColour(isTerminal: true, noColour: nil, terminal: "xterm"))
    #expect(Style.allowsColour(isTerminal: true, noColour: "", terminal: "xterm"))
    #expect(!Style.allowsColour(isTerminal: true, noColour: "1", terminal: "xterm"))
    #expect(!Style.allowsColour(isTerminal: false, noColour: nil, terminal: "xterm"))
    #expect(!Style.allowsColour(isTerminal: true, noColour: nil, terminal: "dumb"))
    #expect(!Style.allowsColour(isTerminal: true, noColour: nil, terminal: nil))
  }

  @Test func `plain style leaves text alone, coloured style resets what it sets`() {
    #expect(Style(isColoured: false)("text", .strong) == "text")
    #expect(Style(isColoured: true)("text", .strong) == "\u{1B}[1mtext\u{1B}[0m")
    #expect(Style(isColoured: true)("", .accent) == "")
  }
}
