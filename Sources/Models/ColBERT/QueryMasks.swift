import Platform

/// The [MASK] tokens that make a ColBERT query longer.
///
/// Implementations disagree about where they stand and whether other tokens see them, and a
/// checkpoint is right only with what it was trained with.
public struct QueryMasks: Sendable, Hashable, Codable, CustomStringConvertible {
  /// Where they stand.
  public enum Placement: String, Sendable, Codable, CaseIterable {
    /// There are none.
    case none
    /// Before the last [SEP].
    case before
    /// After the last [SEP].
    case after
    /// After the last [SEP], as many as are missing to a total length.
    case fill
  }

  /// Where they stand.
  public var placement: Placement
  /// How many; for `fill` the length of the query with them.
  public var count: Int
  /// Whether other tokens attend to them. They attend to the others in any case.
  public var areAttended: Bool

  /// No masks.
  public static let none = QueryMasks(placement: .none, count: 0, areAttended: true)

  /// Khattab and Zaharia's: up to 32 tokens, which nobody attends to.
  public static let fillTo32 = QueryMasks(placement: .fill, count: 32, areAttended: false)

  private init(placement: Placement, count: Int, areAttended: Bool) {
    self.placement = placement
    self.count = count
    self.areAttended = areAttended
  }

  /// Reads `none`, `before:8`, `after:8` or `fill:32`, perhaps followed by `:attended` or
  /// `:unattended`; `before` and `after` are attended where nothing is said, `fill` is not.
  public init(_ text: String) throws(RetortError) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    if text == "none" {
      self = .none
      return
    }
    guard (2...3).contains(parts.count), let placement = Placement(rawValue: parts[0]),
      placement != .none, let count = Int(decimal: parts[1]), (1...4096).contains(count),
      parts.count == 2 || ["attended", "unattended"].contains(parts[2])
    else {
      throw RetortError(
        .usage,
        "\"\(text)\" says nothing about masks; write none, before:8, after:8 or fill:32, perhaps "
          + "with :attended or :unattended behind it")
    }
    let areAttended = parts.count == 3 ? parts[2] == "attended" : placement != .fill
    guard areAttended || placement != .before else {
      throw RetortError(.usage, "masks before [SEP] are always attended to; write before:\(count)")
    }
    self.init(placement: placement, count: count, areAttended: areAttended)
  }

  /// As it is read.
  public var description: String {
    placement == .none
      ? "none" : "\(placement.rawValue):\(count):\(areAttended ? "attended" : "unattended")"
  }

  /// A query with its masks, and how many of its first tokens are attended to.
  package func applied(to ids: [Int32], mask: Int32) -> (ids: [Int32], keys: Int) {
    var result = ids
    switch placement {
    case .none: break
    case .before:
      result.insert(contentsOf: repeatElement(mask, count: count), at: max(ids.count - 1, 0))
    case .after: result += repeatElement(mask, count: count)
    case .fill: result += repeatElement(mask, count: max(count - ids.count, 0))
    }
    return (result, areAttended ? result.count : ids.count)
  }
}
