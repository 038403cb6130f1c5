/// Stop strings over streamed text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mm {

/// What StopMatcher::push found.
struct StopResult {
  std::string text;            ///< safe to show: nothing in it can still become part of a stop
  std::optional<size_t> stop;  ///< index of the stop string that was hit, set once
};

/// Finds the first stop string to be completed in a stream and holds back what may begin one.
///
/// The hit is the occurrence whose last byte comes first, and of those ending there the longest
/// (the earlier in the list when equal): a rule that does not depend on how the text is cut into
/// pushes. The stop string itself is never released. Cost: O(bytes × stop strings) in all, memory
/// O(total length of the stop strings).
class StopMatcher {
 public:
  /// Throws kBadInput if a stop string is empty or not valid UTF-8.
  explicit StopMatcher(std::vector<std::string> stops);

  /// Adds text and returns what is now safe to release. After a hit, further text is dropped.
  StopResult push(std::string_view text);

  /// Releases what was held back: call once, when the text ends without a hit.
  std::string flush();

  /// The stop string that was hit, if any.
  std::optional<size_t> stopped() const { return stopped_; }

 private:
  /// One stop string as a Knuth-Morris-Pratt automaton.
  struct Pattern {
    std::string text;
    std::vector<size_t> fallback;  ///< [i]: longest proper border of the first i bytes
    size_t matched = 0;            ///< bytes of `text` that the stream now ends with
  };
  static bool advance(Pattern& pattern, char byte);
  std::optional<size_t> advance_all(char byte);

  std::vector<Pattern> patterns_;
  std::string held_;  ///< the end of the stream that is a beginning of some stop string
  std::optional<size_t> stopped_;
};

}  // namespace mm
