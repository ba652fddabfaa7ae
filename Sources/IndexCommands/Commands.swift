import ArgumentParser

/// Commands that make and keep indexes and vectors.
package var indexCommands: [any ParsableCommand.Type] { [IndexCommand.self, EncodeCommand.self] }

/// Commands about the models they use.
package var modelCommands: [any ParsableCommand.Type] { [ModelCommand.self] }
