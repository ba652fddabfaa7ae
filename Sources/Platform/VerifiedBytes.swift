/// Bytes of a file, verified when they are touched.
package protocol VerifiedBytes: Sendable {
  /// The number of bytes.
  var count: Int { get }
  /// The bytes of `range`, which must lie within; valid as long as this value is.
  func bytes(_ range: Range<Int>) throws(RetortError) -> UnsafeRawBufferPointer
  /// The error of bytes that make no sense.
  func damaged(_ reason: String) -> RetortError
}
