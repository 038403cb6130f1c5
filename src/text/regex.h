/// A regular expression of a tokenizer file, run by PCRE2 (which stays behind this header).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mm {

/// Working memory of a search: one per thread, reused between searches of any Regex.
class RegexScratch {
 public:
  /// `text_size`: bytes of the longest text that will be searched; sets the limit of steps.
  explicit RegexScratch(size_t text_size);
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;

 private:
  friend class Regex;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A compiled pattern; immutable, so threads may share it.
///
/// Patterns are written for the regex engine of Hugging Face's tokenizers (Oniguruma, Ruby syntax)
/// and mean the same here: Unicode classes, `\s` as the White_Space property, `^` and `$` at line
/// ends. Nested classes and class intersections, which PCRE2 would silently read as something
/// else, are refused.
class Regex {
 public:
  enum class Syntax { kRegex, kLiteral };
  struct Match {
    size_t begin = 0;  ///< byte offset
    size_t end = 0;    ///< one past the last byte; may equal begin
  };

  /// Compiles a pattern. `what` names it in errors.
  /// Throws kBadInput with offset and reason on bad syntax, kUnsupported as said above.
  Regex(std::string_view pattern, Syntax syntax, std::string_view what);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  /// Where a search through one text stands.
  struct Position {
    size_t from = 0;     ///< where the next match may begin
    size_t covered = 0;  ///< end of the match before
  };

  /// Writes the next matches in valid UTF-8, from left to right and none overlapping, into `out`
  /// and returns how many; fewer than fit means that there are no more. An empty match counts
  /// unless it touches the end of the match before it.
  /// Throws kTooLarge when the pattern needs more than the allowed steps.
  size_t find_next(std::string_view text, Position& position, RegexScratch& scratch,
                   std::span<Match> out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mm
