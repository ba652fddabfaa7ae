import ArgumentParser

/// Commands that distil.
package var trainingCommands: [any ParsableCommand.Type] {
  [TeachCommand.self, EnsembleCommand.self, TrainCommand.self]
}
