import Testing

/// Documents and program cannot part: what a document says to type is what the program, its scripts and its files take.
///
/// `DocumentedRunsTests` does what the documents say.
struct DocumentsTests {
  @Test(arguments: try Document.all().map(\.path))
  func whatItSaysIsSo(path: String) async throws {
    let document = try Document(path: path)
    let faults = try await DocumentCheck.shared.faults(of: document)
    #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
  }

  @Test func thereAreDocuments() throws {
    let paths = try Document.all().map(\.path)
    for path in [
      "README.md", "docs/security.md", "Benchmarks/README.md", "deploy/Containerfile",
      "docs/decisions/0004-same-bits.md",
    ] {
      #expect(paths.contains(path))
    }
  }

  /// The test is tested: each of these is wrong, and said to be.
  @Test(arguments: [
    ("```sh\nwanspec generate --mode wan --listn 127.0.0.1:7070 \"Hi\"\n```", "--listn"),
    ("```sh\nwanspec serve --sessions 0\n```", "--sessions must be between"),
    ("```sh\nwanspec serve \\\n  --audit much\n```", "--audit"),
    ("```sh\nwanspec fly --high\n```", "fly"),
    ("```sh\nwanspec worker --connect 127.0.0.1:7070   anywhere\n```", "anywhere"),
    ("```sh\ncat x | wanspec study reprot x.sqlite\n```", "reprot"),
    ("```sh\nBenchmarks/chaos-serve --gently\n```", "--gently"),
    ("```sh\nBenchmarks/chaos-wave\n```", "there is no Benchmarks/chaos-wave"),
    ("```sh\nmake progress\n```", "no progress"),
    ("```sh\nmake bench PROMPT=x\n```", "no PROMPT"),
    ("```sh\nfrobnicate x\n```", "what is frobnicate?"),
    ("```\nwanspec serve\n```", "does not say what it is"),
    ("```sh\nwanspec serve\n", "has no end"),
    ("It is set by `--verify-witdh`.", "--verify-witdh"),
    ("Try `serve --audits 1%`.", "--audits"),
    ("Try `study resume --now FILE`.", "--now"),
    ("Try `wanspec bench --limit few`.", "few"),
    ("Try `chaos-serve --gently`.", "--gently"),
    ("Set `WANSPEC_COLOUR`.", "WANSPEC_COLOUR"),
    ("See [this](docs/nowhere.md).", "leads nowhere"),
    ("See [this](docs/study.md#nothing).", "no such heading"),
    ("# One\n\nSee [this](#two).", "no such heading"),
    ("See `docs/nowhere.md`.", "there is no docs/nowhere.md"),
  ])
  func aBadDocumentIsFound(text: String, fault: String) async throws {
    let faults = try await DocumentCheck.shared.faults(of: Document(path: "planted.md", text: text))
    #expect(faults.count == 1 && faults[0].contains(fault), "\(faults)")
  }

  @Test func aGoodDocumentHasNoFaults() async throws {
    let text = """
      # One thing

      See [this](#one-thing) and [that](docs/study.md#a-probe): `wanspec trace record` and `serve --audit 1%`.

      ```sh
      wanspec bench --prompts x --limit 3 \\
        --rtt 30ms   # a comment's --flag is nobody's
      A=b Benchmarks/chaos-serve --seed 4 > 'a file'
      ```
      """
    #expect(try await DocumentCheck.shared.faults(of: Document(path: "planted.md", text: text)) == [])
  }

  /// The unit's environment file is enough for a worker: nothing of it is refused.
  @Test func theWorkersEnvironmentIsTaken() async throws {
    let file = try String(contentsOf: Document.root.appending(path: "deploy/worker.env"), encoding: .utf8)
    let pairs = file.split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
      $0.split(separator: "=", maxSplits: 1).map(String.init)
    }
    let environment = Dictionary(uniqueKeysWithValues: pairs.map { ($0[0], $0[1]) })
    let result = try await Program.run(["worker", "--the-end"], environment: environment)
    #expect(result.status == 64 && result.errors.contains("'--the-end'"), "\(result.errors)")
  }

  @Test func aShellLineIsTakenApart() {
    let lines = ShellLine.lines(of: "A=1 b 'c d' \\\n  --e \"f # g\" | h > i   # j\n\n# k\nl && m; n\n")
    #expect(lines.map(\.commands) == [[["b", "c d", "--e", "f # g"], ["h"]], [["l"], ["m"], ["n"]]])
    #expect(lines.map(\.line) == [1, 5])
    #expect(lines[0].text == "A=1 b 'c d'   --e \"f # g\" | h > i")
  }
}
