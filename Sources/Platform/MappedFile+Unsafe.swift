import CKernels
import Synchronization

/// A read-only memory mapping of a whole file; unmapped when the last reference goes.
///
/// The mapping is immutable by contract: files that are mapped are never written again, only
/// replaced by rename, so a mapping stays valid as long as it is held. Another program may break the
/// contract and cut the file. What is gone reads as zeros then, which no reader may take for the
/// file's: whoever reads calls `checkIntact()` when the work is done and before its result is used.
package final class MappedFile: @unchecked Sendable {
  /// The file's path, for errors.
  package let path: String
  /// The mapped bytes; empty for an empty file.
  package let bytes: UnsafeRawBufferPointer
  /// nil for an empty file.
  private let watch: OpaquePointer?
  /// The open file, where it is read besides being mapped; else -1.
  private let descriptor: Int32
  /// Whether the system can tell what it holds of the file: not every file system lets it.
  private let tellsHeld = Atomic(true)

  /// The file's length in bytes.
  package var count: Int { bytes.count }

  /// How the pages will be touched.
  package enum Advice: Sendable {
    case normal, random, sequential, willNeed
    /// Not soon: the pages are not this process's memory any more until they are touched again.
    case dontNeed
  }

  /// Maps `path`.
  ///
  /// - Parameter isRead: whether `read` is going to be called: the file stays open for it.
  package init(path: String, isRead: Bool = false) throws(RetortError) {
    self.path = path
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw .system("open", path: path, errno: errno, reading: true)
    }
    var isKept = false
    defer { if !isKept { close(descriptor) } }
    self.descriptor = isRead ? descriptor : -1
    if isRead { retort_expect_scattered_reads(descriptor) }
    var info = stat()
    guard fstat(descriptor, &info) == 0 else {
      throw .system("read", path: path, errno: errno, reading: true)
    }
    guard info.st_mode & S_IFMT == S_IFREG else {
      throw RetortError(.missingInput, "is not a regular file; name a file", path: path)
    }
    let size = Int(info.st_size)
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      watch = nil
      isKept = isRead
      return
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED
    else { throw .system("map", path: path, errno: errno) }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
    watch = retort_mapping_watch(base, size)
    guard watch != nil else {
      munmap(base, size)
      throw RetortError(.io, "cannot be watched while it is read: memory is short", path: path)
    }
    isKept = isRead
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if let watch, let base = bytes.baseAddress {
      retort_mapping_unwatch(watch)
      munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
    }
  }

  /// Throws unless all that was read so far was the file's.
  @inline(__always)
  package func checkIntact() throws(RetortError) {
    if let watch, retort_mapping_is_intact(watch) == 0 { throw lost() }
  }

  /// Reads bytes from `offset` into `target` without touching the mapping, so that they take no memory
  /// here. The mapping must have been made for it, and be long enough.
  package func read(
    _ offset: Int, into target: UnsafeMutableRawBufferPointer
  ) throws(RetortError) {
    var done = 0
    while done < target.count {
      let count = pread(
        descriptor, target.baseAddress.map { $0 + done }, target.count - done,
        off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw .system("read", path: path, errno: errno)
      }
      guard count > 0 else { throw lost() }
      done += count
    }
  }

  /// Reads bytes like `read` if the system holds them in memory; otherwise has it begin to fetch them and
  /// returns false, so that a reader of several places waits for all of them together.
  package func readHeld(_ offset: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
    if tellsHeld.load(ordering: .relaxed) {
      let count = retort_read_held(descriptor, target.baseAddress, target.count, Int64(offset))
      if count == target.count { return true }
      if count < 0, errno != EAGAIN, errno != EINTR { tellsHeld.store(false, ordering: .relaxed) }
    }
    readAhead(offset, count: target.count)
    return false
  }

  /// Has the system begin to fetch bytes that will be read.
  package func readAhead(_ offset: Int, count: Int) {
    retort_read_ahead(descriptor, Int64(offset), count)
  }

  /// Whether `read` may be called.
  package var isRead: Bool { descriptor >= 0 }

  private func lost() -> RetortError {
    RetortError(
      .truncated,
      "was cut by another program while it was open, or its disk fails; restore the file from a copy "
        + "or make it again", path: path)
  }

  /// Tells the kernel how `range` will be read.
  package func advise(_ advice: Advice, range: Range<Int>) {
    guard let base = bytes.baseAddress, !range.isEmpty, range.upperBound <= count else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = range.lowerBound / page * page
    let flag: Int32 =
      switch advice {
      case .normal: MADV_NORMAL
      case .random: MADV_RANDOM
      case .sequential: MADV_SEQUENTIAL
      case .willNeed: MADV_WILLNEED
      case .dontNeed: MADV_DONTNEED
      }
    madvise(UnsafeMutableRawPointer(mutating: base) + start, range.upperBound - start, flag)
  }

  /// The bytes of `range`, or an error when the file is too short for it.
  package func slice(offset: UInt64, length: UInt64) throws(RetortError) -> UnsafeRawBufferPointer {
    let (end, overflow) = offset.addingReportingOverflow(length)
    guard !overflow, end <= UInt64(count) else {
      throw RetortError(
        .truncated,
        "ends at byte \(count), but bytes \(offset) to \(overflow ? UInt64.max : end) are needed; "
          + "the file is damaged or incomplete: copy or build it again", path: path,
        at: .offset(offset))
    }
    return UnsafeRawBufferPointer(rebasing: bytes[Int(offset)..<Int(end)])
  }
}
