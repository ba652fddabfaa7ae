import ArgumentParser

/// Commands that search indexes, measure what they find and mine training examples from it.
package var retrievalCommands: [any ParsableCommand.Type] {
  [SearchCommand.self, EvalCommand.self, RecallCommand.self, RerankCommand.self, MineCommand.self]
}
