/// Reading the files of a tokenizer into one plain description, whichever of the two forms they
/// have. Nothing here knows how text is encoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/added_tokens.h"
#include "text/characters.h"
#include "text/pretokenizer.h"

namespace mm {

/// All that a tokenizer folder says. Views point into the file texts it was read from.
struct TokenizerDescription {
  struct Entry {
    std::string_view name;  ///< in the byte table's characters
    int64_t id = 0;
  };
  struct Merge {
    std::string_view left;
    std::string_view right;
  };

  std::string source;  ///< names the file in errors
  std::vector<Entry> vocabulary;
  std::vector<Merge> merges;  ///< best first
  std::vector<AddedToken> added;
  std::vector<NormalForm> normal_forms;  ///< applied in order
  PretokenizerConfig pretokenizer;
  bool ignore_merges = false;  ///< a word that is a token is taken whole
};

/// What tokenizer_config.json says of the tokens with a role; names, as the file gives them.
struct TokenRoles {
  std::optional<std::string> bos;
  std::optional<std::string> eos;
  std::optional<std::string> unk;
  std::optional<std::string> pad;
};

/// Reads a parsed tokenizer.json. Throws kBadInput or kUnsupported with the key and what is wrong.
TokenizerDescription read_tokenizer_json(const JsonView& root, std::string_view source);

/// Reads a parsed vocab.json and the text of merges.txt. The pattern, which they do not name, is
/// kO200kPattern.
TokenizerDescription read_vocab_and_merges(const JsonView& vocab, std::string_view merges,
                                           std::string_view vocab_source,
                                           std::string_view merges_source);

/// "added_tokens_decoder" of a parsed tokenizer_config.json; empty when there is none.
std::vector<AddedToken> read_added_tokens_decoder(const JsonView& config, std::string_view source);

/// A parsed added_tokens.json: names and ids; all are taken for special.
std::vector<AddedToken> read_added_tokens_file(const JsonView& root, std::string_view source);

/// The roles in a parsed tokenizer_config.json.
TokenRoles read_token_roles(const JsonView& config, std::string_view source);

}  // namespace mm
