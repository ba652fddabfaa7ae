import ArgumentParser

/// Commands that build, search and measure indexes.
package var retrievalCommands: [any ParsableCommand.Type] {
  [
    IndexCommand.self, EncodeCommand.self, SearchCommand.self, EvalCommand.self,
    RecallCommand.self, RerankCommand.self,
  ]
}

/// Commands about what training starts from: negatives and models.
package var modelCommands: [any ParsableCommand.Type] { [MineCommand.self, ModelCommand.self] }
