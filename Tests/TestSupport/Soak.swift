import Foundation

/// How much more than usual the tests of damage, kills and races try.
///
/// `RETORT_SOAK=10 tools/test --filter Hostile` tries ten times as many cases. The first are those of
/// every day, since the seeds are the same.
package enum Soak {
  /// RETORT_SOAK, 1 unless set.
  package static let factor = max(
    1, Int(ProcessInfo.processInfo.environment["RETORT_SOAK"] ?? "") ?? 1)

  /// The number of cases where there are usually `count`.
  package static func times(_ count: Int) -> Int { count * factor }
}
