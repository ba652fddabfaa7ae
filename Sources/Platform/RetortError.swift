/// The one error type of the project: what went wrong, where, and what to do about it.
///
/// `message` is a whole sentence for the person at the terminal and names the remedy. `path` and
/// `position` say which file and which line or byte; `cause` keeps the lower-level error.
public struct RetortError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure this is; decides the exit code. New codes are not a breaking change.
  public struct Code: RawRepresentable, Hashable, Sendable {
    private enum Name: String {
      case usage, missingInput, badData, truncated, badMagic, unsupportedVersion
      case checksumMismatch, limitExceeded, dimensionMismatch, io, cancelled, network
    }

    private let name: Name

    private init(_ name: Name) { self.name = name }

    /// The code of a stable name; nil if this version has none of that name.
    public init?(rawValue: String) {
      guard let name = Name(rawValue: rawValue) else { return nil }
      self.name = name
    }

    /// The code's stable name.
    public var rawValue: String { name.rawValue }

    /// The caller asked for something that cannot be (a flag, a parameter out of range).
    public static var usage: Code { Code(.usage) }
    /// A file or folder that was named does not exist or cannot be opened for reading.
    public static var missingInput: Code { Code(.missingInput) }
    /// Input that breaks its format: wrong columns, wrong encoding, NaN, duplicate ids.
    public static var badData: Code { Code(.badData) }
    /// A file ends before its own header says it does.
    public static var truncated: Code { Code(.truncated) }
    /// A file is not of the kind its name or place says.
    public static var badMagic: Code { Code(.badMagic) }
    /// A file of a format version this program does not read.
    public static var unsupportedVersion: Code { Code(.unsupportedVersion) }
    /// Stored and computed checksums differ.
    public static var checksumMismatch: Code { Code(.checksumMismatch) }
    /// A count or size exceeds what the format or the program allows.
    public static var limitExceeded: Code { Code(.limitExceeded) }
    /// Vectors or tensors of a shape other than expected.
    public static var dimensionMismatch: Code { Code(.dimensionMismatch) }
    /// The operating system refused a read, write, map or rename (disk full, read-only, …).
    public static var io: Code { Code(.io) }
    /// Stopped by the user (Ctrl-C or SIGTERM).
    public static var cancelled: Code { Code(.cancelled) }
    /// A download failed.
    public static var network: Code { Code(.network) }
  }

  /// Where in the file.
  public enum Position: Hashable, Sendable {
    /// A line, counted from 1.
    case line(Int)
    /// A byte, counted from 0.
    case offset(UInt64)
  }

  /// What the error says, behind one reference: every `try` of a function that throws this type
  /// carries the error's room in its frame and code to move it.
  private final class Contents: Sendable {
    let code: Code
    let message: String
    let path: String?
    let position: Position?
    let cause: (any Error)?

    init(
      _ code: Code, _ message: String, _ path: String?, _ position: Position?,
      _ cause: (any Error)?
    ) {
      self.code = code
      self.message = message
      self.path = path
      self.position = position
      self.cause = cause
    }
  }

  private let contents: Contents

  /// The kind of failure.
  public var code: Code { contents.code }
  /// One sentence with the remedy.
  public var message: String { contents.message }
  /// The file concerned.
  public var path: String? { contents.path }
  /// The line or byte concerned.
  public var position: Position? { contents.position }
  /// The lower-level error.
  public var cause: (any Error)? { contents.cause }

  /// Makes an error; `message` should say what to do about it.
  @inline(never)
  public init(
    _ code: Code, _ message: String, path: String? = nil, at position: Position? = nil,
    cause: (any Error)? = nil
  ) {
    contents = Contents(code, message, path, position, cause)
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
