import Platform
import Store
import Terms

/// What adding term vectors to an index did.
public struct TermAdditionReport: Sendable, Codable, Equatable {
  /// Segments whose passages were encoded.
  public var segments = 0
  /// Whether the index had the same terms already.
  public var wasThere = false
  /// Passages stored in the index, deleted ones included.
  public var passages = 0
  /// Passages of which only the start was read.
  public var truncated = 0
  /// Bytes of the term vectors that were added, centroids included.
  public var bytes = 0
  /// The index's generation now.
  public var generation = 0
  /// Seconds it took.
  public var seconds = 0.0
}

/// What terms to add to an index, and how.
public struct TermAdditionOptions: Sendable {
  /// The index folder.
  public var index: String
  /// The re-rankers and their codecs.
  public var terms: [TermRequest]
  /// Passages that are encoded and made durable together.
  public var batchSize = 512
  /// Threads; the result does not depend on them.
  public var threads = availableProcessors()
  /// Whether to go on with an addition that broke off.
  public var resume = false
  /// Whether to drop an addition that broke off and start again.
  public var restart = false

  /// The usual values.
  public init(index: String, terms: [TermRequest]) {
    self.index = index
    self.terms = terms
  }
}

/// Stores term vectors in an index that exists.
public enum TermAddition {
  /// Encodes all passages of an index with re-rankers, and stores their vectors. Those of the same
  /// model that were stored otherwise are replaced.
  ///
  /// Whoever has the index open keeps what they opened. An addition that is interrupted or killed
  /// leaves the index as it was and goes on with `resume`.
  public static func add(
    _ options: TermAdditionOptions, quiet: Bool = false
  ) throws(RetortError) -> TermAdditionReport {
    let started = monotonicSeconds()
    let change = try IndexChange(IndexFolder(options.index), resumes: true)
    let all = merged(change.index.manifest.terms ?? [], options.terms.map(\.described))
    do throws(RetortError) {
      try prepare(options, change, all)
      var report = TermAdditionReport()
      var manifest = change.index.manifest
      if all == manifest.terms ?? [] {
        report.wasThere = true
        change.cancel()
      } else {
        let segments = try encode(options, change, all, &report, quiet)
        manifest = try change.publish(segments, terms: all)
      }
      report.passages = manifest.segments.reduce(0) { $0 + $1.passages }
      report.generation = manifest.generation
      for request in options.terms {
        guard let number = manifest.terms(fingerprint: request.source.fingerprint) else { continue }
        report.bytes += manifest.bytes(ofTerms: number)
      }
      report.seconds = monotonicSeconds() - started
      return report
    } catch {
      if try !isKept(change) { change.cancel() }
      throw error
    }
  }

  /// The terms of an index with others, which take the place of those of the same model.
  static func merged(_ stored: [Manifest.Terms], _ new: [Manifest.Terms]) -> [Manifest.Terms] {
    var all = stored
    for terms in new {
      if let place = all.firstIndex(where: { $0.fingerprint == terms.fingerprint }) {
        // The folder may have moved; that changes nothing.
        var moved = all[place]
        moved.path = terms.path
        if moved != terms { all[place] = terms }
      } else {
        all.append(terms)
      }
    }
    return all
  }

  /// Whether there is something that a later run goes on with.
  private static func isKept(_ change: IndexChange) throws(RetortError) -> Bool {
    try FileSystem.names(in: change.folder.buildingPath).contains { $0.hasPrefix("block-") }
  }

  private static func prepare(
    _ options: TermAdditionOptions, _ change: IndexChange, _ all: [Manifest.Terms]
  ) throws(RetortError) {
    guard (1...1_000_000).contains(options.batchSize), (1...4096).contains(options.threads) else {
      throw RetortError(
        .usage, "the batch size must lie in 1...1000000 and the number of threads in 1...4096")
    }
    guard change.index.manifest.segments.contains(where: { $0.passages > 0 }) else {
      throw RetortError(.usage, "holds no passages; add some first", path: change.folder.path)
    }
    var build = IndexBuildOptions(corpus: "", output: options.index)
    build.batchSize = options.batchSize
    let plan = BuildPlan(
      build, model: "", modelPath: "", base: change.index.manifest.generation,
      generation: change.generation, terms: all)
    try change.begin(plan, resume: options.resume, restart: options.restart)
  }

  private static func encode(
    _ options: TermAdditionOptions, _ change: IndexChange, _ all: [Manifest.Terms],
    _ report: inout TermAdditionReport, _ quiet: Bool
  ) throws(RetortError) -> [Manifest.Segment] {
    var infos = change.index.segments.map(\.info)
    let stored = change.index.manifest.terms ?? []
    for request in options.terms {
      guard let number = all.firstIndex(where: { $0.fingerprint == request.source.fingerprint }),
        number >= stored.count || stored[number] != all[number]
      else { continue }
      var book: Manifest.File?
      for (place, segment) in change.index.segments.enumerated() {
        let builder = TermBuilder(
          folder: change.folder, request: request, number: number,
          suffix: "-" + segment.info.name, batchSize: options.batchSize,
          threads: options.threads, progress: ProgressReporter(quiet: quiet))
        let made = try builder.write(
          segment.passages, book: book.map { change.folder.path + "/" + $0.name })
        let files = try change.folder.adopt(made.files, generation: change.generation)
        infos[place].files.removeValue(forKey: Manifest.book(number))
        infos[place].files.merge(files) { $1 }
        book = files[Manifest.book(number)] ?? book
        if let book { infos[place].files[Manifest.book(number)] = book }
        report.truncated += made.truncated
        report.segments += 1
      }
    }
    return infos
  }
}

extension Manifest {
  /// Bytes of the terms `number`, those of their centroids included.
  public func bytes(ofTerms number: Int) -> Int {
    var seen: [String: Int] = [:]
    for segment in segments {
      for role in [Manifest.terms(number), Manifest.book(number)] {
        if let file = segment.files[role] { seen[file.name] = file.bytes }
      }
    }
    return seen.values.reduce(0, +)
  }
}
