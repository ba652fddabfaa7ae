extension FileSystem {
  /// Throws where a file could not be made at `path`, to be told before the work and by the name that
  /// was given: a temporary file beside it would be named otherwise.
  ///
  /// `-`, open files, devices and pipes are written as they are and always pass.
  package static func checkOutput(_ path: String) throws(RetortError) {
    guard path != "-", !isOpenFile(path) else { return }
    let path = resolved(path)
    switch kind(of: path) {
    case .other: return
    case .folder:
      throw RetortError(.usage, "is a folder; name a file to write", path: path)
    case .nothing where path.hasSuffix("/"):
      throw RetortError(.usage, "is the name of a folder; name a file to write", path: path)
    case .nothing, .file: break
    }
    let folder = parent(of: path)
    switch kind(of: folder) {
    case .folder: try checkWritable(folder)
    case .nothing:
      throw RetortError(
        .usage, "there is no such folder to write into; make it, or name another place",
        path: folder)
    case .file, .other:
      throw RetortError(
        .usage, "is not a folder, so nothing can be written into it; name another place",
        path: folder)
    }
  }

  /// Throws where a folder could not be made at `path`, or written into if it is there; missing parents
  /// are made with it.
  package static func checkOutputFolder(_ path: String) throws(RetortError) {
    var folder = path
    while kind(of: folder) == .nothing, folder != "/", folder != "." {
      folder = parent(of: folder)
    }
    guard kind(of: folder) == .folder else {
      throw RetortError(
        .usage, "is not a folder, so nothing can be written into it; name another place",
        path: folder)
    }
    try checkWritable(folder)
  }

  private static func checkWritable(_ folder: String) throws(RetortError) {
    guard access(folder, W_OK | X_OK) == 0 else {
      throw .system("write into the folder", path: folder, errno: errno)
    }
  }
}
