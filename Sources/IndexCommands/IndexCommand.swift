import ArgumentParser

/// `retort index`: verbs about indexes.
struct IndexCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "index",
    abstract: "Build, change, describe and verify indexes.",
    subcommands: [
      IndexBuildCommand.self, IndexAddCommand.self, IndexAddLexicalCommand.self,
      IndexAddTermsCommand.self, IndexDeleteCommand.self,
      IndexMergeCommand.self, IndexExportCommand.self, IndexInfoCommand.self,
      IndexVerifyCommand.self, IndexEstimateCommand.self,
    ]
  )
}
