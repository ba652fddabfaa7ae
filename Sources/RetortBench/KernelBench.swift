import ArgumentParser
import CKernels

/// Arithmetic rates of the matrix kernels.
struct KernelBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels", abstract: "Rates of the matrix kernels on one thread.")

  func run() {
    print("kernels\t\(String(cString: retort_level_name(retort_level_in_use())))")
  }
}
