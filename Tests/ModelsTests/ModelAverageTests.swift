import Formats
import Models
import Platform
import TestSupport
import Testing

@Suite struct ModelAverageTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder("average")
    try TinyEncoder.write(to: folder.path + "/a", seed: 1)
    try TinyEncoder.write(to: folder.path + "/b", seed: 2)
  }

  private func part(_ name: String, _ weight: Double) -> ModelAverage.Part {
    ModelAverage.Part(directory: folder.path + "/" + name, weight: weight)
  }

  private func values(_ name: String, _ tensor: String) throws -> [Float] {
    let file = try SafeTensors(path: folder.path + "/\(name)/model.safetensors")
    let found = try #require(file.tensors.first { $0.name == tensor })
    return try file.floats(found)
  }

  @Test func `every weight is the weighted mean, and the folder is a model`() throws {
    let output = folder.path + "/mean"
    try ModelAverage.write([part("a", 0.25), part("b", 0.75)], output: output)
    let name = "encoder.layer.1.output.dense.weight"
    let (a, b, mean) = (try values("a", name), try values("b", name), try values("mean", name))
    for index in mean.indices {
      let expected: Float = 0.25 * a[index] + 0.75 * b[index]
      #expect(abs(mean[index] - expected) <= 1e-6)
    }
    let vectors = try TextEncoder(directory: output).encode(texts: ["king queen"], threads: 1)
    #expect(vectors.count == TinyEncoder.width)
    // One part alone, in two shares, is that part.
    try ModelAverage.write([part("a", 0.5), part("a", 0.5)], output: folder.path + "/same")
    #expect(try values("same", name) == a)
  }

  @Test func `what has no mean is one error that leaves nothing`() throws {
    func failure(
      _ parts: [ModelAverage.Part], _ output: String = "out", overwrite: Bool = false
    ) -> RetortError? {
      #expect(throws: RetortError.self) {
        try ModelAverage.write(
          parts, output: folder.path + "/" + output, overwrite: overwrite)
      }
    }
    #expect(failure([part("a", 1)])?.message.contains("two models") == true)
    #expect(failure([part("a", 0.5), part("b", 0.4)])?.message.contains("give 1") == true)
    #expect(failure([part("a", 0.5), part("b", 0.5)], "b")?.message.contains("exists") == true)
    #expect(
      failure([part("a", 0.5), part("b", 0.5)], "b", overwrite: true)?.message.contains("itself")
        == true)
    #expect(failure([part("a", 0.5), part("none", 0.5)])?.code == .missingInput)

    _ = try ModelQuantizer.quantize(
      directory: folder.path + "/b", output: folder.path + "/coded", format: .int8)
    #expect(failure([part("a", 0.5), part("coded", 0.5)])?.message.contains("quantised") == true)
    try TinyEncoder.write(to: folder.path + "/other", seed: 3, head: .projection)
    let other = failure([part("a", 0.5), part("other", 0.5)])
    #expect(other?.code == .dimensionMismatch)
    #expect(other?.path == folder.path + "/other")
    #expect(FileSystem.kind(of: folder.path + "/out") == .nothing)
    #expect(FileSystem.kind(of: folder.path + "/out.partial") == .nothing)
  }
}
