/// What went wrong with a model file, in one line, and what to do about it.
public struct ModelStoreError: Error, Sendable, CustomStringConvertible {
  public struct Code: Hashable, Sendable {
    private enum Raw: Hashable, Sendable {
      case unknownModel, notPulled, offline, downloadFailed, corrupt, diskFull, fileProblem, conversionFailed
      case missingTool
    }
    private var raw: Raw

    /// The catalogue has no model of that name, and there is no such file.
    public static let unknownModel = Code(raw: .unknownModel)
    /// The model is in the catalogue, but its file is not (wholly) here.
    public static let notPulled = Code(raw: .notPulled)
    /// The package index cannot be reached.
    public static let offline = Code(raw: .offline)
    /// The package index answered, but the download failed.
    public static let downloadFailed = Code(raw: .downloadFailed)
    /// Bytes are not the ones that the catalogue lists.
    public static let corrupt = Code(raw: .corrupt)
    /// Not enough room for the file.
    public static let diskFull = Code(raw: .diskFull)
    /// A file or folder cannot be read or written.
    public static let fileProblem = Code(raw: .fileProblem)
    /// The engine could not convert the weights.
    public static let conversionFailed = Code(raw: .conversionFailed)
    /// A program that downloads need is not installed.
    public static let missingTool = Code(raw: .missingTool)
  }

  public var code: Code
  public var message: String
  public var hint: String?

  public init(_ code: Code, _ message: String, hint: String? = nil) {
    self.code = code
    self.message = message
    self.hint = hint
  }

  public var description: String { hint.map { "\(message) (\($0))" } ?? message }
}
