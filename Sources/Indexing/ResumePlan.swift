import Foundation
import Platform

/// What unfinished work was asked to do: all that decides the bytes of the result, so that it can
/// go on only with the same settings.
protocol ResumePlan: Codable {}

extension ResumePlan {
  func write(to path: String) throws(RetortError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    do {
      let bytes = [UInt8](try encoder.encode(self))
      try FileSystem.replace(path, with: bytes)
    } catch let error as RetortError {
      throw error
    } catch {
      throw RetortError(.io, "the plan of the build cannot be written", path: path, cause: error)
    }
  }

  static func read(_ path: String) throws(RetortError) -> Self {
    let bytes = try FileSystem.read(path, limit: 1 << 20)
    do {
      return try JSONDecoder().decode(Self.self, from: Data(bytes))
    } catch {
      throw RetortError(
        .badData, "the plan of the unfinished build is damaged; build again with --overwrite",
        path: path, cause: error)
    }
  }
}
