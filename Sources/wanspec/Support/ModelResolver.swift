import Console
import ModelBackend
import ModelStore

/// From what a person calls a model to a file's path.
struct ModelResolver {
  private let store = ModelStore()

  /// - Throws: `CommandFailure` with what to do
  func path(for nameOrPath: String) throws -> String {
    do {
      return try store.resolve(nameOrPath).path
    } catch let error as ModelStoreError {
      throw CommandFailure("\(error)")
    }
  }
}
