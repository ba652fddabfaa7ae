import Platform
import Tensors

extension ColBERT {
  /// The vectors of a query's tokens, [tokens × dimension], and whether the text was cut.
  package func queryTerms(
    _ text: String
  ) throws(RetortError) -> (vectors: Matrix, isTruncated: Bool) {
    let sequence = query(text)
    let vectors = vectors(sequence)
    try checkIntact()
    return (vectors, sequence.isTruncated)
  }

  /// The vectors of the tokens of `passages` that take part, in order; the same bytes for every
  /// number of threads.
  package func terms(of passages: [String], threads: Int) throws(RetortError) -> PassageTerms {
    let encoded = OrderedResults<TermSequence>(count: passages.count)
    parallelFor(passages.count, threads: threads) { item, _ in
      encoded.set(item, passage(passages[item]))
    }
    let sequences = encoded.values
    let rows = OrderedResults<[Float]>(count: sequences.count)
    try encode(sequences, threads: threads) { item, vectors in rows.set(item, vectors) }
    var terms = PassageTerms(truncated: sequences.count(where: \.isTruncated))
    for (sequence, values) in zip(sequences, rows.values) {
      terms.values += values
      terms.offsets.append((terms.offsets.last ?? 0) + sequence.kept.count)
    }
    return terms
  }

  /// The scores of passages whose vectors are given.
  package func score(
    _ query: Matrix, _ terms: PassageTerms, threads: Int
  ) throws(RetortError) -> [Float] {
    let maxSim = MaxSim(query)
    let rows = Matrix(
      rows: dimension > 0 ? terms.values.count / dimension : 0, columns: dimension,
      values: terms.values)
    let count = max(terms.offsets.count - 1, 0)
    let parts = (count + 63) / 64
    let scores = OrderedResults<[Float]>(count: parts)
    try parallelForThrowing(parts, threads: threads) { part, _ throws(RetortError) in
      try Interruption.check()
      let offsets = Array(terms.offsets[part * 64...min(count, (part + 1) * 64)])
      scores.set(part, maxSim.scores(rows, offsets: offsets))
    }
    return scores.values.flatMap { $0 }
  }
}
