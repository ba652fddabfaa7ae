import ArgumentParser

/// Measurements of the parts, for `tools/bench`; users run `retort`.
@main
struct RetortBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retort-bench",
    abstract: "Times the parts of Retort by themselves; see tools/bench.",
    subcommands: [
      KernelBench.self, EncodeBench.self, TokenizeBench.self, AnnBench.self, LexicalBench.self,
      RerankBench.self, StageBench.self, TrainBench.self,
    ])
}
