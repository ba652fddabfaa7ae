import Platform

extension TapeOperators {
  /// The scores of ColBERT, Σᵢ maxⱼ xᵢ·xⱼ over the rows i of a query and j of a passage → [pairs × 1].
  ///
  /// Khattab and Zaharia 2020 (arXiv:2004.12832). Query and passage of a pair are sequences: sequence s
  /// is rows `offsets[s]..<offsets[s + 1]` of `x`. Of equal products the first is the largest, and the
  /// gradient goes to it alone. As in `MaxSim`, a passage without rows scores -inf and a query without
  /// rows 0.
  package func maxSim(_ x: Value, offsets: [Int], pairs: [(Int32, Int32)]) -> Value {
    let (input, width) = (x.matrix, x.matrix.columns)
    precondition(offsets.last == input.rows, "offsets end with the rows")
    let out = tape.matrix(rows: pairs.count, columns: 1)
    let sequences = zip(offsets, offsets.dropFirst()).map { $0..<$1 }
    let scratch = tape.memory.scratch
    let winners = OrderedResults<[Int32]>(count: pairs.count)
    parallelFor(pairs.count, threads: tape.memory.threads) { number, worker in
      let query = sequences[Int(pairs[number].0)]
      let passage = sequences[Int(pairs[number].1)]
      guard !query.isEmpty, !passage.isEmpty else {
        out.pointer[number] = query.isEmpty ? 0 : -.infinity
        return winners.set(number, [])
      }
      let products = scratch[worker].matrix(rows: query.count, columns: passage.count)
      rowProducts(
        input.row(query.lowerBound), query.count, input.row(passage.lowerBound), passage.count,
        width, products.pointer)
      var sum = 0.0
      var best = [Int32](repeating: 0, count: query.count)
      for i in 0..<query.count {
        let row = products.row(i)
        var place = 0
        for j in 1..<passage.count where row[j] > row[place] { place = j }
        best[i] = Int32(place)
        sum += Double(row[place])
      }
      out.pointer[number] = Float(sum)
      winners.set(number, best)
    }
    let value = Value(out)
    let (asQuery, asPassage) = (
      Self.uses(pairs.map(\.0), of: sequences.count), Self.uses(pairs.map(\.1), of: sequences.count)
    )
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let dx = tape.zeros(rows: input.rows, columns: width)
      let best = winners.values
      // A sequence's rows have one writer, which takes its pairs in order.
      parallelFor(sequences.count, threads: tape.memory.threads) { sequence, _ in
        func add(_ number: Int32, _ row: Int, _ target: Int) {
          let (scale, source, sum) = (dout.pointer[Int(number)], input.row(row), dx.row(target))
          for column in 0..<width { sum[column] += scale * source[column] }
        }
        let own = sequences[sequence].lowerBound
        for number in asQuery[sequence] {
          let other = sequences[Int(pairs[Int(number)].1)].lowerBound
          for (i, j) in best[Int(number)].enumerated() { add(number, other + Int(j), own + i) }
        }
        for number in asPassage[sequence] {
          let other = sequences[Int(pairs[Int(number)].0)].lowerBound
          for (i, j) in best[Int(number)].enumerated() { add(number, other + i, own + Int(j)) }
        }
      }
      x.add(dx, tape)
    }
    return value
  }

  /// By sequence the pairs that name it, in order.
  static func uses(_ sequences: [Int32], of count: Int) -> [[Int32]] {
    var uses = [[Int32]](repeating: [], count: count)
    for (number, sequence) in sequences.enumerated() { uses[Int(sequence)].append(Int32(number)) }
    return uses
  }
}
