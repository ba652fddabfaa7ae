import Platform

/// The process's arguments as they came, before Swift repairs them.
package enum RawArguments {
  /// Throws when an argument is not UTF-8: Swift would put U+FFFD where the bad bytes were, and
  /// search for something nobody asked.
  package static func requireUTF8() throws(RetortError) {
    for (number, argument) in CommandLine.arguments.enumerated() {
      guard argument.unicodeScalars.contains("\u{FFFD}") else { continue }
      if !RawBytes.isUTF8(argument: number) {
        throw RetortError(
          .badData, "argument \(number) is not UTF-8; give the question in UTF-8")
      }
    }
  }
}
