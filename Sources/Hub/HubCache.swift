import Foundation
import Platform

/// Where pulled models live on this machine.
public enum HubCache {
  /// The cache folder: `$RETORT_CACHE`, else `$XDG_CACHE_HOME/retort`, else `~/.cache/retort`.
  public static func folder(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(RetortError) -> String {
    if let chosen = environment["RETORT_CACHE"], !chosen.isEmpty { return chosen }
    // The XDG base directory specification says that relative paths are to be ignored.
    if let shared = environment["XDG_CACHE_HOME"], shared.hasPrefix("/") {
      return shared + "/retort"
    }
    guard let home = environment["HOME"], !home.isEmpty else {
      throw RetortError(.usage, "no home folder is known; set RETORT_CACHE to a folder for models")
    }
    return home + "/.cache/retort"
  }

  /// The folder of all revisions of a model.
  package static func models(of name: String, in cache: String) -> String {
    cache + "/models/" + name.split(separator: "/").joined(separator: "--")
  }

  /// The folder of a complete model in the cache: the commit of `main` as last pulled, else the
  /// only commit there is; also a model folder that was put under the bare name.
  package static func model(_ name: String, in cache: String) -> String? {
    guard isModelName(name) else { return nil }
    let folder = models(of: name, in: cache)
    if FileSystem.kind(of: folder + "/config.json") == .file { return folder }
    if let commit = commit(of: "main", in: folder) { return folder + "/" + commit }
    guard let names = try? FileSystem.names(in: folder) else { return nil }
    let commits = names.filter { isCommit($0) && FileSystem.kind(of: folder + "/" + $0) == .folder }
    return commits.count == 1 ? commits.first.map { folder + "/" + $0 } : nil
  }

  /// The commit that `revision` had when it was last pulled, if that commit is complete.
  static func commit(of revision: String, in folder: String) -> String? {
    let path = folder + "/refs/" + percentEncoded(revision)
    guard let bytes = try? FileSystem.read(path, limit: 1000) else { return nil }
    let commit = String(decoding: bytes, as: UTF8.self).trimmingCharacters(
      in: .whitespacesAndNewlines)
    guard isCommit(commit), FileSystem.kind(of: folder + "/" + commit) == .folder else {
      return nil
    }
    return commit
  }

  /// Remembers which commit a revision has.
  static func remember(
    _ commit: String, as revision: String, in folder: String
  ) throws(RetortError) {
    guard commit != revision else { return }
    try FileSystem.makeFolder(folder + "/refs")
    try FileSystem.replace(
      folder + "/refs/" + percentEncoded(revision), with: Array((commit + "\n").utf8))
  }

  /// Whether `text` is `name` or `owner/name` as the hub allows them.
  ///
  /// The parts become folder names, so that this also keeps the cache safe from `..` and the like.
  static func isModelName(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count) else { return false }
    return parts.allSatisfy { part in
      guard (1...96).contains(part.utf8.count), !part.hasPrefix("."), !part.hasSuffix("."),
        !part.contains(".."), !part.contains("--")
      else { return false }
      return part.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
          UInt8(ascii: "."):
          true
        default: false
        }
      }
    }
  }

  /// Whether `text` is a full commit hash.
  static func isCommit(_ text: String) -> Bool { isHexadecimal(text, digits: 40) }
}

/// Whether `text` is exactly `digits` lower-case hexadecimal digits.
func isHexadecimal(_ text: String, digits: Int) -> Bool {
  text.utf8.count == digits
    && text.utf8.allSatisfy {
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
    }
}

/// `text` with every byte but the unreserved ones of RFC 3986 escaped; a leading dot, too, so that
/// the result is safe as a file name.
func percentEncoded(_ text: String) -> String {
  var encoded = ""
  for (index, byte) in text.utf8.enumerated() {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
      UInt8(ascii: "~"):
      encoded.unicodeScalars.append(Unicode.Scalar(byte))
    case UInt8(ascii: ".") where index > 0: encoded += "."
    default: encoded += "%" + hexadecimalText([byte]).uppercased()
    }
  }
  return encoded
}
