import Foundation

/// The folder of real collections, nil when RETORT_DATA is unset.
let dataFolder = ProcessInfo.processInfo.environment["RETORT_DATA"].map { $0 + "/data" }

/// `value` to four decimals, as trec_eval prints it.
func four(_ value: Double) -> String { String(format: "%.4f", value) }
