import ArgumentParser

/// `retort model`: verbs about models.
struct ModelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Fetch, inspect, shrink and average models.",
    subcommands: [
      ModelInfoCommand.self, ModelPullCommand.self, ModelQuantizeCommand.self,
      ModelAverageCommand.self,
    ]
  )
}
