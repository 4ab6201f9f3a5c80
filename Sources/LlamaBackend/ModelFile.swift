import ModelBackend

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Checks of a model file that are made before llama.cpp maps it: a truncated file that is mapped would kill
/// the process with SIGBUS in the middle of a pass, and what its header says is taken at its word.
enum ModelFile {
  /// - Returns: the architecture that the file names.
  /// - Throws: `ModelError` (`fileUnreadable`, `notAModel`).
  static func check(_ path: String) throws -> String {
    let size = try sizeOfReadableFile(path)
    try checkMagic(path, size: size)
    let header = try ModelHeader(path: path)
    try header.checkLength(size)
    let architecture = try header.architecture()
    try header.checkNumbers(architecture)
    return architecture
  }

  private static func sizeOfReadableFile(_ path: String) throws -> Int {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw ModelError(
        .fileUnreadable, "cannot read \(path): \(String(cString: strerror(errno)))",
        hint: "give the path of a GGUF model file; `wanspec models list` shows those fetched")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw ModelError(
        .fileUnreadable, "\(path) is not a file", hint: "give the path of a GGUF model file")
    }
    guard access(path, R_OK) == 0 else {
      throw ModelError(
        .fileUnreadable, "cannot read \(path): \(String(cString: strerror(errno)))",
        hint: "make the file readable for this user")
    }
    return Int(status.st_size)
  }

  private static func checkMagic(_ path: String, size: Int) throws {
    let hint = "llama.cpp reads GGUF files only; convert the model, or fetch it in that format"
    guard let file = fopen(path, "rb") else {
      throw ModelError(.fileUnreadable, "cannot read \(path): \(String(cString: strerror(errno)))", hint: nil)
    }
    defer { fclose(file) }
    var header = [UInt8](repeating: 0, count: 8)
    guard fread(&header, 1, 8, file) == 8 else {
      throw ModelError(.notAModel, "\(path) is not a GGUF file: it has only \(size) bytes", hint: hint)
    }
    guard Array(header[0..<4]) == Array("GGUF".utf8) else {
      throw ModelError(.notAModel, "\(path) is not a GGUF file: it does not begin with \"GGUF\"", hint: hint)
    }
    let version = header[4..<8].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard version == 2 || version == 3 else {
      throw ModelError(
        .notAModel, "\(path) is a GGUF file of version \(version); versions 2 and 3 can be read", hint: hint)
    }
  }
}
