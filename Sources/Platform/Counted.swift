/// A number of things as a sentence has it: `1 passage`, `2 passages`, `0 queries`.
///
/// `things` is the plural where it is not that of a regular noun, or where a verb has to agree with it:
/// `counted(n, "text was cut", "texts were cut")`.
package func counted(_ count: Int, _ thing: String, _ things: String? = nil) -> String {
  if count == 1 { return "1 \(thing)" }
  return "\(count) \(things ?? plural(of: thing))"
}

private func plural(of thing: String) -> String {
  let endsWithConsonantAndY =
    thing.hasSuffix("y") && !(thing.dropLast().last.map { "aeiou".contains($0) } ?? true)
  return endsWithConsonantAndY ? thing.dropLast() + "ies" : thing + "s"
}

/// One of `things`, a regular plural; what ends otherwise, like a unit of measure, stays.
func singular(of things: String) -> String {
  if things.hasSuffix("ies") { return things.dropLast(3) + "y" }
  return things.hasSuffix("s") ? String(things.dropLast()) : things
}
