import ArgumentParser
import IndexCommands
import RetrievalCommands
import TrainingCommands

/// The command line; each command has a file of its own in the rooms of commands.
@main
struct RetortCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retort",
    abstract: "Dense passage retrieval: index, search, evaluate, train.",
    version: "0.1.0",
    subcommands: indexCommands + retrievalCommands + trainingCommands + modelCommands
  )
}
