import CLlama
import ModelBackend
import SpeculationCore
import Synchronization

/// The owner of a llama.cpp context: its KV cache, its batch and its threads.
///
/// Not `Sendable`: it is made and used on the engine's thread only.
final class LlamaContext {
  /// Tokens per decode at most.
  static let batchSize = 512

  private let model: LlamaModel
  private let handle: OpaquePointer
  private let memory: llama_memory_t
  private let threadPool: ggml_threadpool_t?
  private let compute: ComputeThread?
  private let stop: StopFlag
  /// Cells in the cache.
  let cells: Int
  /// Rows of logits per decode at most.
  let outputs: Int
  let sequences: Int
  private let cores: [Int]
  let threads: Int

  private var tokens: UnsafeMutablePointer<llama_token>
  private var positions: UnsafeMutablePointer<llama_pos>
  private var sequenceCounts: UnsafeMutablePointer<Int32>
  private var sequencePointers: UnsafeMutablePointer<UnsafeMutablePointer<llama_seq_id>?>
  private var sequenceIDs: UnsafeMutablePointer<llama_seq_id>
  private var wantsLogits: UnsafeMutablePointer<Int8>
  /// For checks that wrong texts are found: changes what is entered for a token of a batch.
  var fault: (@Sendable (_ token: TokenID, _ position: Int) -> (TokenID, Int))?
  private(set) var count = 0
  private(set) var outputCount = 0
  private var usedSequenceIDs = 0
  /// Time spent in the library's decode so far.
  private(set) var decodeTime = Duration.zero

  /// - Parameter cells: room in tokens over all sessions; rounded up by the library
  init(model: LlamaModel, options: LlamaOptions, cells: Int, stop: StopFlag) throws {
    self.model = model
    self.stop = stop
    threads = LlamaContext.threadCount(options)
    sequences = options.sequences
    outputs = max(sequences, 64)

    var parameters = llama_context_default_params()
    parameters.n_ctx = UInt32(clamping: cells)
    parameters.n_batch = UInt32(LlamaContext.batchSize)
    parameters.n_ubatch = UInt32(LlamaContext.batchSize)
    parameters.n_seq_max = UInt32(sequences)
    parameters.n_outputs_max = UInt32(outputs)
    parameters.n_threads = Int32(threads)
    parameters.n_threads_batch = Int32(threads)
    // Flash attention rounds 32-bit keys and values to 16 bits before it uses them, unless it follows the text.
    parameters.flash_attn_type =
      options.cacheType == .f32 && !options.attendsInOrder
      ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_AUTO
    // One buffer for all sequences, so that a cell can belong to several of them; and all positions of it kept,
    // so that models with a sliding window can roll back as well.
    parameters.kv_unified = true
    parameters.swa_full = true
    parameters.type_k = options.cacheType.ggmlType
    parameters.type_v = options.cacheType.ggmlType
    parameters.no_perf = true
    parameters.abort_callback = { context in
      guard let context else { return false }
      return Unmanaged<StopFlag>.fromOpaque(context).takeUnretainedValue().isSet
    }
    parameters.abort_callback_data = Unmanaged.passUnretained(stop).toOpaque()

    LlamaLog.clear()
    guard let handle = wanspec_open_context(model.handle, parameters), let memory = llama_get_memory(handle)
    else {
      throw ModelError(
        .engineFailed,
        "cannot open a context of \(cells) tokens for \(model.path): "
          + (LlamaLog.cause() ?? "no reason given"),
        hint: "lower the context length or the number of sessions")
    }
    self.handle = handle
    self.memory = memory
    self.cells = Int(llama_n_ctx(handle))
    cores = options.cores
    compute = ComputeThread(options.priority)
    threadPool = Self.run(on: compute, cores: options.cores) { [threads] in
      LlamaContext.makeThreadPool(threads: threads, cores: options.cores)
    }
    if let threadPool { llama_attach_threadpool(handle, threadPool, threadPool) }

    let size = LlamaContext.batchSize
    tokens = .allocate(capacity: size)
    positions = .allocate(capacity: size)
    sequenceCounts = .allocate(capacity: size)
    sequencePointers = .allocate(capacity: size)
    sequenceIDs = .allocate(capacity: size * sequences)
    wantsLogits = .allocate(capacity: size)
  }

  deinit {
    llama_detach_threadpool(handle)
    llama_free(handle)
    if let threadPool { ggml_threadpool_free(threadPool) }
    tokens.deallocate()
    positions.deallocate()
    sequenceCounts.deallocate()
    sequencePointers.deallocate()
    sequenceIDs.deallocate()
    wantsLogits.deallocate()
  }

  /// Runs what computes, or starts threads that will: on the right cores, with the right priority.
  private static func run<Value>(
    on compute: ComputeThread?, cores: [Int], _ body: @escaping () -> Value
  ) -> Value {
    guard let compute else { return pinned(to: cores, body) }
    return compute.run { pinned(to: cores, body) }
  }

  private static func threadCount(_ options: LlamaOptions) -> Int {
    if options.threads > 0 { return options.threads }
    if !options.cores.isEmpty { return options.cores.count }
    return max(1, processorCount() / 2)
  }

  /// Threads that live as long as the context; one thread needs none, since the caller computes.
  private static func makeThreadPool(threads: Int, cores: [Int]) -> ggml_threadpool_t? {
    guard threads > 1 else { return nil }
    var parameters = ggml_threadpool_params_default(Int32(threads))
    withUnsafeMutableBytes(of: &parameters.cpumask) { mask in
      for core in cores where core < mask.count { mask[core] = 1 }
    }
    parameters.strict_cpu = cores.count >= threads
    return ggml_threadpool_new(&parameters)
  }
}

extension LlamaOptions {
  /// See `wanspec_attends_in_order`: attention on a GPU is another one.
  var attendsInOrder: Bool {
    wanspec_attends_in_order() != 0 && (gpuLayers == 0 || !LlamaSystem.hasAccelerators)
  }
}

extension CacheType {
  fileprivate var ggmlType: ggml_type {
    switch self {
    case .f16: GGML_TYPE_F16
    case .bf16: GGML_TYPE_BF16
    case .q8: GGML_TYPE_Q8_0
    case .f32: GGML_TYPE_F32
    }
  }
}

/// Set once, from any thread, to make a running decode give up.
final class StopFlag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}

// MARK: Batches

extension LlamaContext {
  func beginBatch() {
    count = 0
    outputCount = 0
    usedSequenceIDs = 0
  }

  /// Whether another token fits, with or without its logits.
  func hasRoom(output: Bool) -> Bool {
    count < LlamaContext.batchSize && (!output || outputCount < outputs)
  }

  /// - Parameter sequences: the sequences that hold the token; it attends to the cells of the first
  func append(token: TokenID, position: Int, sequences: some Collection<Int32>, output: Bool) {
    let (token, position) = fault?(token, position) ?? (token, position)
    tokens[count] = token
    positions[count] = llama_pos(position)
    sequenceCounts[count] = Int32(sequences.count)
    sequencePointers[count] = sequenceIDs + usedSequenceIDs
    for sequence in sequences {
      sequenceIDs[usedSequenceIDs] = sequence
      usedSequenceIDs += 1
    }
    wantsLogits[count] = output ? 1 : 0
    if output { outputCount += 1 }
    count += 1
  }

  /// Runs the batch through the model.
  ///
  /// - Throws: `ModelError` (`contextFull`, `cancelled`, `engineFailed`). Some of the batch may then be in the
  ///   cache; the caller removes it.
  func decode() throws {
    let batch = llama_batch(
      n_tokens: Int32(count), token: tokens, embd: nil, pos: positions, n_seq_id: sequenceCounts,
      seq_id: sequencePointers, logits: wantsLogits)
    LlamaLog.clear()
    let start = ContinuousClock.now
    let status = Self.run(on: compute, cores: cores) { [handle] in
      let status = llama_decode(handle, batch)
      // Where a device computes beside the processor, the results are there only now.
      llama_synchronize(handle)
      return status
    }
    decodeTime += ContinuousClock.now - start
    if status == 0 { return }
    if status == 1 {
      throw ModelError(
        .contextFull, "no room for \(count) tokens in a cache of \(cells)",
        hint: "raise the context length or close sessions")
    }
    if status == 2 || stop.isSet { throw ModelError(.cancelled, "the engine was shut down", hint: nil) }
    throw ModelError(
      .engineFailed,
      "llama.cpp failed to evaluate \(count) tokens (status \(status)): "
        + (LlamaLog.cause() ?? "no reason given"), hint: nil)
  }

  /// The logits after the batch's token `index`, valid until the next decode.
  func logits(_ index: Int) throws -> UnsafeBufferPointer<Float> {
    guard let row = llama_get_logits_ith(handle, Int32(index)) else {
      throw ModelError(.engineFailed, "llama.cpp returned no logits for token \(index) of a batch", hint: nil)
    }
    return UnsafeBufferPointer(start: row, count: model.vocabularySize)
  }
}

// MARK: Memory

extension LlamaContext: SequenceMemory {
  func remove(sequence: Int32, from position: Int) {
    // Cannot fail: models whose memory cannot be cut (recurrent ones) are refused when they are loaded.
    _ = llama_memory_seq_rm(memory, sequence, llama_pos(position), -1)
  }

  func share(from source: Int32, to target: Int32, positions: Range<Int>) {
    llama_memory_seq_cp(
      memory, source, target, llama_pos(positions.lowerBound), llama_pos(positions.upperBound))
  }
}

/// A used cell of the cache: one token's keys and values.
public struct CachedCell: Hashable, Comparable, Sendable {
  public var position: Int
  /// The sequences that hold it, ascending.
  public var sequences: [Int32]

  public static func < (a: Self, b: Self) -> Bool {
    a.position != b.position ? a.position < b.position : a.sequences.lexicographicallyPrecedes(b.sequences)
  }
}

extension LlamaContext {
  /// The cells as llama.cpp itself has them, read from the state it would save. Copies the whole cache: for
  /// checks, not for serving.
  func storedCells() throws -> [CachedCell] {
    let size = llama_state_get_size(handle)
    let state = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = llama_state_get_data(handle, buffer.baseAddress, size)
    }
    var reader = StateReader(bytes: state)
    let unreadable = ModelError(
      .engineFailed, "cannot read the saved state of llama.cpp \(LlamaSystem.version)",
      hint: "its layout has changed; this check needs to follow")
    guard let nameLength = reader.next(), reader.skip(Int(nameLength)), reader.next() == 1,
      let cellCount = reader.next()
    else { throw unreadable }
    var result: [CachedCell] = []
    for _ in 0..<cellCount {
      guard let position = reader.next(), let sequenceCount = reader.next(), sequenceCount <= 256 else {
        throw unreadable
      }
      var sequences: [Int32] = []
      for _ in 0..<sequenceCount {
        guard let sequence = reader.next() else { throw unreadable }
        sequences.append(Int32(bitPattern: sequence))
      }
      result.append(CachedCell(position: Int(position), sequences: sequences.sorted()))
    }
    return result.sorted()
  }
}

private struct StateReader {
  var bytes: [UInt8]
  var offset = 0

  /// The next 32-bit number.
  mutating func next() -> UInt32? {
    guard offset + 4 <= bytes.count else { return nil }
    defer { offset += 4 }
    return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
  }

  mutating func skip(_ count: Int) -> Bool {
    offset += count
    return offset <= bytes.count
  }
}
