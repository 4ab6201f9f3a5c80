import Failures

/// What went wrong with a model file, in one line, and what to do about it.
public typealias ModelStoreError = Failure<ModelStoreErrorCode>

/// The kinds of `ModelStoreError`.
public struct ModelStoreErrorCode: Hashable, Sendable {
  private enum Raw: Hashable, Sendable {
    case unknownModel, notPulled, offline, downloadFailed, corrupt, diskFull, fileProblem, conversionFailed
    case missingTool
  }
  private var raw: Raw

  /// The catalogue has no model of that name, and there is no such file.
  public static let unknownModel = ModelStoreErrorCode(raw: .unknownModel)
  /// The model is in the catalogue, but its file is not (wholly) here.
  public static let notPulled = ModelStoreErrorCode(raw: .notPulled)
  /// The package index cannot be reached.
  public static let offline = ModelStoreErrorCode(raw: .offline)
  /// The package index answered, but the download failed.
  public static let downloadFailed = ModelStoreErrorCode(raw: .downloadFailed)
  /// Bytes are not the ones that the catalogue lists.
  public static let corrupt = ModelStoreErrorCode(raw: .corrupt)
  /// Not enough room for the file.
  public static let diskFull = ModelStoreErrorCode(raw: .diskFull)
  /// A file or folder cannot be read or written.
  public static let fileProblem = ModelStoreErrorCode(raw: .fileProblem)
  /// The engine could not convert the weights.
  public static let conversionFailed = ModelStoreErrorCode(raw: .conversionFailed)
  /// A program that downloads need is not installed.
  public static let missingTool = ModelStoreErrorCode(raw: .missingTool)
}
