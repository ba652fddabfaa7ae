/// Small file-system verbs, each with an error that names the path and the remedy.
package enum FileSystem {
  /// What lies at a path.
  package enum Kind: Sendable {
    case nothing, file, folder, other
  }

  /// What lies at `path`, symbolic links followed.
  package static func kind(of path: String) -> Kind {
    var info = stat()
    guard stat(path, &info) == 0 else { return .nothing }
    switch info.st_mode & S_IFMT {
    case S_IFREG: return .file
    case S_IFDIR: return .folder
    default: return .other
    }
  }

  /// Whether a path like /dev/stdout stands for a file that this process has open: it may be a regular
  /// one, but never one to rename over. (Below /dev/shm are files like any other.)
  package static func isOpenFile(_ path: String) -> Bool {
    ["/dev/stdin", "/dev/stdout", "/dev/stderr"].contains(path)
      || ["/dev/fd/", "/proc/"].contains { path.hasPrefix($0) }
  }

  /// What a symbolic link leads to, where it leads to something; any other path as it is.
  ///
  /// Links that stand for open files stay.
  package static func resolved(_ path: String) -> String {
    var info = stat()
    guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFLNK,
      !isOpenFile(path),
      let target = realpath(path, nil)
    else { return path }
    defer { free(target) }
    return String(cString: target)
  }

  /// The size of a regular file in bytes.
  package static func size(of path: String) throws(RetortError) -> Int {
    var info = stat()
    guard stat(path, &info) == 0 else {
      throw .system("read", path: path, errno: errno, reading: true)
    }
    return Int(info.st_size)
  }

  /// Makes a folder and every missing parent.
  package static func makeFolder(_ path: String) throws(RetortError) {
    var partial = path.hasPrefix("/") ? "" : "."
    for component in path.split(separator: "/") {
      partial += "/" + component
      if kind(of: partial) == .nothing { _ = try FullDisk.admit(path, "create the folder") }
      if mkdir(partial, 0o777) != 0, errno != EEXIST {
        // A read-only parent answers EROFS or EACCES for folders that exist; look before failing.
        let code = errno
        if kind(of: partial) != .folder {
          throw .system("create the folder", path: path, errno: code)
        }
      }
    }
    guard kind(of: path) == .folder else {
      throw RetortError(.io, "exists and is not a folder; choose another place", path: path)
    }
  }

  /// The names in a folder, sorted by bytes, without `.` and `..`.
  package static func names(in path: String) throws(RetortError) -> [String] {
    guard let folder = opendir(path) else {
      throw .system("list the folder", path: path, errno: errno, reading: true)
    }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.ordered { $0.precedesInBytes($1) }
  }

  /// Renames `source` to `destination`, replacing it in one step, and syncs the folder.
  package static func rename(_ source: String, to destination: String) throws(RetortError) {
    guard systemRename(source, destination) == 0 else {
      throw .system("rename to \(destination)", path: source, errno: errno)
    }
    try syncFolder(parent(of: destination))
  }

  /// Makes the file at `source` appear at `destination`, too: as a link where the file system can,
  /// else as a durable copy. For files that never change.
  package static func link(_ source: String, to destination: String) throws(RetortError) {
    try remove(destination)
    if systemLink(source, destination) == 0 { return }
    let file = try MappedFile(path: source)
    let writer = try FileWriter(path: destination, mode: .replace)
    for start in stride(from: 0, to: file.count, by: 1 << 20) {
      try Interruption.check()
      let end = min(file.count, start + 1 << 20)
      do throws(RetortError) {
        try writer.append(UnsafeRawBufferPointer(rebasing: file.bytes[start..<end]))
      } catch {
        // Where the file was cut, the system finds no memory there to write out.
        try file.checkIntact()
        throw error
      }
    }
    try file.checkIntact()
    try writer.finish()
  }

  /// Removes a file; a missing one is fine.
  package static func remove(_ path: String) throws(RetortError) {
    if unlink(path) != 0, errno != ENOENT {
      throw .system("remove", path: path, errno: errno)
    }
  }

  /// Removes a folder and all in it, links not followed; a missing one is fine.
  package static func removeTree(_ path: String) throws(RetortError) {
    var info = stat()
    guard lstat(path, &info) == 0 else { return }
    guard info.st_mode & S_IFMT == S_IFDIR else { return try remove(path) }
    for name in try names(in: path) { try removeTree(path + "/" + name) }
    if rmdir(path) != 0, errno != ENOENT {
      throw .system("remove the folder", path: path, errno: errno)
    }
  }

  /// Makes renames and new names in a folder durable.
  package static func syncFolder(_ path: String) throws(RetortError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("open the folder", path: path, errno: errno) }
    defer { close(descriptor) }
    // Some file systems cannot sync folders and say EINVAL; that is not a failure of ours.
    if fsync(descriptor) != 0, errno != EINVAL, errno != ENOTSUP {
      throw .system("sync the folder", path: path, errno: errno)
    }
  }

  /// The folder part of a path: `a/b` → `a`, `b` → `.`, `/b` → `/`.
  package static func parent(of path: String) -> String {
    var trimmed = Substring(path)
    while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
    guard let slash = trimmed.lastIndex(of: "/") else { return "." }
    let folder = trimmed[..<slash]
    return folder.isEmpty ? "/" : String(folder)
  }

  /// The whole of a file of at most `limit` bytes.
  package static func read(_ path: String, limit: Int = 1 << 30) throws(RetortError) -> [UInt8] {
    if kind(of: path) == .folder {
      throw RetortError(.missingInput, "is a folder, not a file; name a file", path: path)
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw .system("open", path: path, errno: errno, reading: true)
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = systemRead(descriptor, &chunk, chunk.count)
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw .system("read", path: path, errno: errno)
      }
      bytes.append(contentsOf: chunk[..<count])
      if bytes.count > limit {
        throw RetortError(
          .limitExceeded, "is larger than the \(limit) bytes allowed for such a file", path: path)
      }
    }
  }

  /// Replaces the file at `path` by `bytes` so that a crash leaves the old or the new, never a mix.
  package static func replace(_ path: String, with bytes: [UInt8]) throws(RetortError) {
    let path = resolved(path)
    let temporary = path + ".tmp"
    do throws(RetortError) {
      let writer = try FileWriter(path: temporary, mode: .replace)
      try writer.append(bytes)
      try writer.finish()
      try rename(temporary, to: path)
    } catch {
      // On a full disk its room is wanted by others.
      try? remove(temporary)
      throw error
    }
  }
}

private func systemLink(_ source: String, _ destination: String) -> Int32 {
  link(source, destination)
}

private func systemRename(_ source: String, _ destination: String) -> Int32 {
  rename(source, destination)
}

private func systemRead(_ descriptor: Int32, _ buffer: inout [UInt8], _ count: Int) -> Int {
  buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, count) }
}
