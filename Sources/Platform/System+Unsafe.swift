#if canImport(Glibc)
  @_exported import Glibc
#elseif canImport(Musl)
  @_exported import Musl
#else
  @_exported import Darwin
#endif

/// The operating system's text for an `errno` value.
package func errorText(_ code: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  return buffer.withUnsafeMutableBufferPointer { bytes in
    guard let base = bytes.baseAddress else { return "error \(code)" }
    _ = strerror_r(code, base, bytes.count)
    return String(cString: base)
  }
}

/// A wall clock for rates and ETAs, in seconds from an arbitrary start; never runs backwards.
package func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Processor time of the calling thread in seconds: work without waiting.
package func threadSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Resident memory of this program's high-water mark in bytes, or nil where unknown.
///
/// Linux keeps `ru_maxrss` across exec: a program that a large one started would report that one's
/// memory. What /proc says begins with the program.
package func peakResidentBytes() -> Int? {
  #if os(Linux)
    if let status = try? FileSystem.read("/proc/self/status") {
      let lines = String(decoding: status, as: UTF8.self).split(separator: "\n")
      if let peak = lines.first(where: { $0.hasPrefix("VmHWM:") }),
        let kilobytes = Int(decimal: String(peak.filter(\.isNumber)))
      {
        return kilobytes * 1024
      }
    }
  #endif
  var usage = rusage()
  #if canImport(Glibc)
    guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
    return Int(usage.ru_maxrss) * 1024
  #else
    guard getrusage(RUSAGE_SELF, &usage) == 0 else { return nil }
    return Int(usage.ru_maxrss)
  #endif
}

/// The number of processors that are online, at least 1: the default of `--threads`.
package func availableProcessors() -> Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

/// The path of the running program, symbolic links followed; nil where the system does not say.
package func programPath() -> String? {
  #if canImport(Darwin)
    var size: UInt32 = 0
    _ = _NSGetExecutablePath(nil, &size)
    var buffer = [CChar](repeating: 0, count: Int(size) + 1)
    guard _NSGetExecutablePath(&buffer, &size) == 0 else { return nil }
    let link = String(cString: buffer)
  #else
    let link = "/proc/self/exe"
  #endif
  guard let path = realpath(link, nil) else { return nil }
  defer { free(path) }
  return String(cString: path)
}
