import ArgumentParser
import Console

extension Setting {
  fileprivate func names(isShort: Bool) -> NameSpecification {
    NameSpecification((isShort ? [.short] : []) + [.customLong(name)])
  }
}

extension Option {
  /// - Parameter isShort: whether its first letter does as well
  package init<T>(
    _ setting: Setting<T>, isShort: Bool = false, completion: CompletionKind? = nil
  ) where Value == T? {
    self.init(
      name: setting.names(isShort: isShort), parsing: setting.mayBeginWithDash ? .unconditional : .next,
      help: setting.help, completion: completion, transform: setting.parse)
  }

  package init<T>(wrappedValue: [T], _ setting: Setting<[T]>) where Value == [T] {
    self.init(
      wrappedValue: wrappedValue, name: .customLong(setting.name),
      parsing: setting.mayBeginWithDash ? .unconditionalSingleValue : .singleValue, help: setting.help,
      transform: { text in
        guard let one = try setting.parse(text).first else {
          throw ArgumentProblem("\"\(text)\" says nothing")
        }
        return one
      })
  }
}

extension Flag where Value == Bool {
  /// - Parameter isShort: whether its first letter does as well
  package init(wrappedValue: Bool, _ setting: Setting<Bool>, isShort: Bool = false) {
    self.init(wrappedValue: wrappedValue, name: setting.names(isShort: isShort), help: setting.help)
  }
}

extension Flag where Value == Bool? {
  /// `--name` and `--no-name`.
  package init(eitherWay setting: Setting<Bool>) {
    self.init(name: .customLong(setting.name), inversion: .prefixedNo, help: setting.help)
  }
}
