/// What narrows the tokens of one generation down, step by step.
#pragma once

#include <cstdint>
#include <span>

namespace mm {

/// Belongs to one request. Called by one thread at a time, not always the same one, for every token
/// in order: what it allows may depend on nothing but the tokens that it was told of.
class TokenMask {
 public:
  virtual ~TokenMask() = default;
  /// Sets the bits of the ids that may be drawn next and clears the others; 64 ids a word.
  virtual void find_allowed(std::span<uint64_t> allowed) = 0;
  /// Tells of the id that was drawn.
  virtual void accept(int32_t id) = 0;
  /// Whether nothing can follow: the request has then ended.
  virtual bool must_end() const = 0;
};

}  // namespace mm
