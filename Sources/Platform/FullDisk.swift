import Synchronization

/// Makes writes below a folder fail as they do on a full disk, so that tests can try what a disk that
/// fills up at any moment leaves behind. Nothing but tests makes one.
///
/// From a chosen write or byte on, every write there fails, until `end()`; removing and renaming go
/// on, as they take no room.
package final class FullDisk: Sendable {
  /// When the disk is full.
  package enum Limit: Sendable {
    /// After so many files created, writes, syncs and folders made.
    case operations(Int)
    /// After so many bytes; the write that crosses the limit stores what still fits.
    case bytes(Int)
  }

  private struct State {
    var operations = 0
    var bytes = 0
    var failures = 0
  }

  private static let disks = Mutex<[FullDisk]>([])
  private static let isAny = Atomic(false)

  private let folder: String
  private let limit: Limit
  private let state = Mutex(State())

  /// A disk at `folder`, which is full after `limit`.
  package init(below folder: String, after limit: Limit) {
    self.folder = folder + "/"
    self.limit = limit
    Self.disks.withLock { $0.append(self) }
    Self.isAny.store(true, ordering: .relaxed)
  }

  /// There is room again.
  package func end() {
    Self.disks.withLock { disks in
      disks.removeAll { $0 === self }
      Self.isAny.store(!disks.isEmpty, ordering: .relaxed)
    }
  }

  /// What was written, and how often it failed.
  package var operations: Int { state.withLock { $0.operations } }
  /// Bytes that were written.
  package var bytes: Int { state.withLock { $0.bytes } }
  /// Writes that failed.
  package var failures: Int { state.withLock { $0.failures } }

  /// How many of `count` bytes may be written to `path` now; throws where the disk is full.
  static func admit(_ path: String, _ action: String, count: Int = 0) throws(RetortError) -> Int {
    guard isAny.load(ordering: .relaxed) else { return count }
    guard let disk = disks.withLock({ $0.first { path.hasPrefix($0.folder) } }) else {
      return count
    }
    guard let admitted = disk.take(count) else {
      throw .system(action, path: path, errno: ENOSPC)
    }
    return admitted
  }

  private func take(_ count: Int) -> Int? {
    state.withLock { state in
      var admitted = count
      switch limit {
      case .operations(let most):
        if state.operations >= most { admitted = -1 }
      case .bytes(let most):
        admitted = min(count, most - state.bytes)
        if admitted == 0, count > 0 { admitted = -1 }
      }
      guard admitted >= 0 else {
        state.failures += 1
        return nil
      }
      state.operations += 1
      state.bytes += admitted
      return admitted
    }
  }
}
