import ModelBackend
import SpeculationCore
import StrictJSON

/// Log-probabilities as `/v1/completions` has them: four arrays, and the likeliest tokens by their text.
extension ResponseShape {
  func writeLegacyLogprobs(_ tokens: [AnswerToken], to json: inout JSONWriter) {
    json.object { json in
      json.key("tokens")
      json.array { json in for token in tokens { json.value(spelling(of: token.token)) } }
      json.key("token_logprobs")
      json.array { json in for token in tokens { json.value(Self.shown(token.logprobs.chosen.logprob)) } }
      json.key("top_logprobs")
      json.array { json in for token in tokens { writeTop(token.logprobs, to: &json) } }
      json.key("text_offset")
      json.array { json in for token in tokens { json.value(token.offset) } }
    }
  }

  /// As many as were asked for, and the chosen one wherever it stands.
  private func writeTop(_ logprobs: TokenLogprobs, to json: inout JSONWriter) {
    var entries = Array(logprobs.top.prefix(self.logprobs ?? 0))
    if !entries.contains(where: { $0.token == logprobs.chosen.token }) { entries.append(logprobs.chosen) }
    // Of different tokens with one text (of control tokens, which have none) the chosen one keeps it.
    var names: Set = [spelling(of: logprobs.chosen.token)]
    json.object { json in
      for entry in entries {
        var name = spelling(of: entry.token)
        if entry.token != logprobs.chosen.token, !names.insert(name).inserted {
          // vLLM's way to say which.
          name = "token_id:\(entry.token)"
        }
        json.key(name)
        json.value(Self.shown(entry.logprob))
      }
    }
  }

  /// OpenAI's value for what is too unlikely to have a logarithm.
  static func shown(_ logprob: Float) -> Float { logprob.isFinite ? logprob : -9999 }

  /// A token's text. Parts of characters, which have none of their own, are spelled as OpenAI's API does:
  /// `bytes:\xf0\x9f`.
  private func spelling(of token: TokenID) -> String {
    let bytes = tokenizer.bytes(of: token)
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    return bytes.reduce(into: "bytes:") { text, byte in
      if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "\\") {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
  }
}
