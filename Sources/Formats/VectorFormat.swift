import Platform

/// How a file of vectors is written.
package enum VectorFormat: String, Sendable, CaseIterable {
  /// NumPy's array format: a header in Python's notation, then a matrix in C order.
  case npy
  /// Before every vector its dimension as a 32-bit number (SIFT and GIST, Faiss).
  case fvecs
  /// The number of vectors and their dimension as 32-bit numbers, then all values
  /// (big-ann-benchmarks).
  case fbin

  /// The most values a vector may have.
  package static let maximumDimension = 1 << 16

  /// The format that a file's name says.
  package init(ofName path: String) throws(RetortError) {
    let name = path.split(separator: "/").last ?? ""
    guard let dot = name.lastIndex(of: "."),
      let format = Self(rawValue: name[name.index(after: dot)...].lowercased())
    else {
      throw RetortError(
        .usage, "does not say how vectors are written; let the name end in .npy, .fvecs or .fbin",
        path: path)
    }
    self = format
  }
}
