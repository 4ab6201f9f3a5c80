/// The name of a certificate, a token or a key: what logs and limits know its holder by.
public enum CredentialName {
  public static let maximumLength = 64

  /// Letters, digits, ".", "_" and "-", so that a name can stand in a file name, a URI, a header and a log
  /// line as it is.
  ///
  /// - Throws: ``CredentialsError``
  public static func check(_ name: String, kind: String = "name") throws(CredentialsError) {
    let isAllowed = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    guard isAllowed, (1...maximumLength).contains(name.utf8.count), name.first != ".", name.first != "-"
    else {
      throw CredentialsError(
        "\"\(name.prefix(80))\" cannot be a \(kind)",
        hint: "use 1 to \(maximumLength) letters, digits, '.', '_' and '-', and begin with a letter or digit")
    }
  }
}
