/// What one rendering may spend, and how overspending is reported.
///
/// A template is data that came with a model: it must not be able to hang the program or to fill
/// its memory. Every loop, every built string and every built container is charged here.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace mm::jinja {

constexpr size_t kMaxTemplateBytes = size_t{1} << 20;  ///< source text of one template
constexpr int kMaxSyntaxDepth = 150;                   ///< nesting of tags and of expressions
constexpr int kMaxEvaluationDepth = 700;               ///< macro calls × nesting at run time
constexpr int kMaxValueDepth = 280;                    ///< lists in lists; JSON input has 256
constexpr int64_t kMaxRangeLength = 100'000;           ///< numbers in one range()
constexpr int64_t kMaxSteps = 50'000'000;              ///< evaluations and loop turns
constexpr size_t kMaxStringBytes = size_t{256} << 20;  ///< one string
constexpr size_t kMaxOutputBytes = size_t{256} << 20;  ///< the rendered text
constexpr size_t kMaxBuiltBytes = size_t{1} << 30;     ///< all values built in one rendering
constexpr size_t kMaxArguments = 256;                  ///< of one call or macro

/// Limits of one rendering; the defaults are the constants above.
struct Limits {
  int64_t steps = kMaxSteps;
  size_t string_bytes = kMaxStringBytes;
  size_t output_bytes = kMaxOutputBytes;
  size_t built_bytes = kMaxBuiltBytes;
};

/// A fault inside a template, before its place is known; never leaves mm::jinja.
class Fault : public std::exception {
 public:
  Fault(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
  std::string message_;
};

/// Throws a kBadInput Fault with a formatted message.
template <typename... Args>
[[noreturn]] void fault(fmt::format_string<Args...> format, Args&&... args) {
  throw Fault(ErrorKind::kBadInput, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws a kTooLarge Fault with a formatted message.
template <typename... Args>
[[noreturn]] void too_large(fmt::format_string<Args...> format, Args&&... args) {
  throw Fault(ErrorKind::kTooLarge, fmt::format(format, std::forward<Args>(args)...));
}

/// Counts down what a rendering may still do; throws kTooLarge when it is used up.
class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}

  /// One unit is about one evaluated node or 64 bytes looked at.
  void step(int64_t count = 1) {
    if (count > limits_.steps - steps_) {
      too_large("the template runs for more than {} steps", limits_.steps);
    }
    steps_ += count;
  }
  /// Charges for scanning `bytes` bytes.
  void scan(size_t bytes) { step(static_cast<int64_t>(bytes / 64) + 1); }
  /// Charges for building a value of `bytes` bytes.
  void build(size_t bytes) {
    if (bytes > limits_.built_bytes - built_) {
      too_large("the template builds more than {} bytes of values", limits_.built_bytes);
    }
    built_ += bytes;
  }
  /// Refuses a string of `bytes` bytes that is over the limit, before it is built.
  void check_string(size_t bytes) const {
    if (bytes > limits_.string_bytes) {
      too_large("the template builds a string of {} bytes, over the limit of {}", bytes,
                limits_.string_bytes);
    }
  }
  const Limits& limits() const { return limits_; }

 private:
  Limits limits_;
  int64_t steps_ = 0;
  size_t built_ = 0;
};

/// A string under construction that throws kTooLarge instead of passing the limit.
class BoundedString {
 public:
  explicit BoundedString(Budget& budget) : BoundedString(budget, budget.limits().string_bytes) {}
  BoundedString(Budget& budget, size_t limit) : budget_(budget), limit_(limit) {}

  void append(std::string_view text) {
    reserve(text.size());
    text_.append(text);
  }
  void append(size_t count, char byte) {
    reserve(count);
    text_.append(count, byte);
  }
  size_t size() const { return text_.size(); }
  Budget& budget() { return budget_; }
  std::string take() { return std::move(text_); }

 private:
  void reserve(size_t more) {
    if (more > limit_ - text_.size()) {
      too_large("the template builds a text of more than {} bytes", limit_);
    }
    budget_.build(more);
  }

  Budget& budget_;
  size_t limit_;
  std::string text_;
};

}  // namespace mm::jinja
