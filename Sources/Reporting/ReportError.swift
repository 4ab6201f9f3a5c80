/// Why a page could not be made.
public struct ReportError: Error, Equatable, CustomStringConvertible {
  public struct Code: Sendable, Hashable {
    enum Wrapped { case missingResource, tooLarge }
    let wrapped: Wrapped

    /// A file that belongs to the program is not beside it.
    public static let missingResource = Code(wrapped: .missingResource)
    /// The page is above its size limit.
    public static let tooLarge = Code(wrapped: .tooLarge)
  }

  public var code: Code
  public var message: String
  public var description: String { message }
}
