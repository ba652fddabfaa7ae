import Graph
import Platform
import Store

/// How a segment is searched: by a walk over its graph, or by a scan of what may be found in it.
///
/// A walk that keeps e candidates computes some 12·e inner products (16 links a node, of which most
/// have been seen), and to meet `efSearch` selected ones among m of n it must keep efSearch·n/m. A
/// scan computes m, and reads the vectors in order. So the scan is taken where m² ≤ 12·efSearch·n:
/// among 100,000 passages below 11%, among a million below 3.5%, at efSearch 100. Where the walk goes
/// by codes its steps are cheaper than the scan's; the scan, being exact, is taken all the same.
struct SegmentPlan: Sendable {
  let segment: OpenedSegment
  private let k: Int
  private let efSearch: Int
  /// What may be found; nil: everything.
  private let allowed: NodeSet?
  /// What is scanned instead of a walk; nil: the graph is walked.
  private let scanned: [UInt32]?

  /// Plans the search of a segment.
  ///
  /// - Parameter selected: selected passages that are not deleted; nil: there is no selection.
  init(_ segment: OpenedSegment, selected: NodeSet?, k: Int, efSearch: Int) {
    self.segment = segment
    self.k = k
    self.efSearch = efSearch
    allowed = selected ?? segment.live
    guard let allowed else {
      scanned = nil
      return
    }
    let matches = Double(allowed.population)
    let isScanCheaper = matches * matches <= 12 * Double(max(efSearch, k)) * Double(segment.count)
    scanned = isScanCheaper ? allowed.ids : nil
  }

  /// The `k` best, by their places in the segment, fewer only where there are fewer; and how many
  /// passages were scanned for it.
  func search(
    _ query: [Float], scratch: SearchScratch
  ) throws(RetortError) -> (found: [Neighbor], scanned: Int) {
    let scan = SubsetScan(
      vectors: segment.vectors.vectors, metric: segment.graph.graph.metric)
    if let scanned {
      return (try scan.search(query, among: scanned, k: k), scanned.count)
    }
    let found = try segment.graph.graph.search(
      query, vectors: segment.vectors.vectors, k: k, efSearch: efSearch, allowed: allowed,
      scratch: scratch)
    guard let allowed, found.count < min(k, allowed.population) else { return (found, 0) }
    // What may be found lies far from the query: the walk met too little of it.
    return (try scan.search(query, among: allowed.ids, k: k), allowed.population)
  }
}
