import Platform

/// Where a writer's bytes go: a file that appears when it is finished, or an open stream.
final class Sink {
  private let path: String
  private let temporary: String
  private let file: FileWriter?
  private let descriptor: Int32
  private var isFinished = false

  /// Opens `path`; `-` is standard output. Devices and pipes are written to directly.
  init(path: String) throws(RetortError) {
    if path == "-" {
      self.path = "standard output"
      temporary = ""
      file = nil
      descriptor = STDOUT_FILENO
      return
    }
    try FileSystem.checkOutput(path)
    // Through a symbolic link to the file it names: renaming over the link would replace the link.
    let path = FileSystem.resolved(path)
    self.path = path
    temporary = path + ".retort-\(getpid()).tmp"
    switch FileSystem.isOpenFile(path) ? .other : FileSystem.kind(of: path) {
    case .other:
      file = nil
      descriptor = open(path, O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw .system("open", path: path, errno: errno) }
    case .nothing, .file, .folder:
      descriptor = -1
      file = try FileWriter(path: temporary, mode: .replace)
    }
  }

  deinit {
    if descriptor > STDERR_FILENO { close(descriptor) }
    if file != nil, !isFinished { unlink(temporary) }
  }

  /// Whether it is a file, which can be changed until it is finished.
  var isFile: Bool { file != nil }

  /// Replaces bytes of a file that were written before.
  func overwrite(_ bytes: [UInt8], at offset: Int) throws(RetortError) {
    try file?.overwrite(bytes, at: offset)
  }

  /// Writes bytes.
  func write(_ bytes: [UInt8]) throws(RetortError) {
    if let file { return try file.append(bytes) }
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Platform.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done)
      }
      if count >= 0 {
        done += count
      } else if errno == EINTR {
        try Interruption.check()
      } else {
        throw .system("write", path: path, errno: errno)
      }
    }
  }

  /// Makes a file durable and gives it its name.
  func finish() throws(RetortError) {
    guard let file, !isFinished else { return }
    try file.finish()
    try FileSystem.rename(temporary, to: path)
    isFinished = true
  }
}
