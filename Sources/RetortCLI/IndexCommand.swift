import ArgumentParser

/// `retort index`: verbs about indexes.
struct IndexCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "index",
    abstract: "Build, describe and verify indexes.",
    subcommands: [IndexBuildCommand.self, IndexInfoCommand.self, IndexVerifyCommand.self]
  )
}
