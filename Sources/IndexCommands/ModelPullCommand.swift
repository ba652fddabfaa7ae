import ArgumentParser
import CommandSupport
import Hub
import Platform

/// `retort model pull`: fetches a model and prints its folder.
struct ModelPullCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull",
    abstract: "Download a model from the Hugging Face hub and print its folder.",
    discussion: """
      The model is kept in the cache folder ($RETORT_CACHE, else $XDG_CACHE_HOME/retort, else \
      ~/.cache/retort) and downloaded once; an interrupted download goes on where it ended. \
      Every file is checked against the size and hash the hub lists.

      The folder is printed on standard output, so that this works:

        retort index build --model "$(retort model pull sentence-transformers/all-MiniLM-L6-v2)" …

      HF_TOKEN holds the token for private and gated models, HF_ENDPOINT the address of a mirror.
      """)

  @Argument(help: "The model's name on the hub: owner/name.")
  var name: String

  @Option(help: "A branch, tag or commit of the model.")
  var revision = "main"

  @Flag(help: "Report nothing but warnings and errors.")
  var quiet = false

  mutating func run() async throws {
    let (name, revision, quiet) = (name, revision, quiet)
    Interruption.install()
    try await runReportingErrors { () async throws(RetortError) in
      let client = try HubClient()
      let folder = try await client.pull(
        name, revision: revision, into: try HubCache.folder(),
        progress: ProgressReporter(quiet: quiet))
      print(folder)
    }
  }
}
