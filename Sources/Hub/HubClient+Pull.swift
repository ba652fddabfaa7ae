import Foundation
import Platform

extension HubClient {
  /// Downloads a model unless it is there already, and returns its folder; see the public form.
  package func pull(
    _ name: String, revision: String = "main", into cache: String, progress: ProgressReporter
  ) async throws(RetortError) -> String {
    guard HubCache.isModelName(name) else {
      throw RetortError(
        .usage, "'\(visible(name))' is no model name; names read owner/name, as on the hub")
    }
    guard !revision.isEmpty, revision.utf8.count <= 200,
      revision.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
    else { throw RetortError(.usage, "'\(visible(revision))' is no revision of a model") }

    let folder = HubCache.models(of: name, in: cache)
    if HubCache.isCommit(revision), FileSystem.kind(of: folder + "/" + revision) == .folder {
      progress.note("\(name) is complete already")
      return folder + "/" + revision
    }
    let listing: HubListing
    do throws(RetortError) {
      listing = try await list(name, revision: revision, progress: progress)
    } catch {
      guard error.code == .network, let commit = HubCache.commit(of: revision, in: folder) else {
        throw error
      }
      progress.warn("the hub cannot be asked for news (\(error)); using the copy pulled before")
      return folder + "/" + commit
    }
    let complete = folder + "/" + listing.sha
    if FileSystem.kind(of: complete) == .folder {
      progress.note("\(name) is complete already")
    } else {
      let files = try listing.files(of: name)
      try FileSystem.makeFolder(folder)
      let lock = try PullLock(folder: folder)
      defer { lock.release() }
      // Another process may have finished between the first look and the lock.
      if FileSystem.kind(of: complete) != .folder {
        try await fetch(files, of: name, commit: listing.sha, folder: folder, progress: progress)
      }
    }
    try HubCache.remember(listing.sha, as: revision, in: folder)
    return complete
  }

  /// Asks the hub which commit a revision is and which files it has.
  ///
  /// Less patient than a download: where nothing has been transferred yet, nothing is lost.
  private func list(
    _ name: String, revision: String, progress: ProgressReporter
  ) async throws(RetortError) -> HubListing {
    let request = try request("/api/models/\(name)/revision/\(percentEncoded(revision))?blobs=true")
    var failures = 0
    while true {
      let sink = MemorySink(limit: 64 << 20)
      let outcome = try await HTTPTransfer.run(request, into: sink, isInterrupted: isInterrupted)
      if case .finished = outcome { return try HubListing.parse(sink.bytes, name: name) }
      failures += 1
      try await recover(
        from: outcome, failures: failures, of: min(retry.attempts, 3),
        what: "\(name) at revision \(revision)", name: name, progress: progress)
    }
  }

  /// Downloads and verifies all files in a staging folder, then gives it its final name.
  private func fetch(
    _ files: [HubFile], of name: String, commit: String, folder: String,
    progress: ProgressReporter
  ) async throws(RetortError) {
    let staging = folder + "/.staging-" + commit
    try FileSystem.makeFolder(staging)
    var there = 0
    for file in files {
      let path = staging + "/" + file.path
      let finished = try presentSize(path)
      let partial = try presentSize(path + ".part")
      there += min(finished ?? partial ?? 0, file.size)
    }
    let total = files.reduce(0) { $0 + $1.size }
    try requireSpace(total - there, at: staging)

    progress.begin(name, unit: "kB", total: total / 1000, done: there / 1000)
    defer { progress.finishPhase() }
    var base = 0
    for file in files {
      let before = base
      try await fetch(file, of: name, commit: commit, staging: staging, progress: progress) {
        progress.update((before + $0) / 1000)
      }
      base += file.size
      progress.update(base / 1000)
    }
    for subfolder in Set(files.map { FileSystem.parent(of: staging + "/" + $0.path) }) {
      try FileSystem.syncFolder(subfolder)
    }
    try FileSystem.rename(staging, to: folder + "/" + commit)
  }

  private func fetch(
    _ file: HubFile, of name: String, commit: String, staging: String,
    progress: ProgressReporter, report: @escaping (Int) -> Void
  ) async throws(RetortError) {
    let path = staging + "/" + file.path
    let part = path + ".part"
    try FileSystem.makeFolder(FileSystem.parent(of: path))
    // Only verified files lose their suffix, so that one of the right size is finished.
    if try presentSize(path) == file.size { return }
    let escaped = file.path.split(separator: "/").map { percentEncoded(String($0)) }
    let address = "/\(name)/resolve/\(commit)/\(escaped.joined(separator: "/"))"

    var failures = 0
    while true {
      var offset = try presentSize(part) ?? -1
      if offset > file.size {
        try FileSystem.remove(part)
        offset = -1
      }
      if offset == file.size { break }
      if file.size == 0 {
        try FileWriter(path: part, mode: .replace).finish()
        break
      }
      var request = try request(address)
      if offset > 0 { request.headers["Range"] = "bytes=\(offset)-" }
      let sink = PartSink(path: part, file: file, offset: max(offset, 0), report: report)
      var outcome = try await HTTPTransfer.run(request, into: sink, isInterrupted: isInterrupted)
      let reached = try presentSize(part) ?? 0
      switch outcome {
      case .finished where reached == file.size: continue
      case .finished: outcome = .lost("the server closed the connection at byte \(reached)")
      case .refused(status: 416, _, _):
        // Nothing lies where the partial file ends: it is not the file it was taken for.
        try FileSystem.remove(part)
        outcome = .lost("the server cannot continue the download")
      default: break
      }
      failures = reached > offset && offset >= 0 || reached > 0 && offset < 0 ? 1 : failures + 1
      try await recover(
        from: outcome, failures: failures, of: retry.attempts, what: "\(file.path) of \(name)",
        name: name, progress: progress)
    }
    try verify(part, is: file, of: name)
    try FileSystem.rename(part, to: path)
  }

  /// Deletes the file and throws unless its content is what the hub lists.
  private func verify(_ path: String, is file: HubFile, of name: String) throws(RetortError) {
    let (kind, expected, found): (String, String, String)
    switch file.hash {
    case .none: return
    case .sha256(let listed):
      (kind, expected) = ("SHA-256", listed)
      found = try SHA256Digest.hexadecimal(ofFile: path, isInterrupted: isInterrupted)
    case .gitBlob(let listed):
      (kind, expected) = ("git hash", listed)
      found = GitBlob.hash(of: try FileSystem.read(path))
    }
    guard found != expected else { return }
    try FileSystem.remove(path)
    throw RetortError(
      .checksumMismatch,
      "\(file.path) of \(name) arrived damaged (\(kind) \(found), the hub lists \(expected)) and was "
        + "deleted; pull again, and if that does not help, check HF_ENDPOINT and any proxy")
  }

  /// Waits before another try, or throws where trying again is useless.
  private func recover(
    from outcome: HTTPOutcome, failures: Int, of attempts: Int, what: String, name: String,
    progress: ProgressReporter
  ) async throws(RetortError) {
    let reason: String
    var serverAsks: Double?
    switch outcome {
    case .finished: return
    case .failed(let error): throw error
    case .lost(let text): reason = text
    case .refused(let status, let message, let retryAfter):
      guard [408, 429, 500, 502, 503, 504].contains(status) else {
        throw refusal(status: status, message: message, what: what, name: name)
      }
      reason = "HTTP \(status)"
      serverAsks = retryAfter
    }
    guard failures < attempts else {
      throw RetortError(
        .network,
        "cannot download \(what): \(reason)\(failures > 1 ? ", \(failures) times in a row" : ""); "
          + "check the connection and run again, what has arrived is kept")
    }
    let delay = retry.delay(failures: failures, serverAsks: serverAsks)
    progress.note("\(what): \(reason); next try in \(ProgressReporter.duration(delay))")
    let end = monotonicSeconds() + delay
    while monotonicSeconds() < end {
      if isInterrupted() || Task.isCancelled {
        throw RetortError(.cancelled, "interrupted; what was downloaded is kept for the next run")
      }
      try? await Task.sleep(for: .milliseconds(Int(min(50, delay * 1000 + 1))))
    }
  }

  private func refusal(status: Int, message: String, what: String, name: String) -> RetortError {
    let detail = message.isEmpty ? "" : " (\(message))"
    switch status {
    case 401:
      let remedy =
        token == nil
        ? "check the name; for a private or gated model set HF_TOKEN to a token that may read it"
        : "check the name and whether the token in HF_TOKEN is valid and may read this model"
      return RetortError(
        .missingInput, "the hub does not show \(what)\(detail), HTTP 401: \(remedy)")
    case 403:
      return RetortError(
        .missingInput,
        "the hub forbids \(what)\(detail), HTTP 403: accept the model's conditions at "
          + "\(endpoint)/\(name) and set HF_TOKEN to a token that may read it")
    case 404:
      return RetortError(
        .missingInput,
        "the hub has no \(what)\(detail), HTTP 404: check the name and the revision")
    default:
      return RetortError(
        .network, "cannot download \(what): HTTP \(status)\(detail); check HF_ENDPOINT")
    }
  }

  private func request(_ path: String) throws(RetortError) -> HTTPRequest {
    guard let url = URL(string: endpoint + path) else {
      throw RetortError(.usage, "'\(visible(endpoint + path))' is no address; check HF_ENDPOINT")
    }
    // Compressed on the way, a file's length could not be compared with its listing.
    var headers = ["Accept-Encoding": "identity", "User-Agent": "retort"]
    if let token { headers["Authorization"] = "Bearer \(token)" }
    return HTTPRequest(url: url, headers: headers, idleTimeout: retry.idleTimeout)
  }

  private func presentSize(_ path: String) throws(RetortError) -> Int? {
    switch FileSystem.kind(of: path) {
    case .nothing: return nil
    case .file: return try FileSystem.size(of: path)
    case .folder, .other:
      throw RetortError(.io, "is no regular file; remove it and pull again", path: path)
    }
  }

  /// Fails early where the disk cannot hold what is to come.
  private func requireSpace(_ bytes: Int, at path: String) throws(RetortError) {
    var info = statvfs()
    guard statvfs(path, &info) == 0 else { return }
    let (free, overflow) = UInt64(info.f_bavail).multipliedReportingOverflow(
      by: UInt64(info.f_frsize))
    guard !overflow, free < UInt64(max(bytes, 0)) else { return }
    throw RetortError(
      .io,
      "only \(free / 1_000_000) MB are free, \(bytes / 1_000_000) MB are needed; free some space or "
        + "set RETORT_CACHE to a folder on another disk", path: path)
  }
}

/// Keeps two processes from writing the same staging folder.
private final class PullLock {
  private let descriptor: Int32

  init(folder: String) throws(RetortError) {
    let path = folder + "/.lock"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .system("create", path: path, errno: errno) }
    // Some network file systems have no locks at all; there the user is trusted to pull once.
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
      close(descriptor)
      throw RetortError(
        .io, "another process is pulling this model; wait for it and run again", path: folder)
    }
  }

  func release() { close(descriptor) }
}
