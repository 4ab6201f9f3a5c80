import Foundation
import ModelStore
import Testing

@Suite struct CatalogTests {
  @Test func everyEntryIsConsistent() throws {
    let catalog = ModelCatalog.builtIn
    #expect(Set(catalog.entries.map(\.name)).count == catalog.entries.count)
    #expect(Set(catalog.entries.map(\.fileName)).count == catalog.entries.count)
    for entry in catalog.entries {
      #expect(entry.name == entry.name.lowercased())
      switch entry.source {
      case .packages(let parts):
        #expect(parts.reduce(0) { $0 + $1.bytes } == entry.bytes, "\(entry.name)")
        let digests = parts.map(\.sha256) + [try #require(entry.sha256)]
        for digest in digests {
          #expect(digest.count == 64 && digest.allSatisfy { "0123456789abcdef".contains($0) })
        }
        #expect(Set(parts.map(\.package)).count == parts.count)
        if parts.count == 1 { #expect(parts[0].sha256 == entry.sha256) }
      case .conversion(let base, _):
        #expect(catalog[base] != nil && catalog[base]?.isConversion == false)
        #expect(entry.sha256 == nil)
      }
    }
  }

  @Test func namesAreFoundAndSuggested() throws {
    let store = ModelStore(directory: URL(filePath: "/nonexistent/wanspec"))
    #expect(store.catalog["SmolLM2-135M-Instruct"]?.name == "smollm2-135m-instruct")
    let error = #expect(throws: ModelStoreError.self) { try store.entry(named: "smolm2-135m-instruct") }
    #expect(error?.code == .unknownModel)
    #expect(error?.hint?.contains("smollm2-135m-instruct") == true)
    let far = #expect(throws: ModelStoreError.self) { try store.entry(named: "gpt-9") }
    #expect(far?.hint == "wanspec models list shows all")
  }

  @Test func resolvesNamesAndPaths() throws {
    let store = ModelStore(directory: URL(filePath: "/nonexistent/wanspec"))
    #expect(try store.resolve("/etc/passwd").path == "/etc/passwd")
    func code(_ name: String) -> ModelStoreError.Code? {
      #expect(throws: ModelStoreError.self) { try store.resolve(name) }?.code
    }
    #expect(code("smollm2-135m-instruct") == .notPulled)
    #expect(code("/nonexistent/x.gguf") == .unknownModel)
    #expect(code("/etc") == .unknownModel)
    #expect(code("nothing-like-it") == .unknownModel)
  }

  @Test(arguments: [
    (["WANSPEC_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"], "/a"),
    (["XDG_CACHE_HOME": "/b", "HOME": "/c"], "/b/wanspec"),
    (["WANSPEC_CACHE": "", "HOME": "/c"], "/c/.cache/wanspec"),
  ])
  func cacheFolder(environment: [String: String], path: String) {
    #expect(ModelStore.cacheDirectory(environment: environment).path == path)
  }
}
