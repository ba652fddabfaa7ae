/// The one error type of the project: what went wrong, where, and what to do about it.
///
/// `message` is a whole sentence for the person at the terminal and names the remedy. `path` and
/// `position` say which file and which line or byte; `cause` keeps the lower-level error.
public struct RetortError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure this is; decides the exit code. New codes are not a breaking change.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The code's stable name.
    public var rawValue: String

    /// Makes a code from its stable name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The caller asked for something that cannot be (a flag, a parameter out of range).
    public static let usage = Code(rawValue: "usage")
    /// A file or folder that was named does not exist or cannot be opened for reading.
    public static let missingInput = Code(rawValue: "missingInput")
    /// Input that breaks its format: wrong columns, wrong encoding, NaN, duplicate ids.
    public static let badData = Code(rawValue: "badData")
    /// A file ends before its own header says it does.
    public static let truncated = Code(rawValue: "truncated")
    /// A file is not of the kind its name or place says.
    public static let badMagic = Code(rawValue: "badMagic")
    /// A file of a format version this program does not read.
    public static let unsupportedVersion = Code(rawValue: "unsupportedVersion")
    /// Stored and computed checksums differ.
    public static let checksumMismatch = Code(rawValue: "checksumMismatch")
    /// A count or size exceeds what the format or the program allows.
    public static let limitExceeded = Code(rawValue: "limitExceeded")
    /// Vectors or tensors of a shape other than expected.
    public static let dimensionMismatch = Code(rawValue: "dimensionMismatch")
    /// The operating system refused a read, write, map or rename (disk full, read-only, …).
    public static let io = Code(rawValue: "io")
    /// Stopped by the user (Ctrl-C or SIGTERM).
    public static let cancelled = Code(rawValue: "cancelled")
    /// A download failed.
    public static let network = Code(rawValue: "network")
  }

  /// Where in the file.
  public enum Position: Hashable, Sendable {
    /// A line, counted from 1.
    case line(Int)
    /// A byte, counted from 0.
    case offset(UInt64)
  }

  /// The kind of failure.
  public var code: Code
  /// One sentence with the remedy.
  public var message: String
  /// The file concerned.
  public var path: String?
  /// The line or byte concerned.
  public var position: Position?
  /// The lower-level error.
  public var cause: (any Error)?

  /// Makes an error; `message` should say what to do about it.
  public init(
    _ code: Code, _ message: String, path: String? = nil, at position: Position? = nil,
    cause: (any Error)? = nil
  ) {
    self.code = code
    self.message = message
    self.path = path
    self.position = position
    self.cause = cause
  }

  /// `path:line: message` or `path (offset n): message`.
  public var description: String {
    var text = ""
    if let path {
      switch position {
      case .line(let line): text = "\(path):\(line): "
      case .offset(let offset): text = "\(path) (offset \(offset)): "
      case nil: text = "\(path): "
      }
    }
    text += message
    if let cause { text += " [\(cause)]" }
    return text
  }

  /// The process exit code: 64 usage, 65 bad data, 66 missing input, 74 I/O, 130 interrupted, else 1.
  public var exitCode: Int32 {
    switch code {
    case .usage: 64
    case .badData, .truncated, .badMagic, .unsupportedVersion, .checksumMismatch, .limitExceeded,
      .dimensionMismatch:
      65
    case .missingInput: 66
    case .io: 74
    case .cancelled: 130
    default: 1
    }
  }

  /// The error of a failed system call, with `errno`'s text.
  ///
  /// ENOENT, ENOTDIR and EACCES while opening for reading become `missingInput`; the rest is `io`.
  package static func system(
    _ action: String, path: String, errno code: Int32, reading: Bool = false
  ) -> RetortError {
    let reason = errorText(code)
    var remedy = ""
    switch code {
    case ENOSPC, EDQUOT: remedy = "; free some space or choose another disk, then run again"
    case EFBIG: remedy = "; raise the limit of file sizes (ulimit -f) or choose another disk"
    case EROFS, EACCES, EPERM:
      remedy = "; check the permissions or choose another place"
    case EMFILE, ENFILE: remedy = "; raise the limit of open files (ulimit -n)"
    case ENOENT where reading: remedy = "; check the path"
    default: break
    }
    let missing = reading && [ENOENT, ENOTDIR, EACCES, EISDIR].contains(code)
    return RetortError(
      missing ? .missingInput : .io, "cannot \(action): \(reason)\(remedy)", path: path)
  }
}
