struct Unigram: Sendable {
  func encode(
    _ text: UnsafeBufferPointer<UInt8>, isFirst: Bool, limit: Int, into ids: inout [Int32]
  ) {}
}
