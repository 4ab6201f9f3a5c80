import Console
import Foundation
import OutputFiles

/// One line of a prompt file.
package struct PromptRecord: Sendable {
  package var id: String
  package var task: String
  package var prompt: String
  /// In its file, from 1.
  package var line: Int?

  package init(
    id: String, task: String, prompt: String, line: Int? = nil
  ) {
    self.id = id
    self.task = task
    self.prompt = prompt
    self.line = line
  }
}

/// Prompts in JSON lines: `{"id": ..., "task": ..., "prompt": ...}`, one object a line; `id` and `task` may be
/// left out, other keys are ignored.
package enum PromptFile {
  package static let maxBytes = 256 << 20
  package static let maxPromptBytes = 4 << 20

  /// - Throws: `CommandFailure` that names the file and the line.
  package static func read(_ path: String) throws -> [PromptRecord] {
    guard let handle = FileHandle(forReadingAtPath: path) else {
      throw CommandFailure("cannot read the prompt file \(path)", hint: "check the path and its permissions")
    }
    defer { try? handle.close() }
    let data: Data
    do {
      data = try handle.read(upToCount: maxBytes + 1) ?? Data()
    } catch {
      throw CommandFailure("cannot read the prompt file \(path): \(SystemProblem.words(error))")
    }
    guard data.count <= maxBytes else {
      throw CommandFailure("the prompt file \(path) is larger than \(maxBytes >> 20) MiB")
    }
    return try parse(data, name: path)
  }

  package static func parse(_ data: Data, name: String) throws -> [PromptRecord] {
    var records: [PromptRecord] = []
    for (index, line) in data.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
      let place = "\(name), line \(index + 1)"
      guard let text = String(validating: line, as: UTF8.self) else {
        throw CommandFailure(
          "\(place): not valid UTF-8", hint: "convert the file, such as with iconv -t UTF-8")
      }
      if text.allSatisfy(\.isWhitespace) { continue }
      guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
        throw CommandFailure("\(place): not a JSON object", hint: #"write {"prompt": "..."} on one line"#)
      }
      guard let prompt = object["prompt"] as? String else {
        throw CommandFailure("\(place): no text under the key \"prompt\"")
      }
      guard !prompt.isEmpty else { throw CommandFailure("\(place): the prompt is empty") }
      guard prompt.utf8.count <= maxPromptBytes else {
        throw CommandFailure("\(place): the prompt is longer than \(maxPromptBytes >> 20) MiB")
      }
      records.append(
        PromptRecord(
          id: object["id"] as? String ?? "line-\(index + 1)", task: object["task"] as? String ?? "all",
          prompt: prompt, line: index + 1))
    }
    guard !records.isEmpty else { throw CommandFailure("the prompt file \(name) holds no prompts") }
    return records
  }

  /// `limit` prompts spread evenly over the tasks, in the file's order within each task.
  package static func spread(_ records: [PromptRecord], limit: Int) -> [PromptRecord] {
    var tasks: [String] = []
    var byTask: [String: [PromptRecord]] = [:]
    for record in records {
      if byTask[record.task] == nil { tasks.append(record.task) }
      byTask[record.task, default: []].append(record)
    }
    var chosen: [PromptRecord] = []
    var round = 0
    while chosen.count < min(limit, records.count) {
      for task in tasks where chosen.count < limit && round < byTask[task]!.count {
        chosen.append(byTask[task]![round])
      }
      round += 1
    }
    return chosen
  }
}
