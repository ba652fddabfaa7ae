import Synchronization
import Tensors

/// Workspaces that outlive a call, so that a query does not allocate its activations again.
final class WorkspacePool: Sendable {
  private let idle = Mutex<[Workspace]>([])

  func take(_ count: Int) -> [Workspace] {
    idle.withLock { idle in
      let reused = Array(idle.suffix(count))
      idle.removeLast(reused.count)
      return reused + (reused.count..<count).map { _ in Workspace() }
    }
  }

  func put(_ workspaces: [Workspace]) {
    idle.withLock { $0 += workspaces }
  }
}
