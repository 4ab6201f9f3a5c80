import CLlama

/// The library as a whole: started once per process, described for `wanspec doctor`.
enum LlamaLibrary {
  /// Starts the library on first use. Never stopped: engines of the process may still hold its devices.
  static let started: Void = {
    LlamaLog.install()
    wanspec_guard_install { reason in
      if let reason { LlamaLog.keep(String(cString: reason)) }
    }
    llama_backend_init()
  }()
}

/// What this machine and this build of llama.cpp offer.
public enum LlamaSystem {
  public struct Device: Sendable, Hashable {
    /// "CPU", "CUDA0"...
    public var name: String
    public var description: String
    /// "cpu", "gpu", "integrated gpu", "accelerator" or "other".
    public var kind: String
    /// Bytes.
    public var freeMemory: Int
    public var totalMemory: Int
  }

  /// Version of llama.cpp.
  public static var version: String { String(cString: llama_version()) }

  /// Compute features that the library was built with and found on this machine, such as "AVX2".
  public static var features: [String] {
    LlamaLibrary.started
    // "CPU : SSE3 = 1 | AVX = 1 | ... | "
    return String(cString: llama_print_system_info()).split(separator: "|").compactMap { part in
      let sides = part.split(separator: "=").map { $0.split(separator: " ").joined(separator: " ") }
      guard sides.count == 2, sides[1] != "0" else { return nil }
      let name = sides[0].split(separator: ":").last.map { $0.split(separator: " ").joined(separator: " ") }
      guard let name, !name.isEmpty else { return nil }
      return sides[1] == "1" ? name : "\(name) \(sides[1])"
    }
  }

  /// Processor cores that this process may use, ascending: fewer than the machine has in a container or under
  /// taskset.
  public static var allowedCores: [Int] {
    #if os(Linux)
      if let cores = CoreSet.ofThisThread() { return cores }
    #endif
    return Array(0..<processorCount())
  }

  /// Whether there is another device than the CPU to place layers on.
  static let hasAccelerators = devices.contains { $0.kind != "cpu" }

  /// Whether the matrix products of the CPU add alike for one token and for many (dev/patches/sum-alike.patch).
  static let sumsAlike = wanspec_attends_in_order() != 0 && Set(["AVX2", "FMA"]).isSubset(of: features)

  public static var devices: [Device] {
    LlamaLibrary.started
    return (0..<ggml_backend_dev_count()).compactMap { index in
      guard let device = ggml_backend_dev_get(index) else { return nil }
      var free = 0
      var total = 0
      ggml_backend_dev_memory(device, &free, &total)
      let kind =
        switch ggml_backend_dev_type(device) {
        case GGML_BACKEND_DEVICE_TYPE_CPU: "cpu"
        case GGML_BACKEND_DEVICE_TYPE_GPU: "gpu"
        case GGML_BACKEND_DEVICE_TYPE_IGPU: "integrated gpu"
        case GGML_BACKEND_DEVICE_TYPE_ACCEL: "accelerator"
        default: "other"
        }
      return Device(
        name: String(cString: ggml_backend_dev_name(device)),
        description: String(cString: ggml_backend_dev_description(device)),
        kind: kind, freeMemory: free, totalMemory: total)
    }
  }
}
