#include "text/tokenizer_files.h"

#include <charconv>

#include "base/error.h"

namespace mm {
namespace {

/// Sequences of normalizers may nest; real files do so at most once.
constexpr int kMaxNesting = 8;

bool is_set(const std::optional<JsonView>& value) {
  return value && !value->is_null();
}

JsonView require(const JsonView& object, std::string_view key, std::string_view source) {
  const auto value = object.find(key);
  if (!value)
    bad_input("{}: key \"{}\" is missing", source, key);
  return *value;
}

bool bool_or_false(const JsonView& object, std::string_view key, std::string_view source) {
  const auto value = object.find(key);
  return is_set(value) && value->as_bool(fmt::format("{}: {}", source, key));
}

void read_normalizer(const JsonView& json, std::string_view source, int nesting,
                     std::vector<NormalForm>& forms) {
  if (json.is_null())
    return;
  const std::string what = fmt::format("{}: normalizer", source);
  if (nesting > kMaxNesting)
    bad_input("{} nests more than {} sequences", what, kMaxNesting);
  const std::string_view type = require(json, "type", what).as_string(what + " type");
  if (type == "Sequence") {
    for (const JsonView& part : require(json, "normalizers", what).elements(what + "s"))
      read_normalizer(part, source, nesting + 1, forms);
  } else if (type == "NFC") {
    forms.push_back(NormalForm::kNfc);
  } else if (type == "NFD") {
    forms.push_back(NormalForm::kNfd);
  } else if (type == "NFKC") {
    forms.push_back(NormalForm::kNfkc);
  } else if (type == "NFKD") {
    forms.push_back(NormalForm::kNfkd);
  } else {
    raise(ErrorKind::kUnsupported,
          "{} type \"{}\" is not supported; supported are NFC, NFD, NFKC, NFKD and Sequence", what,
          type);
  }
}

AddedToken read_added_token(const JsonView& json, int64_t id, std::string_view source) {
  AddedToken token;
  token.id = id;
  token.content = require(json, "content", source).as_string(fmt::format("{}: content", source));
  token.special = bool_or_false(json, "special", source);
  token.lstrip = bool_or_false(json, "lstrip", source);
  token.rstrip = bool_or_false(json, "rstrip", source);
  token.single_word = bool_or_false(json, "single_word", source);
  token.normalized = bool_or_false(json, "normalized", source);
  return token;
}

void read_vocabulary(const JsonView& vocab, std::string_view source,
                     TokenizerDescription& description) {
  const auto members = vocab.members(source);
  description.vocabulary.reserve(members.size());
  for (const auto& [name, id] : members) {
    if (!id.is_int())
      bad_input("{}: id of token \"{}\": expected an integer, found {}", source, name,
                to_string(id.kind()));
    description.vocabulary.push_back({name, id.as_int(source)});
  }
}

TokenizerDescription::Merge split_merge(std::string_view text, std::string_view source,
                                        size_t number) {
  const size_t space = text.find(' ');
  const bool one_space =
      space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos;
  if (!one_space || space == 0 || space + 1 == text.size())
    bad_input("{}: merge {} is \"{}\", expected two tokens with one space between them", source,
              number, text);
  return {text.substr(0, space), text.substr(space + 1)};
}

TokenizerDescription::Merge read_merge(const JsonView& json, std::string_view source,
                                       size_t number) {
  if (json.is_string())
    return split_merge(json.as_string(source), source, number);
  if (!json.is_array())
    bad_input("{}: merge {}: expected a string or an array of two, found {}", source, number,
              to_string(json.kind()));
  const auto pair = json.elements(source);
  if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
    bad_input("{}: merge {} is {}, expected an array of two strings", source, number, json.dump());
  return {pair[0].as_string(source), pair[1].as_string(source)};
}

/// Refuses, by name, what would change the ids and is not implemented.
void refuse_unsupported(const JsonView& model, std::string_view source) {
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto value = model.find(key);
    if (is_set(value) && !value->as_string(fmt::format("{}: model {}", source, key)).empty())
      raise(ErrorKind::kUnsupported, "{}: model {} is \"{}\"; only none is supported", source, key,
            value->as_string(key));
  }
  const auto dropout = model.find("dropout");
  if (is_set(dropout) && dropout->as_double(fmt::format("{}: model dropout", source)) != 0)
    raise(ErrorKind::kUnsupported, "{}: model dropout is {}; only none is supported", source,
          dropout->dump());
}

void read_model(const JsonView& model, std::string_view source, TokenizerDescription& description) {
  const auto type = model.find("type");  // old files have none, and are BPE
  if (is_set(type) && type->as_string(fmt::format("{}: model type", source)) != "BPE")
    raise(ErrorKind::kUnsupported, "{}: model type is \"{}\"; only BPE is supported", source,
          type->as_string(source));
  refuse_unsupported(model, source);
  const std::string vocab_source = fmt::format("{}: model vocab", source);
  read_vocabulary(require(model, "vocab", fmt::format("{}: model", source)), vocab_source,
                  description);
  const std::string merge_source = fmt::format("{}: model merges", source);
  const auto merges =
      require(model, "merges", fmt::format("{}: model", source)).elements(merge_source);
  description.merges.reserve(merges.size());
  for (const JsonView& merge : merges)
    description.merges.push_back(read_merge(merge, source, description.merges.size()));
  description.ignore_merges =
      bool_or_false(model, "ignore_merges", fmt::format("{}: model", source));
}

void check_decoder(const JsonView& root, std::string_view source) {
  const auto decoder = root.find("decoder");
  if (!is_set(decoder))
    return;
  const std::string what = fmt::format("{}: decoder", source);
  const std::string_view type = require(*decoder, "type", what).as_string(what + " type");
  if (type != "ByteLevel")
    raise(ErrorKind::kUnsupported, "{} type is \"{}\"; only ByteLevel is supported", what, type);
}

std::optional<std::string> read_role(const JsonView& config, std::string_view key,
                                     std::string_view source) {
  const auto value = config.find(key);
  if (!is_set(value))
    return std::nullopt;
  const std::string what = fmt::format("{}: {}", source, key);
  const JsonView name = value->is_object() ? require(*value, "content", what) : *value;
  return std::string(name.as_string(what));
}

int64_t parse_id(std::string_view text, std::string_view source) {
  int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size())
    bad_input("{}: key \"{}\" is not a token id", source, text);
  return id;
}

}  // namespace

TokenizerDescription read_tokenizer_json(const JsonView& root, std::string_view source) {
  if (!root.is_object())
    bad_input("{}: expected an object, found {}", source, to_string(root.kind()));
  TokenizerDescription description;
  description.source = source;
  read_model(require(root, "model", source), source, description);
  if (const auto normalizer = root.find("normalizer"))
    read_normalizer(*normalizer, source, 0, description.normal_forms);
  description.pretokenizer = read_pretokenizer(require(root, "pre_tokenizer", source), source);
  check_decoder(root, source);
  const std::string what = fmt::format("{}: added_tokens", source);
  if (const auto added = root.find("added_tokens"); is_set(added)) {
    for (const JsonView& json : added->elements(what))
      description.added.push_back(
          read_added_token(json, require(json, "id", what).as_int(what + " id"), what));
  }
  return description;
}

TokenizerDescription read_vocab_and_merges(const JsonView& vocab, std::string_view merges,
                                           std::string_view vocab_source,
                                           std::string_view merges_source) {
  TokenizerDescription description;
  description.source = vocab_source;
  read_vocabulary(vocab, vocab_source, description);
  for (size_t line_number = 0; !merges.empty(); ++line_number) {
    const size_t newline = std::min(merges.find('\n'), merges.size() - 1);
    std::string_view line = merges.substr(0, newline + 1);
    merges.remove_prefix(newline + 1);
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    const bool heading = line_number == 0 && line.starts_with("#version");
    if (!line.empty() && !heading)
      description.merges.push_back(split_merge(line, merges_source, description.merges.size()));
  }
  SplitRule rule;
  rule.pattern = kO200kPattern;
  description.pretokenizer.splits.push_back(std::move(rule));
  return description;
}

std::vector<AddedToken> read_added_tokens_decoder(const JsonView& config, std::string_view source) {
  std::vector<AddedToken> tokens;
  const auto decoder = config.find("added_tokens_decoder");
  if (!is_set(decoder))
    return tokens;
  const std::string what = fmt::format("{}: added_tokens_decoder", source);
  for (const auto& [id, json] : decoder->members(what))
    tokens.push_back(read_added_token(json, parse_id(id, what), what));
  return tokens;
}

std::vector<AddedToken> read_added_tokens_file(const JsonView& root, std::string_view source) {
  std::vector<AddedToken> tokens;
  for (const auto& [name, id] : root.members(source)) {
    AddedToken token;
    token.content = name;
    token.id = id.as_int(fmt::format("{}: id of \"{}\"", source, name));
    token.special = true;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

TokenRoles read_token_roles(const JsonView& config, std::string_view source) {
  return {read_role(config, "bos_token", source), read_role(config, "eos_token", source),
          read_role(config, "unk_token", source), read_role(config, "pad_token", source)};
}

}  // namespace mm
