/// A buffered sequential writer whose every failure (disk full, quota, I/O error) is thrown.
///
/// Nothing is durable before `sync()` or `finish()` returns. Not thread-safe: one owner at a time.
package final class FileWriter {
  /// How the file is opened.
  package enum Mode: Sendable {
    /// An empty file, whatever was there before.
    case replace
    /// An existing file, cut to `length` bytes, then appended to (resuming).
    case resume(length: Int)
  }

  /// The file's path.
  package let path: String
  /// Bytes written so far, buffered ones included: the offset of the next append.
  package private(set) var length: Int
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  private static let capacity = 1 << 18

  /// Opens `path` for writing.
  package init(path: String, mode: Mode) throws(RetortError) {
    self.path = path
    _ = try FullDisk.admit(path, "create")
    var flags = O_WRONLY | O_CREAT | O_CLOEXEC
    if case .replace = mode { flags |= O_TRUNC }
    descriptor = open(path, flags, 0o666)
    guard descriptor >= 0 else { throw .system("create", path: path, errno: errno) }
    length = 0
    buffer.reserveCapacity(Self.capacity)
    if case .resume(let kept) = mode {
      var info = stat()
      guard fstat(descriptor, &info) == 0, Int(info.st_size) >= kept else {
        close(descriptor)
        descriptor = -1
        throw RetortError(
          .truncated, "is shorter than its journal says; start again without --resume", path: path)
      }
      guard ftruncate(descriptor, off_t(kept)) == 0, lseek(descriptor, 0, SEEK_END) == off_t(kept)
      else {
        let code = errno
        close(descriptor)
        descriptor = -1
        throw .system("cut", path: path, errno: code)
      }
      length = kept
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Appends bytes.
  package func append(_ bytes: [UInt8]) throws(RetortError) {
    let result = bytes.withUnsafeBytes { raw in
      Result { () throws(RetortError) in try append(raw) }
    }
    try result.get()
  }

  /// Appends the memory of trivially copyable values, in this machine's (little-endian) order.
  package func append<Element: BitwiseCopyable>(values: [Element]) throws(RetortError) {
    let result = values.withUnsafeBytes { raw in
      Result { () throws(RetortError) in try append(raw) }
    }
    try result.get()
  }

  /// Appends raw memory.
  package func append(_ raw: UnsafeRawBufferPointer) throws(RetortError) {
    length += raw.count
    if buffer.count + raw.count <= Self.capacity {
      buffer.append(contentsOf: raw)
      return
    }
    try flush()
    if raw.count < Self.capacity {
      buffer.append(contentsOf: raw)
    } else {
      try writeAll(raw)
    }
  }

  /// Appends zero bytes until `length` is a multiple of `alignment`.
  package func pad(to alignment: Int) throws(RetortError) {
    let remainder = length % alignment
    if remainder != 0 { try append([UInt8](repeating: 0, count: alignment - remainder)) }
  }

  /// Overwrites bytes at `offset`, which must lie within what was appended.
  package func overwrite(_ bytes: [UInt8], at offset: Int) throws(RetortError) {
    try flush()
    var done = 0
    while done < bytes.count {
      let admitted = try FullDisk.admit(path, "write", count: bytes.count - done)
      let count = bytes.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress.map { $0 + done }, admitted, off_t(offset + done))
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw .system("write", path: path, errno: errno)
      }
      done += count
    }
  }

  /// Hands all bytes to the operating system and waits until they are on the disk.
  package func sync() throws(RetortError) {
    try flush()
    _ = try FullDisk.admit(path, "sync")
    guard fsync(descriptor) == 0 else { throw .system("sync", path: path, errno: errno) }
  }

  /// Syncs and closes.
  package func finish() throws(RetortError) {
    try sync()
    let result = close(descriptor)
    descriptor = -1
    guard result == 0 else { throw .system("close", path: path, errno: errno) }
  }

  /// Hands all bytes to the operating system, so that others who have the file open see them.
  package func flush() throws(RetortError) {
    guard !buffer.isEmpty else { return }
    let result = buffer.withUnsafeBytes { raw in
      Result { () throws(RetortError) in try writeAll(raw) }
    }
    try result.get()
    buffer.removeAll(keepingCapacity: true)
  }

  private func writeAll(_ raw: UnsafeRawBufferPointer) throws(RetortError) {
    guard descriptor >= 0 else {
      throw RetortError(.io, "is closed; nothing can be appended", path: path)
    }
    var done = 0
    while done < raw.count {
      let admitted = try FullDisk.admit(path, "write", count: raw.count - done)
      let count = write(descriptor, raw.baseAddress.map { $0 + done }, admitted)
      if count < 0 {
        if errno == EINTR { continue }
        throw .system("write", path: path, errno: errno)
      }
      done += count
    }
  }
}
