import ArgumentParser

/// The command line: one file per command, no logic of its own.
@main
struct RetortCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retort",
    abstract: "Dense passage retrieval: index, search, evaluate, train.",
    version: "0.1.0",
    subcommands: [
      IndexCommand.self, EncodeCommand.self, SearchCommand.self, EvalCommand.self,
      RecallCommand.self, RerankCommand.self, TeachCommand.self, EnsembleCommand.self,
      TrainCommand.self, MineCommand.self, ModelCommand.self,
    ]
  )
}
