/// Cutting text into the words that byte-pair encoding works on.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "base/json.h"
#include "text/regex.h"

namespace mm {

/// What becomes of the places where a pattern matches.
enum class SplitBehavior {
  kIsolated,            ///< a match is a word of its own
  kRemoved,             ///< a match is dropped
  kMergedWithPrevious,  ///< a match is the end of the word before it
  kMergedWithNext,      ///< a match is the beginning of the word after it
  kContiguous,          ///< neighbouring matches are one word
};

/// One "Split" of tokenizer.json.
struct SplitRule {
  std::string pattern;
  Regex::Syntax syntax = Regex::Syntax::kRegex;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  ///< exchange matches and what lies between them
};

/// The "pre_tokenizer" of tokenizer.json: splits, each applied to the words of the one before.
struct PretokenizerConfig {
  std::vector<SplitRule> splits;
  /// ByteLevel: put a space before each word of `splits` that does not begin with one.
  bool add_prefix_space = false;
  /// ByteLevel: cut further by GPT-2's pattern, after the prefix space.
  bool use_gpt2_pattern = false;
};

/// Reads "pre_tokenizer". Throws kBadInput on wrong types and kUnsupported, naming it, for a kind
/// that is not Split, ByteLevel or Sequence, and when ByteLevel is missing or not last: then the
/// vocabulary is not one of bytes.
PretokenizerConfig read_pretokenizer(const JsonView& json, std::string_view source);

/// The pattern of GPT-4o ("o200k"), which folders of vocab.json and merges.txt leave unsaid.
extern const std::string_view kO200kPattern;

/// Some words in the order of the text, valid during the call that hands them out.
struct WordBatch {
  std::span<const std::string_view> words;  ///< none is empty
  const char* readable_end;                 ///< memory may be read up to here, also behind a word
};

/// A compiled PretokenizerConfig; immutable, so threads may share it.
class Pretokenizer {
 public:
  /// Compiles the patterns; `source` names the file in errors.
  Pretokenizer(const PretokenizerConfig& config, std::string_view source);

  using Sink = FunctionRef<void(const WordBatch&)>;

  /// Calls `sink` with all words in order, a batch at a time. `text` is valid UTF-8.
  /// Cost: linear in the text for the patterns in use. Throws kTooLarge as Regex::find_next.
  void split(std::string_view text, RegexScratch& scratch, Sink sink) const;

 private:
  struct Stage {
    Regex regex;
    SplitBehavior behavior;
    bool invert;
  };
  void run_stage(size_t stage, std::string_view text, RegexScratch& scratch, Sink sink) const;
  static void split_by(const Stage& stage, std::string_view text, RegexScratch& scratch, Sink sink);

  std::vector<Stage> stages_;
  size_t prefix_stage_;  ///< stage before which the prefix space goes; over the end: none
};

}  // namespace mm
