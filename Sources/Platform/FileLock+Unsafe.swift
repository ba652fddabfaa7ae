/// An exclusive lock on a file, held by one process at a time and freed when it ends, however.
package final class FileLock {
  private var descriptor: Int32

  /// Takes the lock, or throws when another process has it.
  package init(path: String) throws(RetortError) {
    repeat {
      descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { throw .system("create", path: path, errno: errno) }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let code = errno
        close(descriptor)
        descriptor = -1
        if code == EWOULDBLOCK {
          throw RetortError(
            .usage, "another process is writing here; wait for it or stop it first", path: path)
        }
        throw .system("lock", path: path, errno: code)
      }
      // The owner before may have removed the file after it was opened here: then the lock is on a
      // file without a name, which excludes nobody.
    } while !isStillNamed(path)
  }

  private func isStillNamed(_ path: String) -> Bool {
    var own = stat()
    var named = stat()
    if fstat(descriptor, &own) == 0, stat(path, &named) == 0, own.st_ino == named.st_ino,
      own.st_dev == named.st_dev
    {
      return true
    }
    release()
    return false
  }

  /// Gives the lock back; harmless when called twice.
  package func release() {
    if descriptor >= 0 {
      // A process that another thread is starting has a copy until it runs its program: closing alone
      // would leave the lock to it so long.
      flock(descriptor, LOCK_UN)
      close(descriptor)
    }
    descriptor = -1
  }

  deinit { release() }
}
