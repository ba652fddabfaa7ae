import Platform

/// The process's arguments as bytes.
enum RawBytes {
  /// Whether argument `number` is valid UTF-8.
  static func isUTF8(argument number: Int) -> Bool {
    guard number < Int(CommandLine.argc), let pointer = CommandLine.unsafeArgv[number] else {
      return true
    }
    return String(validatingCString: pointer) != nil
  }
}
