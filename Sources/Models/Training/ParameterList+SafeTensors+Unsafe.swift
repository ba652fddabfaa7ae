import Formats
import Platform
import Tensors

extension ParameterList {
  /// Adds all tensors; `vectors` are those of the parameters, or others of the same shapes (the
  /// moments of an optimiser) under names that end in `suffix`.
  package func add(
    _ vectors: [Matrix]? = nil, suffix: String = "", to writer: inout SafeTensorsWriter
  ) throws(RetortError) {
    for (place, parameter) in items.enumerated() {
      let source = vectors?[place] ?? parameter.values
      var offset = 0
      for tensor in parameter.tensors {
        writer.add(
          tensor.name + suffix, type: .float32, shape: tensor.shape,
          bytes: UnsafeRawBufferPointer(source.storage(offset..<offset + tensor.count)))
        offset += tensor.count
      }
    }
  }

  /// Reads what `add` wrote back into the same memory.
  package func read(
    _ vectors: [Matrix]? = nil, suffix: String = "", from file: SafeTensors
  ) throws(RetortError) {
    let tensors = Dictionary(file.tensors.map { ($0.name, $0) }) { first, _ in first }
    for (place, parameter) in items.enumerated() {
      let target = vectors?[place] ?? parameter.values
      var offset = 0
      for tensor in parameter.tensors {
        guard let stored = tensors[tensor.name + suffix], stored.shape == tensor.shape else {
          throw RetortError(
            .badData,
            "has no tensor '\(tensor.name + suffix)' of the shape \(tensor.shape); the checkpoint "
              + "belongs to another model", path: file.path)
        }
        try file.readFloats(stored, into: target.storage(offset..<offset + tensor.count))
        offset += tensor.count
      }
    }
  }
}
