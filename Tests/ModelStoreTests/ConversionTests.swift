import Foundation
import ModelStore
import Synchronization
import Testing

@Suite struct ConversionTests {
  private struct Failure: Error {}

  private static let converted = ModelEntry(
    name: "tiny-x", fileName: "tiny-x.gguf", summary: "made up", license: "Apache-2.0", bytes: 100,
    sha256: nil, source: .conversion(of: "tiny", type: "x"))

  @Test func convertsOnceAndChecks() async throws {
    let fixture = try PackageFixture(parts: 1)
    let store = try fixture.store(entries: [Self.converted])
    let calls = Mutex<[String]>([])
    let converter: ModelStore.Converter = { conversion in
      calls.withLock { $0.append(conversion.type) }
      try Data(Data(contentsOf: conversion.input).reversed()).write(to: conversion.output)
    }
    let file = try await store.pull(Self.converted, converter: converter)
    #expect(try Data(contentsOf: file) == Data(fixture.content.reversed()))
    #expect(store.state(of: fixture.entry) == .present)
    #expect(store.state(of: Self.converted) == .present)
    try await store.pull(Self.converted, converter: converter)
    #expect(calls.withLock { $0 } == ["x"])

    var bytes = try Data(contentsOf: file)
    bytes[7] ^= 1
    try PackageFixture.write(bytes, later: file)
    #expect(try await store.verify(Self.converted).name == "corrupt")
    try await store.pull(Self.converted, converter: converter)
    #expect(try await store.verify(Self.converted) == .present)
    #expect(calls.withLock { $0.count } == 2)
  }

  @Test func aFailedConversionLeavesNothing() async throws {
    let fixture = try PackageFixture(parts: 1)
    let store = try fixture.store(entries: [Self.converted])
    await #expect(throws: Failure.self) {
      try await store.pull(
        Self.converted,
        converter: { conversion in
          try Data("half".utf8).write(to: URL(filePath: conversion.output.path + ".part-1"))
          throw Failure()
        })
    }
    #expect(fixture.leftovers == ["tiny.gguf"])
    #expect(store.state(of: Self.converted) == .absent)
    let error = await #expect(throws: ModelStoreError.self) { try await store.pull(Self.converted) }
    #expect(error?.code == .notPulled)
  }
}
