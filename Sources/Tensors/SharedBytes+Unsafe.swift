/// Bytes at an address divisible by 64: where they lie, if that is one, or a copy.
package struct SharedBytes: @unchecked Sendable {
  let start: UnsafeRawPointer
  let count: Int
  let owner: AnyObject

  /// `bytes`, which `owner` keeps alive and nobody changes.
  package init(_ bytes: UnsafeRawBufferPointer, owner: AnyObject) {
    count = bytes.count
    if let base = bytes.baseAddress, UInt(bitPattern: base) % 64 == 0 {
      start = base
      self.owner = owner
    } else {
      let copy = FloatBuffer(capacity: (bytes.count + 3) / 4)
      let raw = UnsafeMutableRawPointer(copy.pointer)
      if let base = bytes.baseAddress { raw.copyMemory(from: base, byteCount: bytes.count) }
      start = UnsafeRawPointer(raw)
      self.owner = copy
    }
  }
}
