import Formats
import Platform
import Testing

@Suite struct ShardTests {
  private func shard(
    _ id: Int?, _ count: Int?, _ environment: [String: String] = [:]
  ) throws -> Shard {
    try Shard(id: id, count: count, environment: environment)
  }

  @Test func `every number belongs to exactly one shard, and shards differ by one at most`() throws
  {
    for count in [1, 2, 7, 16] {
      let shards = try (0..<count).map { try shard($0, count) }
      for number in 0..<100 { #expect(shards.count { $0.holds(number) } == 1) }
      let sizes = shards.map { shard in (0..<100).count { shard.holds($0) } }
      #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
    }
  }

  @Test func `names of shards sort in their order`() throws {
    #expect(try shard(nil, nil).suffix == "")
    #expect(try shard(0, 1).suffix == "")
    #expect(try shard(3, 16).suffix == "-00003-of-00016")
  }

  @Test func `the tasks of a Slurm array and the pods of a job find their number`() throws {
    let slurm = ["SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "8"]
    #expect(try shard(nil, nil, slurm) == shard(5, 8))
    // sbatch --array=1-8 and --array=2-16:2
    #expect(
      try shard(nil, nil, slurm.merging(["SLURM_ARRAY_TASK_MIN": "1"]) { $1 }) == shard(4, 8))
    let stepped = [
      "SLURM_ARRAY_TASK_ID": "6", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_ARRAY_TASK_MIN": "2",
      "SLURM_ARRAY_TASK_STEP": "2",
    ]
    #expect(try shard(nil, nil, stepped) == shard(2, 8))
    #expect(try shard(nil, 4, ["JOB_COMPLETION_INDEX": "3"]) == shard(3, 4))
  }

  @Test func `options win over the environment`() throws {
    let slurm = ["SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "8"]
    #expect(try shard(1, 3, slurm) == shard(1, 3))
    #expect(try shard(nil, 1, slurm) == .whole)
    #expect(try shard(nil, 1, ["JOB_COMPLETION_INDEX": "3"]) == .whole)
  }

  @Test func `what cannot be a shard is refused`() {
    for (id, count, environment) in [
      (3, 3, [:]), (-1, 3, [:]), (0, 0, [:]), (0, 100_000, [:]), (1, 1, [:]), (2, nil, [:]),
      (nil, 4, [:]), (nil, nil, ["JOB_COMPLETION_INDEX": "0"]),
      (nil, nil, ["SLURM_ARRAY_TASK_ID": "8", "SLURM_ARRAY_TASK_COUNT": "8"]),
      (nil, 8, ["SLURM_ARRAY_TASK_ID": "-3"]),
      (nil, nil, ["SLURM_ARRAY_TASK_COUNT": "99999999999999999999"]),
    ] as [(Int?, Int?, [String: String])] {
      let error = #expect(throws: RetortError.self) { try shard(id, count, environment) }
      #expect(error?.exitCode == 64, "\(String(describing: id)) \(String(describing: count))")
    }
  }
}
