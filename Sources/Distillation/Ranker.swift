import Models
import Platform
import Tensors

/// What the trainer trains: something that turns queries with passages into scores on a tape.
package protocol Ranker: Sendable {
  /// Everything that is trained, in a fixed order.
  var parameters: ParameterList { get }
  /// What identifies the weights it started from.
  var origin: String { get }
  /// What else decides scores: architecture, pooling, lengths, tokenizer; a name and a value each.
  var identity: [String] { get }
  /// What was decided where files left room, one sentence each.
  var notes: [String] { get }

  /// Tokenises items; `sharing` says which passages of the batch a query is scored with.
  func batch(_ items: [RankingItem], sharing: PassageSharing, threads: Int) -> RankingBatch

  /// The scores of the batch, [scores × 1], in the order of its lists.
  func scores(_ ops: TapeOperators, _ batch: RankingBatch) -> Tape.Value

  /// Texts as the model reads them by themselves.
  func sequences(_ texts: [String], _ role: TextRole, threads: Int) -> [TermSequence]

  /// Token ids of queries with passages, for a model that reads both together.
  func tokens(pairs: [(query: String, passage: String)], threads: Int) -> [TokenizedPair]

  /// What inference makes of the weights as they are now.
  func snapshot() -> RankerSnapshot

  /// Writes a model directory into an existing folder.
  func save(to folder: String) throws(RetortError)
}

extension Ranker {
  /// None: the model reads both apart.
  package func tokens(pairs: [(query: String, passage: String)], threads: Int) -> [TokenizedPair] {
    []
  }
}

extension TrainableModel: Ranker {}
extension TrainableColBERT: Ranker {}
extension TrainableTK: Ranker {}
extension TrainablePreTTR: Ranker {}
