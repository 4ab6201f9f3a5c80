import CLlama
import ModelBackend
import SpeculationCore

/// llama.cpp's own grammar sampler: what tests compare the matcher with.
///
/// Only for grammars that are known to be harmless (see `Grammar`).
package final class LlamaGrammarReference {
  private let sampler: UnsafeMutablePointer<llama_sampler>
  private let model: LlamaModel

  /// nil for a grammar that llama.cpp does not take.
  package init?(_ grammar: String, model: LlamaModel) {
    guard let sampler = llama_sampler_init_grammar(model.vocabulary, grammar, "root") else { return nil }
    self.sampler = sampler
    self.model = model
  }

  deinit { llama_sampler_free(sampler) }

  /// Tokens that may come next, ascending.
  package func allowed() -> [TokenID] {
    var entries = (0..<TokenID(clamping: model.vocabularySize)).map {
      llama_token_data(id: $0, logit: 0, p: 0)
    }
    entries.withUnsafeMutableBufferPointer { buffer in
      var list = llama_token_data_array(
        data: buffer.baseAddress, size: buffer.count, selected: -1, sorted: false)
      llama_sampler_apply(sampler, &list)
    }
    return entries.filter { $0.logit == 0 }.map(\.id)
  }

  /// - Parameter token: one of those allowed: the library ends the process on another
  package func accept(_ token: TokenID) { llama_sampler_accept(sampler, token) }
}
