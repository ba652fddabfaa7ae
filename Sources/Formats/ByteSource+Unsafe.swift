import CZlib
import Platform

/// The bytes of a file or of standard input (`-`), decompressed when they are gzip.
///
/// Memory is constant: one input buffer, and zlib's window. Gzip is recognised by its first two
/// bytes, whatever the name (no text starts with them); a name ending in `.gz` must hold gzip.
/// Concatenated members are one stream, as gzip(1) reads them; a member that ends early or fails
/// its checksum is an error.
package final class ByteSource {
  /// What errors call this source: the path, or `standard input`.
  package let name: String
  /// The size of the file as stored; nil where there is none (pipes, standard input).
  package let totalBytes: Int?
  /// Stored (compressed) bytes read so far.
  package private(set) var bytesRead = 0

  /// Those of them that were handed out or inflated.
  package var bytesTaken: Int { bytesRead - (end - start) }
  /// Whether the stream is gzip.
  package var isCompressed: Bool { stream != nil }

  private static let capacity = 1 << 18
  private let descriptor: Int32
  private let input: UnsafeMutablePointer<UInt8>
  private var start = 0
  private var end = 0
  private var isAtEnd = false
  private let mustBeGzip: Bool
  private var stream: UnsafeMutablePointer<z_stream>?
  private var started = false
  private var betweenMembers = false

  /// Opens `path`, or standard input for `-`.
  package init(path: String) throws(RetortError) {
    if path == "-" {
      name = "standard input"
      descriptor = STDIN_FILENO
    } else {
      name = path
      if FileSystem.kind(of: path) == .folder {
        throw RetortError(.missingInput, "is a folder, not a file; name a file", path: path)
      }
      descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else {
        throw .system("open", path: path, errno: errno, reading: true)
      }
    }
    mustBeGzip = path.hasSuffix(".gz")
    var info = stat()
    let isFile = fstat(descriptor, &info) == 0 && info.st_mode & S_IFMT == S_IFREG
    totalBytes = isFile && path != "-" ? Int(info.st_size) : nil
    input = .allocate(capacity: Self.capacity)
  }

  deinit {
    if let stream {
      inflateEnd(stream)
      stream.deallocate()
    }
    input.deallocate()
    if descriptor != STDIN_FILENO { close(descriptor) }
  }

  /// Fills the start of `target` with the next bytes and returns how many; 0 at the end.
  package func read(into target: UnsafeMutableRawBufferPointer) throws(RetortError) -> Int {
    if !started {
      started = true
      try start(target.count)
    }
    guard stream != nil else {
      if start == end { try refill() }
      let count = min(end - start, target.count)
      target.baseAddress?.copyMemory(from: input + start, byteCount: count)
      start += count
      return count
    }
    return try inflate(into: target)
  }

  private func start(_ room: Int) throws(RetortError) {
    // A pipe may deliver the first byte alone.
    while end < 2, !isAtEnd { try refill() }
    let isGzip = end >= 2 && input[0] == 0x1F && input[1] == 0x8B
    guard isGzip else {
      if mustBeGzip, end > 0 {
        throw RetortError(
          .badMagic, "is named .gz but does not hold gzip; rename it or compress it", path: name)
      }
      return
    }
    let fresh = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    fresh.initialize(to: z_stream())
    // 15 + 16: the largest window, gzip framing only.
    let status = inflateInit2_(fresh, 31, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else {
      fresh.deallocate()
      throw RetortError(.io, "zlib cannot start (status \(status))", path: name)
    }
    stream = fresh
  }

  private func inflate(into target: UnsafeMutableRawBufferPointer) throws(RetortError) -> Int {
    guard let stream, let base = target.baseAddress, target.count > 0 else { return 0 }
    let room = min(target.count, 1 << 30)
    while true {
      if start == end { try refill() }
      if betweenMembers {
        // Tape and block padding: zeros after the last member mean nothing.
        while start < end, input[start] == 0 { start += 1 }
        if start == end {
          if isAtEnd { return 0 }
          continue
        }
        inflateReset(stream)
        betweenMembers = false
      }
      stream.pointee.next_in = input + start
      stream.pointee.avail_in = UInt32(end - start)
      stream.pointee.next_out = base.assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_out = UInt32(room)
      let status = CZlib.inflate(stream, Z_NO_FLUSH)
      start = end - Int(stream.pointee.avail_in)
      let produced = room - Int(stream.pointee.avail_out)
      switch status {
      case Z_STREAM_END: betweenMembers = true
      case Z_OK: break
      case Z_BUF_ERROR where start < end || !isAtEnd: break
      case Z_BUF_ERROR:
        throw RetortError(
          .truncated, "the gzip data ends in the middle; copy or download it again", path: name,
          at: .offset(UInt64(bytesRead)))
      default:
        let reason = stream.pointee.msg.map { String(cString: $0) } ?? "status \(status)"
        throw RetortError(
          .badData, "the gzip data is damaged (\(reason)); copy or download it again", path: name,
          at: .offset(UInt64(bytesRead - (end - start))))
      }
      if produced > 0 { return produced }
    }
  }

  /// Waits until a pipe or terminal has something to read.
  ///
  /// The signal handlers let system calls restart, so a read of an idle pipe would outlast an
  /// interruption: the wait is cut into pieces, each with a look at the flag.
  private func waitForInput() throws(RetortError) {
    while true {
      try Interruption.check()
      var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let count = poll(&request, 1, 100)
      if count > 0 { return }
      if count < 0, errno != EINTR {
        throw .system("wait for", path: name, errno: errno, reading: true)
      }
    }
  }

  /// Reads one more block behind the unread bytes (none are left, except at the very start).
  private func refill() throws(RetortError) {
    guard !isAtEnd else { return }
    if start == end {
      start = 0
      end = 0
    }
    while true {
      if totalBytes == nil { try waitForInput() }
      let count = Platform.read(descriptor, input + end, Self.capacity - end)
      if count > 0 {
        end += count
        bytesRead += count
        return
      }
      if count == 0 {
        isAtEnd = true
        return
      }
      if errno == EINTR {
        try Interruption.check()
        continue
      }
      throw .system("read", path: name, errno: errno)
    }
  }
}
