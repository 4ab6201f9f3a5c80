import Console
import Serving

extension HostPort: TextArgument {
  public init?(argument: String) {
    guard let address = try? HostPort(parsing: argument) else { return nil }
    self = address
  }
}
