import Foundation
import Platform

/// What the hub says about one commit of a model: `GET /api/models/<name>/revision/<revision>`
/// with `blobs=true`, of which only the fields below are read.
struct HubListing: Decodable, Sendable {
  /// One file of the repository.
  struct File: Decodable, Sendable {
    /// Set for files kept in large-file storage.
    struct LargeFile: Decodable, Sendable {
      var sha256: String
      var size: Int?
    }

    /// The path inside the repository.
    var rfilename: String
    var size: Int?
    /// The git object hash; of the pointer, not the content, for large files.
    var blobId: String?
    var lfs: LargeFile?
  }

  var sha: String
  var siblings: [File]
}

/// A file to download, its listing checked.
struct HubFile: Hashable, Sendable {
  /// How the content is verified beyond its size.
  enum Hash: Hashable, Sendable {
    case sha256(String)
    case gitBlob(String)
    case none
  }

  var path: String
  var size: Int
  var hash: Hash
}

extension HubListing {
  /// No file of a model is larger; keeps sums of sizes far from overflow.
  private static let largestFile = 1 << 42

  private static let plainFiles: Set<String> = [
    "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    "special_tokens_map.json", "modules.json", "sentence_bert_config.json",
    "config_sentence_transformers.json", "1_Pooling/config.json", "2_Dense/config.json",
    "2_Dense/model.safetensors",
  ]

  /// Reads the hub's answer.
  static func parse(_ bytes: [UInt8], name: String) throws(RetortError) -> HubListing {
    let listing: HubListing
    do {
      listing = try JSONDecoder().decode(HubListing.self, from: Data(bytes))
    } catch {
      throw RetortError(
        .badData,
        "the hub's answer about \(name) is not the listing of a model; check HF_ENDPOINT",
        cause: error)
    }
    guard HubCache.isCommit(listing.sha) else {
      throw RetortError(
        .badData, "the hub names the commit '\(visible(listing.sha))' for \(name), which is none")
    }
    return listing
  }

  /// The files the engine needs, sorted by path, each name and number checked.
  ///
  /// Names come from a stranger and become paths below the cache, so that a single name that could
  /// lead elsewhere condemns the whole listing.
  func files(of name: String) throws(RetortError) -> [HubFile] {
    var seen: Set<String> = []
    for sibling in siblings {
      guard Self.isSafe(sibling.rfilename) else {
        throw RetortError(
          .badData,
          "the hub lists a file named '\(visible(sibling.rfilename))' for \(name), which could lead "
            + "outside of the model's folder; nothing was downloaded")
      }
      guard seen.insert(sibling.rfilename).inserted else {
        throw RetortError(
          .badData, "the hub lists '\(visible(sibling.rfilename))' twice for \(name)")
      }
    }
    guard seen.contains("config.json") else {
      throw RetortError(
        .badData, "\(name) has no config.json, so it is no transformer model; choose another one")
    }
    let weights = try weightFiles(among: seen, name: name)
    var chosen: [HubFile] = []
    for sibling in siblings
    where weights.contains(sibling.rfilename) || Self.plainFiles.contains(sibling.rfilename)
      || sibling.rfilename.hasPrefix("2_Normalize/")
    {
      chosen.append(try Self.file(sibling, of: name))
    }
    return chosen.ordered { $0.path < $1.path }
  }

  /// `model.safetensors`, or the shards together with their index.
  private func weightFiles(
    among names: Set<String>, name: String
  ) throws(RetortError) -> Set<String> {
    if names.contains("model.safetensors") { return ["model.safetensors"] }
    let index = "model.safetensors.index.json"
    let shards = names.filter(Self.isShard)
    guard names.contains(index), !shards.isEmpty else {
      throw RetortError(
        .badData,
        "\(name) has no weights in the safetensors format (model.safetensors); choose another "
          + "revision or convert the model first")
    }
    return shards.union([index])
  }

  /// Whether a name reads `model-<digits>-of-<digits>.safetensors`.
  private static func isShard(_ name: String) -> Bool {
    guard name.hasPrefix("model-"), name.hasSuffix(".safetensors") else { return false }
    let middle = name.dropFirst("model-".count).dropLast(".safetensors".count)
    let numbers = middle.split(separator: "-", omittingEmptySubsequences: false)
    return numbers.count == 3 && numbers[1] == "of"
      && [numbers[0], numbers[2]].allSatisfy { part in
        !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
      }
  }

  private static func file(_ listed: File, of name: String) throws(RetortError) -> HubFile {
    guard let size = listed.lfs?.size ?? listed.size, size >= 0, size <= largestFile else {
      throw RetortError(
        .badData, "the hub lists no usable size for \(visible(listed.rfilename)) of \(name)")
    }
    if let large = listed.lfs {
      let digest = large.sha256.lowercased()
      guard isHexadecimal(digest, digits: 64) else {
        throw RetortError(
          .badData, "the hub lists no usable SHA-256 for \(visible(listed.rfilename)) of \(name)")
      }
      return HubFile(path: listed.rfilename, size: size, hash: .sha256(digest))
    }
    if let blob = listed.blobId?.lowercased(), isHexadecimal(blob, digits: 40) {
      return HubFile(path: listed.rfilename, size: size, hash: .gitBlob(blob))
    }
    return HubFile(path: listed.rfilename, size: size, hash: .none)
  }

  /// Whether a path from the hub stays below the folder it is joined to.
  static func isSafe(_ path: String) -> Bool {
    guard !path.isEmpty, path.utf8.count <= 1000,
      path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") })
    else { return false }
    return path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
      !part.isEmpty && part != "." && part != ".." && part.utf8.count <= 250
    }
  }
}
