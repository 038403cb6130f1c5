#include "text/tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/mapped_file.h"
#include "text/regex.h"
#include "text/utf8.h"
#include "text/word_encoder.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

bool exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

TokenRoles roles_of(const std::optional<JsonDocument>& config, std::string_view source) {
  return config ? read_token_roles(config->root(), source) : TokenRoles{};
}

/// Adds `more` to `tokens`, leaving out what is there already under the same id.
void join(std::vector<AddedToken> more, std::string_view source, std::vector<AddedToken>& tokens) {
  for (AddedToken& token : more) {
    const auto same = std::find_if(tokens.begin(), tokens.end(), [&](const AddedToken& other) {
      return other.content == token.content;
    });
    if (same == tokens.end())
      tokens.push_back(std::move(token));
    else if (same->id != token.id)
      bad_input("{}: added token \"{}\" has id {}, but {} in another file", source, token.content,
                token.id, same->id);
  }
}

std::string normalize_all(std::string_view text, const std::vector<NormalForm>& forms) {
  std::string result(text);
  for (const NormalForm form : forms) result = normalize(result, form);
  return result;
}

bool by_content(const AddedToken& a, const AddedToken& b) {
  return a.content < b.content;
}

}  // namespace

Tokenizer Tokenizer::load(const std::string& folder) {
  const fs::path base(folder);
  const std::string config_path = (base / "tokenizer_config.json").string();
  std::optional<JsonDocument> config;
  if (exists(config_path))
    config = JsonDocument::read(config_path);
  const TokenRoles roles = roles_of(config, config_path);
  const std::string json_path = (base / "tokenizer.json").string();
  if (exists(json_path)) {
    const JsonDocument document = JsonDocument::read(json_path);
    return Tokenizer(read_tokenizer_json(document.root(), json_path), roles);
  }
  const std::string vocab_path = (base / "vocab.json").string();
  const std::string merges_path = (base / "merges.txt").string();
  if (!exists(vocab_path) || !exists(merges_path))
    raise(ErrorKind::kNotFound,
          "{}: no tokenizer here; expected tokenizer.json, or vocab.json with merges.txt", folder);
  const JsonDocument vocab = JsonDocument::read(vocab_path);
  const MappedFile merges(merges_path);
  utf8::require_valid(merges.text(), merges_path);
  TokenizerDescription description =
      read_vocab_and_merges(vocab.root(), merges.text(), vocab_path, merges_path);
  if (config)
    description.added = read_added_tokens_decoder(config->root(), config_path);
  const std::string added_path = (base / "added_tokens.json").string();
  if (exists(added_path)) {
    const JsonDocument added = JsonDocument::read(added_path);
    join(read_added_tokens_file(added.root(), added_path), added_path, description.added);
  }
  return Tokenizer(std::move(description), roles);
}

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view tokenizer_config,
                               std::string_view source) {
  const JsonDocument document = JsonDocument::parse(tokenizer_json, source);
  std::optional<JsonDocument> config;
  const std::string config_source = fmt::format("{}: tokenizer_config.json", source);
  if (!tokenizer_config.empty())
    config = JsonDocument::parse(tokenizer_config, config_source);
  return Tokenizer(read_tokenizer_json(document.root(), source), roles_of(config, config_source));
}

Tokenizer::Tokenizer(TokenizerDescription description, const TokenRoles& roles)
    : vocabulary_(make_vocabulary(description)),
      bpe_(vocabulary_.byte_ids(description.source)),
      pretokenizer_(description.pretokenizer, description.source),
      normal_forms_(description.normal_forms),
      ignore_merges_(description.ignore_merges) {
  add_merges(description);
  added_ = std::move(description.added);
  place_added(description.source);
  add_roles(roles);
  make_finders();
}

Vocabulary Tokenizer::make_vocabulary(const TokenizerDescription& description) {
  Vocabulary vocabulary;
  size_t bytes = 0;
  for (const auto& entry : description.vocabulary) bytes += entry.name.size();
  vocabulary.reserve(description.vocabulary.size() + description.added.size(), bytes);
  for (const auto& entry : description.vocabulary)
    vocabulary.add(entry.name, entry.id, description.source);
  return vocabulary;
}

void Tokenizer::add_merges(const TokenizerDescription& description) {
  bpe_.reserve(description.merges.size());
  std::string name;
  for (size_t i = 0; i < description.merges.size(); ++i) {
    const TokenizerDescription::Merge& merge = description.merges[i];
    name.assign(merge.left);
    name += merge.right;
    const auto id_of = [&](std::string_view token) {
      const auto id = vocabulary_.find_name(token);
      if (!id)
        bad_input(
            "{}: merge {} (\"{}\" and \"{}\") names token \"{}\", which is not in the "
            "vocabulary",
            description.source, i, merge.left, merge.right, token);
      return *id;
    };
    const int32_t left = id_of(merge.left);
    const int32_t right = id_of(merge.right);
    bpe_.add(left, right, id_of(name));
  }
}

/// Makes special tokens of what tokenizer_config.json gives a role: some files leave them in the
/// vocabulary only.
void Tokenizer::add_roles(const TokenRoles& roles) {
  for (const auto* name : {&roles.bos, &roles.eos, &roles.unk, &roles.pad}) {
    if (!*name || find_added(**name) != nullptr)
      continue;
    if (const auto id = vocabulary_.find_name(**name)) {
      added_.push_back({.id = *id, .content = **name, .special = true});
      std::sort(added_.begin(), added_.end(), by_content);
    }
  }
  const auto id_of = [this](const std::optional<std::string>& name) {
    return name ? find(*name) : std::nullopt;
  };
  bos_id_ = id_of(roles.bos);
  eos_id_ = id_of(roles.eos);
  unk_id_ = id_of(roles.unk);
  pad_id_ = id_of(roles.pad);
}

/// Gives each added token its place in the vocabulary.
void Tokenizer::place_added(std::string_view source) {
  std::sort(added_.begin(), added_.end(), by_content);
  for (size_t i = 0; i < added_.size(); ++i) {
    const AddedToken& token = added_[i];
    if (token.content.empty())
      bad_input("{}: the added token with id {} is empty", source, token.id);
    if (i > 0 && added_[i - 1].content == token.content)
      bad_input("{}: added token \"{}\" is listed twice", source, token.content);
    const auto in_vocabulary = vocabulary_.find_name(token.content);
    if (!in_vocabulary)
      vocabulary_.add_literal(token.content, token.id, source);
    else if (*in_vocabulary != token.id)
      bad_input("{}: added token \"{}\" has id {}, but {} in the vocabulary", source, token.content,
                token.id, *in_vocabulary);
  }
}

/// Sorts the added tokens by when and how they are looked for.
void Tokenizer::make_finders() {
  std::vector<AddedToken> raw;
  std::vector<AddedToken> normalized;
  special_.assign(static_cast<size_t>(vocabulary_.size()), false);
  for (const AddedToken& token : added_) {
    special_[static_cast<size_t>(token.id)] = token.special;
    if (!token.normalized) {
      raw.push_back(token);
      continue;
    }
    normalized.push_back(token);
    normalized.back().content = normalize_all(token.content, normal_forms_);
  }
  raw_finder_ = AddedTokenFinder(std::move(raw));
  normalized_finder_ = AddedTokenFinder(std::move(normalized));
}

const AddedToken* Tokenizer::find_added(std::string_view content) const {
  const auto found = std::lower_bound(
      added_.begin(), added_.end(), content,
      [](const AddedToken& token, std::string_view key) { return token.content < key; });
  return found != added_.end() && found->content == content ? &*found : nullptr;
}

std::optional<int32_t> Tokenizer::find(std::string_view token) const {
  if (const AddedToken* added = find_added(token))
    return static_cast<int32_t>(added->id);
  return vocabulary_.find_name(token);
}

bool Tokenizer::is_special(int64_t id) const {
  return id >= 0 && static_cast<size_t>(id) < special_.size() && special_[static_cast<size_t>(id)];
}

/// What one call of encode carries along.
struct Tokenizer::EncodeState {
  AddedTokenFinder::Special special;
  RegexScratch scratch;
  WordEncoder words;
};

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  utf8::require_valid(text, "text");
  EncodeState state{options.parse_special ? AddedTokenFinder::Special::kParse
                                          : AddedTokenFinder::Special::kAsText,
                    RegexScratch(text.size()),
                    WordEncoder(bpe_, ignore_merges_ ? &vocabulary_ : nullptr, text.size())};
  raw_finder_.split(text, state.special, [&](const TextPart& part) {
    if (part.id >= 0)
      state.words.push(part.id);
    else if (normal_forms_.empty())
      encode_normalized(part.text, state);
    else
      encode_normalized(normalize_all(part.text, normal_forms_), state);
  });
  return state.words.take();
}

void Tokenizer::encode_normalized(std::string_view text, EncodeState& state) const {
  normalized_finder_.split(text, state.special, [&](const TextPart& part) {
    if (part.id >= 0)
      state.words.push(part.id);
    else
      encode_words(part.text, state);
  });
}

void Tokenizer::encode_words(std::string_view text, EncodeState& state) const {
  pretokenizer_.split(text, state.scratch,
                      [&](const WordBatch& batch) { state.words.encode(batch); });
}

bool Tokenizer::is_hidden(int32_t id, const DecodeOptions& options) const {
  return options.skip_special && is_special(id) &&
         std::find(options.keep.begin(), options.keep.end(), id) == options.keep.end();
}

std::string Tokenizer::decode(std::span<const int32_t> ids, const DecodeOptions& options) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (!contains(id))
      bad_input("token id {} is not in the tokenizer, whose ids are below {}", id, vocab_size());
    if (!is_hidden(id, options))
      bytes += piece(id);
  }
  return utf8::replace_invalid(bytes);
}

}  // namespace mm
