extension [Float] {
  /// Scales each row of a row-major matrix to length 1, which makes inner products cosines; rows of
  /// zeros stay.
  package mutating func normalizeRows(of width: Int) {
    for start in stride(from: 0, to: count, by: width) {
      var squares = 0.0
      for place in start..<(start + width) { squares += Double(self[place]) * Double(self[place]) }
      guard squares > 0 else { continue }
      let scale = Float(1 / squares.squareRoot())
      for place in start..<(start + width) { self[place] *= scale }
    }
  }
}
