import ArgumentParser

/// `retort model`: verbs about models.
struct ModelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Fetch, inspect and shrink models.",
    subcommands: [ModelInfoCommand.self, ModelPullCommand.self, ModelQuantizeCommand.self]
  )
}
