import Platform

/// A share of a corpus: of `count` machines or jobs, number `id` takes every `count`-th passage.
///
/// Shares are dealt out like cards, so that they are of one size without counting the corpus first,
/// also where it is a stream.
package struct Shard: Sendable, Hashable, Codable {
  /// The number of this share, from 0.
  package let id: Int
  /// The number of shares.
  package let count: Int

  /// Everything.
  package static let whole = Shard(0, of: 1)

  private init(_ id: Int, of count: Int) {
    self.id = id
    self.count = count
  }

  /// Whether the passage of this number, from 0, belongs to the share.
  package func holds(_ number: Int) -> Bool { number % count == id }

  /// `…-00003-of-00016`, and nothing where there is one share.
  package var suffix: String {
    func digits(_ number: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    return count == 1 ? "" : "-\(digits(id))-of-\(digits(count))"
  }

  /// The share that options ask for; what they leave out is taken from the environment that Slurm
  /// gives the tasks of an array (SLURM_ARRAY_TASK_ID, _COUNT, and _MIN and _STEP where arrays do
  /// not count 0, 1, 2 …) and Kubernetes the pods of an indexed job (JOB_COMPLETION_INDEX).
  package init(
    id: Int?, count: Int?, environment: [String: String]
  ) throws(RetortError) {
    func number(_ name: String) throws(RetortError) -> Int? {
      guard let text = environment[name], !text.isEmpty else { return nil }
      guard let value = Int(decimal: text), (0...1 << 31).contains(value) else {
        throw RetortError(
          .usage,
          "\(name) is \"\(text)\", which is no number of a shard; unset it or give --shard-id and "
            + "--shard-num")
      }
      return value
    }
    if count == 1, id == nil || id == 0 {
      self = .whole
      return
    }
    let task = try number("SLURM_ARRAY_TASK_ID")
    let index = try number("JOB_COMPLETION_INDEX")
    let tasks = try number("SLURM_ARRAY_TASK_COUNT")
    guard let shares = count ?? tasks else {
      if id == nil, index == nil {
        self = .whole
        return
      }
      throw RetortError(
        .usage,
        id == nil
          ? "JOB_COMPLETION_INDEX says which shard this is, but not of how many; add --shard-num "
            + "(1 for the whole corpus)"
          : "--shard-id needs --shard-num, the number of shards")
    }
    var place = id ?? index
    if id == nil, let task {
      let first = try number("SLURM_ARRAY_TASK_MIN") ?? 0
      let step = max(try number("SLURM_ARRAY_TASK_STEP") ?? 1, 1)
      place = (task - first) / step
    }
    guard let place else {
      throw RetortError(.usage, "--shard-num needs --shard-id, the number of this shard from 0")
    }
    guard (1...99_999).contains(shares), (0..<shares).contains(place) else {
      throw RetortError(
        .usage,
        "shard \(place) of \(shares) cannot be: there are 1 to 99999 shards, counted from 0")
    }
    self.init(place, of: shares)
  }
}
