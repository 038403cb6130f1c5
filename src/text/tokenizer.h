/// Text to token ids and back, by the files of a checkpoint.
///
/// Goals: the ids of Hugging Face's `tokenizers` for byte-level BPE; time linear in the text
/// whatever it holds; at least 50 MB/s a core of English with a vocabulary of 200,000.
/// Non-goals: other tokenizer models (refused by name); adding bos or eos, which chat templates
/// write themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/characters.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"

namespace mm {

/// How Tokenizer::encode reads its text.
struct EncodeOptions {
  /// Whether markers such as <end_of_sentence> in the text become their ids. Switch it off for
  /// text from outside that must not be able to write them.
  bool parse_special = true;
};

/// How Tokenizer::decode writes its text.
struct DecodeOptions {
  bool skip_special = true;        ///< leave markers out
  std::vector<int32_t> keep = {};  ///< but not these
};

/// An immutable tokenizer; threads may share it.
class Tokenizer {
 public:
  /// Reads a folder: tokenizer.json, or vocab.json with merges.txt (then with added tokens from
  /// tokenizer_config.json and added_tokens.json); roles from tokenizer_config.json if present.
  /// Throws kNotFound, kBadInput or kUnsupported, naming the file and what is wrong in it.
  static Tokenizer load(const std::string& folder);

  /// The same from the text of a tokenizer.json, and of a tokenizer_config.json or "".
  static Tokenizer from_json(std::string_view tokenizer_json, std::string_view tokenizer_config,
                             std::string_view source);

  /// Ids of valid UTF-8 text. Throws kBadInput with the byte offset when it is not valid.
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;

  /// Whether decode() leaves the id out.
  bool is_hidden(int32_t id, const DecodeOptions& options) const;
  /// Text of ids; bytes that are not UTF-8 become U+FFFD. Throws kBadInput for an unknown id.
  std::string decode(std::span<const int32_t> ids, const DecodeOptions& options = {}) const;

  /// Bytes of one token, perhaps not whole characters; empty for ids without a token.
  std::string_view piece(int32_t id) const { return vocabulary_.piece(id); }
  /// Id of an added token by its content, or of a vocabulary token by its name in the file.
  std::optional<int32_t> find(std::string_view token) const;

  /// One more than the largest id; a model's matrix may have more rows.
  int32_t vocab_size() const { return vocabulary_.size(); }
  /// Whether an id names a token.
  bool contains(int64_t id) const { return vocabulary_.contains(id); }
  /// Whether an id is a marker, not text.
  bool is_special(int64_t id) const;

  /// Tokens with a role; empty when tokenizer_config.json names none or one that does not exist.
  std::optional<int32_t> bos_id() const { return bos_id_; }
  std::optional<int32_t> eos_id() const { return eos_id_; }
  std::optional<int32_t> unk_id() const { return unk_id_; }
  std::optional<int32_t> pad_id() const { return pad_id_; }

 private:
  Tokenizer(TokenizerDescription description, const TokenRoles& roles);

  static Vocabulary make_vocabulary(const TokenizerDescription& description);
  void add_merges(const TokenizerDescription& description);
  void place_added(std::string_view source);
  void add_roles(const TokenRoles& roles);
  void make_finders();
  const AddedToken* find_added(std::string_view content) const;

  struct EncodeState;
  void encode_normalized(std::string_view text, EncodeState& state) const;
  void encode_words(std::string_view text, EncodeState& state) const;

  Vocabulary vocabulary_;
  Bpe bpe_;
  Pretokenizer pretokenizer_;
  std::vector<NormalForm> normal_forms_;
  bool ignore_merges_;
  std::vector<AddedToken> added_;           ///< sorted by content
  std::vector<bool> special_;               ///< by id; shorter than the vocabulary
  AddedTokenFinder raw_finder_{{}};         ///< added tokens of the text as it comes
  AddedTokenFinder normalized_finder_{{}};  ///< those of the normalised text
  std::optional<int32_t> bos_id_, eos_id_, unk_id_, pad_id_;
};

}  // namespace mm
