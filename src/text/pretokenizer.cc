#include "text/pretokenizer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/error.h"

namespace mm {
namespace {

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Sequences may nest; real files do so at most once.
constexpr int kMaxNesting = 8;

bool bool_or(const JsonView& json, std::string_view key, bool missing, std::string_view source) {
  const auto value = json.find(key);
  return value ? value->as_bool(fmt::format("{}: pre_tokenizer {}", source, key)) : missing;
}

SplitBehavior read_behavior(const JsonView& json, std::string_view source) {
  const auto value = json.find("behavior");
  if (!value)
    bad_input("{}: pre_tokenizer Split has no behavior", source);
  const std::string_view name = value->as_string(fmt::format("{}: pre_tokenizer behavior", source));
  if (name == "Isolated")
    return SplitBehavior::kIsolated;
  if (name == "Removed")
    return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious")
    return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext")
    return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous")
    return SplitBehavior::kContiguous;
  raise(ErrorKind::kUnsupported,
        "{}: pre_tokenizer behavior \"{}\" is unknown; known are Isolated, Removed, "
        "MergedWithPrevious, MergedWithNext, Contiguous",
        source, name);
}

SplitRule read_split(const JsonView& json, std::string_view source) {
  SplitRule rule;
  const auto pattern = json.find("pattern");
  if (!pattern)
    bad_input("{}: pre_tokenizer Split has no pattern", source);
  const std::string what = fmt::format("{}: pre_tokenizer pattern", source);
  if (const auto regex = pattern->find("Regex")) {
    rule.pattern = regex->as_string(what);
  } else if (const auto literal = pattern->find("String")) {
    rule.pattern = literal->as_string(what);
    rule.syntax = Regex::Syntax::kLiteral;
  } else {
    bad_input("{}: expected an object with Regex or String, found {}", what,
              to_string(pattern->kind()));
  }
  rule.behavior = read_behavior(json, source);
  rule.invert = bool_or(json, "invert", false, source);
  return rule;
}

/// Walks nested sequences and appends what they hold.
class Reader {
 public:
  explicit Reader(std::string_view source) : source_(source) {}

  void read(const JsonView& json, int nesting) {
    const auto type = json.find("type");
    if (!type)
      bad_input("{}: pre_tokenizer has no type", source_);
    const std::string_view name = type->as_string(fmt::format("{}: pre_tokenizer type", source_));
    if (has_byte_level_)
      raise(ErrorKind::kUnsupported, "{}: pre_tokenizer {} follows ByteLevel, which must be last",
            source_, name);
    if (name == "Sequence")
      read_sequence(json, nesting);
    else if (name == "Split")
      config_.splits.push_back(read_split(json, source_));
    else if (name == "ByteLevel")
      read_byte_level(json);
    else
      raise(ErrorKind::kUnsupported,
            "{}: pre_tokenizer type \"{}\" is not supported; supported are Split, ByteLevel and "
            "Sequence",
            source_, name);
  }

  PretokenizerConfig take() {
    if (!has_byte_level_)
      raise(ErrorKind::kUnsupported,
            "{}: pre_tokenizer has no ByteLevel; only byte-level vocabularies are supported",
            source_);
    return std::move(config_);
  }

 private:
  void read_sequence(const JsonView& json, int nesting) {
    if (nesting == kMaxNesting)
      bad_input("{}: pre_tokenizer nests more than {} sequences", source_, kMaxNesting);
    const auto parts = json.find("pretokenizers");
    if (!parts)
      bad_input("{}: pre_tokenizer Sequence has no pretokenizers", source_);
    for (const JsonView& part : parts->elements(fmt::format("{}: pretokenizers", source_)))
      read(part, nesting + 1);
  }

  void read_byte_level(const JsonView& json) {
    has_byte_level_ = true;
    config_.add_prefix_space = bool_or(json, "add_prefix_space", true, source_);
    config_.use_gpt2_pattern = bool_or(json, "use_regex", true, source_);
  }

  std::string_view source_;
  PretokenizerConfig config_;
  bool has_byte_level_ = false;
};

/// A stretch of text; matches and the gaps between them alternate in any order.
struct Span {
  size_t begin;
  size_t end;
  bool is_match;
};

/// Calls `emit(Span)` for matches and gaps in order, covering the text. Empty matches are spans
/// too: they separate what is around them.
template <typename Emit>
void for_each_span(const Regex& regex, std::string_view text, RegexScratch& scratch, Emit emit) {
  std::array<Regex::Match, 32> matches;
  Regex::Position position;
  size_t covered = 0;
  for (size_t count = matches.size(); count == matches.size();) {
    count = regex.find_next(text, position, scratch, matches);
    for (size_t i = 0; i < count; ++i) {
      if (covered != matches[i].begin)
        emit(Span{covered, matches[i].begin, false});
      emit(Span{matches[i].begin, matches[i].end, true});
      covered = matches[i].end;
    }
  }
  if (covered != text.size())
    emit(Span{covered, text.size(), false});
}

/// Gathers the words of one text into batches.
class Batcher {
 public:
  Batcher(std::string_view text, Pretokenizer::Sink sink) : text_(text), sink_(sink) {}

  void add(const Span& span) {
    if (span.begin == span.end)
      return;
    words_[count_++] = text_.substr(span.begin, span.end - span.begin);
    if (count_ == words_.size())
      flush();
  }
  void flush() {
    if (count_ > 0)
      sink_({{words_.data(), count_}, text_.data() + text_.size()});
    count_ = 0;
  }

 private:
  std::string_view text_;
  Pretokenizer::Sink sink_;
  std::array<std::string_view, 64> words_;
  size_t count_ = 0;
};

/// Joins each match that is not preceded by a match to the span before it.
std::vector<Span> merge_with_previous(const std::vector<Span>& spans) {
  std::vector<Span> merged;
  bool previous_match = false;
  for (const Span& span : spans) {
    if (span.is_match && !previous_match && !merged.empty())
      merged.back().end = span.end;
    else
      merged.push_back(span);
    previous_match = span.is_match;
  }
  return merged;
}

/// The mirror image: joins each match that is not followed by a match to the span after it.
std::vector<Span> merge_with_next(const std::vector<Span>& spans) {
  std::vector<Span> merged;
  bool next_match = false;
  for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
    if (span->is_match && !next_match && !merged.empty())
      merged.back().begin = span->begin;
    else
      merged.push_back(*span);
    next_match = span->is_match;
  }
  std::reverse(merged.begin(), merged.end());
  return merged;
}

/// Joins neighbours of the same kind.
std::vector<Span> merge_contiguous(const std::vector<Span>& spans) {
  std::vector<Span> merged;
  for (const Span& span : spans) {
    if (!merged.empty() && merged.back().is_match == span.is_match)
      merged.back().end = span.end;
    else
      merged.push_back(span);
  }
  return merged;
}

}  // namespace

const std::string_view kO200kPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

PretokenizerConfig read_pretokenizer(const JsonView& json, std::string_view source) {
  Reader reader(source);
  if (!json.is_null())
    reader.read(json, 0);
  return reader.take();
}

Pretokenizer::Pretokenizer(const PretokenizerConfig& config, std::string_view source)
    : prefix_stage_(std::numeric_limits<size_t>::max()) {
  const std::string what = fmt::format("{}: pre_tokenizer", source);
  for (const SplitRule& rule : config.splits)
    stages_.push_back({Regex(rule.pattern, rule.syntax, what), rule.behavior, rule.invert});
  if (config.add_prefix_space)
    prefix_stage_ = stages_.size();
  if (config.use_gpt2_pattern)
    stages_.push_back({Regex(kGpt2Pattern, Regex::Syntax::kRegex, what), SplitBehavior::kIsolated,
                       /*invert=*/false});
}

void Pretokenizer::split(std::string_view text, RegexScratch& scratch, Sink sink) const {
  if (!text.empty())
    run_stage(0, text, scratch, sink);
}

void Pretokenizer::run_stage(size_t stage, std::string_view text, RegexScratch& scratch,
                             Sink sink) const {
  std::string prefixed;
  if (stage == prefix_stage_ && text[0] != ' ') {
    prefixed.reserve(text.size() + 1);
    prefixed += ' ';
    prefixed += text;
    text = prefixed;
  }
  if (stage == stages_.size()) {
    sink({{&text, 1}, text.data() + text.size()});
    return;
  }
  const bool last = stage + 1 == stages_.size() && prefix_stage_ != stages_.size();
  if (last) {
    split_by(stages_[stage], text, scratch, sink);
    return;
  }
  split_by(stages_[stage], text, scratch, [&](const WordBatch& batch) {
    for (const std::string_view word : batch.words) run_stage(stage + 1, word, scratch, sink);
  });
}

void Pretokenizer::split_by(const Stage& stage, std::string_view text, RegexScratch& scratch,
                            Sink sink) {
  Batcher batcher(text, sink);
  const SplitBehavior behavior = stage.behavior;
  if (behavior == SplitBehavior::kIsolated || behavior == SplitBehavior::kRemoved) {
    const bool removes = behavior == SplitBehavior::kRemoved;
    for_each_span(stage.regex, text, scratch, [&](const Span& span) {
      if (!removes || span.is_match == stage.invert)
        batcher.add(span);
    });
  } else {
    std::vector<Span> spans;
    for_each_span(stage.regex, text, scratch, [&](Span span) {
      span.is_match = span.is_match != stage.invert;
      spans.push_back(span);
    });
    if (behavior == SplitBehavior::kMergedWithPrevious)
      spans = merge_with_previous(spans);
    else if (behavior == SplitBehavior::kMergedWithNext)
      spans = merge_with_next(spans);
    else
      spans = merge_contiguous(spans);
    for (const Span& span : spans) batcher.add(span);
  }
  batcher.flush();
}

}  // namespace mm
