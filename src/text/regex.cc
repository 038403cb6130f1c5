#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <utility>

#include "base/error.h"
#include "text/utf8.h"

namespace mm {
namespace {

/// Unicode White_Space. PCRE2's own \s adds U+180E, so the property is spelled out; a class of
/// ranges is also faster than \p{White_Space} because bytes under 256 are one bit test.
constexpr std::string_view kWhiteSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

/// Steps a search may take: a linear scan backs off at most a few times per byte, a pattern that
/// runs away passes any such limit at once.
constexpr uint64_t kBaseSteps = 10'000'000;
constexpr uint64_t kStepsPerByte = 64;

/// JIT code starts on 32 KiB of the machine stack; patterns that need more get this much.
constexpr size_t kFirstJitStack = size_t{1} << 20;
constexpr size_t kMaxJitStack = size_t{64} << 20;

struct CodeFree {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDataFree {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct ContextFree {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct StackFree {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
using Code = std::unique_ptr<pcre2_code, CodeFree>;

PCRE2_SPTR bytes_of(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(error, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

/// Appends what `\s` and `\S` mean and returns true, or returns false for other escapes.
bool append_space_escape(char escape, bool in_class, std::string& out) {
  if (escape == 's')
    out += in_class ? std::string(kWhiteSpace) : fmt::format("[{}]", kWhiteSpace);
  else if (escape == 'S')
    out += in_class ? std::string(R"(\P{White_Space})") : fmt::format("[^{}]", kWhiteSpace);
  else
    return false;
  return true;
}

/// Length of a POSIX class like [:alpha:] at `at`, or 0.
size_t posix_class_length(std::string_view pattern, size_t at) {
  if (pattern.substr(at, 2) != "[:")
    return 0;
  const size_t close = pattern.find(":]", at + 2);
  return close == std::string_view::npos ? 0 : close + 2 - at;
}

/// Rewrites a Ruby pattern where PCRE2 would read the same characters differently.
std::string to_pcre(std::string_view pattern, std::string_view what) {
  std::string out;
  bool in_class = false;
  size_t class_start = 0;  // where a ']' is an ordinary character
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      ++i;
      if (!append_space_escape(pattern[i], in_class, out))
        out.append({c, pattern[i]});
      continue;
    }
    if (!in_class && c == '[') {
      in_class = true;
      class_start = i + (pattern.substr(i + 1, 1) == "^" ? 2 : 1);
    } else if (in_class && c == ']' && i != class_start) {
      in_class = false;
    } else if (in_class && c == '[') {
      const size_t posix = posix_class_length(pattern, i);
      if (posix == 0)
        raise(ErrorKind::kUnsupported,
              "{}: pattern has a nested character class at byte {}, which is not supported", what,
              i);
      out.append(pattern, i, posix);
      i += posix - 1;
      continue;
    } else if (in_class && pattern.substr(i, 2) == "&&") {
      raise(ErrorKind::kUnsupported,
            "{}: pattern has a class intersection (&&) at byte {}, which is not supported", what,
            i);
    }
    out += c;
  }
  return out;
}

Code compile(std::string_view pattern, uint32_t options, std::string_view what) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(bytes_of(pattern), pattern.size(), options, &error, &offset, nullptr));
  if (code == nullptr)
    bad_input("{}: pattern does not compile: {} at byte {} of \"{}\"", what, message_of(error),
              offset, pattern);
  return code;
}

}  // namespace

struct RegexScratch::Impl {
  std::unique_ptr<pcre2_match_data, MatchDataFree> data;
  std::unique_ptr<pcre2_match_context, ContextFree> context;
  std::unique_ptr<pcre2_jit_stack, StackFree> stack;
};

RegexScratch::RegexScratch(size_t text_size) : impl_(std::make_unique<Impl>()) {
  impl_->data.reset(pcre2_match_data_create(1, nullptr));
  impl_->context.reset(pcre2_match_context_create(nullptr));
  if (impl_->data == nullptr || impl_->context == nullptr)
    throw std::bad_alloc();
  const uint64_t steps = kBaseSteps + kStepsPerByte * text_size;
  pcre2_set_match_limit(impl_->context.get(), static_cast<uint32_t>(std::min<uint64_t>(
                                                  steps, std::numeric_limits<uint32_t>::max())));
}
RegexScratch::~RegexScratch() = default;

struct Regex::Impl {
  /// The pattern twice: most searches of a tokenizer succeed where they begin, and the anchored
  /// form is faster there; if it fails, the free form looks further on. (Anchoring is a compile
  /// option because PCRE2's JIT refuses it as a match option.)
  Code anchored;
  Code free;
  bool jit = false;
  std::string what;

  int run(const pcre2_code* code, std::string_view text, size_t from,
          RegexScratch::Impl& scratch) const;
  int find(std::string_view text, size_t from, RegexScratch::Impl& scratch) const;
};

Regex::Regex(std::string_view pattern, Syntax syntax, std::string_view what)
    : impl_(std::make_unique<Impl>()) {
  utf8::require_valid(pattern, what);
  uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK;
  if (syntax == Syntax::kLiteral)
    options |= PCRE2_LITERAL;
  else  // Ruby's ^ and $ are always line anchors; \C would split characters.
    options |= PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  const std::string translated =
      syntax == Syntax::kLiteral ? std::string(pattern) : to_pcre(pattern, what);
  impl_->what = what;
  impl_->free = compile(translated, options, what);
  impl_->anchored = compile(translated, options | PCRE2_ANCHORED, what);
  // Where executable memory is forbidden, PCRE2's interpreter does the same, more slowly.
  impl_->jit = pcre2_jit_compile(impl_->free.get(), PCRE2_JIT_COMPLETE) == 0 &&
               pcre2_jit_compile(impl_->anchored.get(), PCRE2_JIT_COMPLETE) == 0;
}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

int Regex::Impl::run(const pcre2_code* code, std::string_view text, size_t from,
                     RegexScratch::Impl& scratch) const {
  pcre2_match_data* data = scratch.data.get();
  pcre2_match_context* context = scratch.context.get();
  if (!jit)
    return pcre2_match(code, bytes_of(text), text.size(), from, PCRE2_NO_UTF_CHECK, data, context);
  int result = pcre2_jit_match(code, bytes_of(text), text.size(), from, 0, data, context);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT && scratch.stack == nullptr) {
    scratch.stack.reset(pcre2_jit_stack_create(kFirstJitStack, kMaxJitStack, nullptr));
    if (scratch.stack == nullptr)
      throw std::bad_alloc();
    pcre2_jit_stack_assign(context, nullptr, scratch.stack.get());
    result = pcre2_jit_match(code, bytes_of(text), text.size(), from, 0, data, context);
  }
  return result;
}

/// As pcre2_match: negative when there is no match at `from` or later.
int Regex::Impl::find(std::string_view text, size_t from, RegexScratch::Impl& scratch) const {
  int result = run(anchored.get(), text, from, scratch);
  if (result == PCRE2_ERROR_NOMATCH)
    result = run(free.get(), text, from, scratch);
  if (result < 0 && result != PCRE2_ERROR_NOMATCH)
    raise(ErrorKind::kTooLarge, "{}: pattern gives up at byte {} of a text of {} bytes: {}", what,
          from, text.size(), message_of(result));
  return result;
}

size_t Regex::find_next(std::string_view text, Position& position, RegexScratch& scratch,
                        std::span<Match> out) const {
  pcre2_match_data* data = scratch.impl_->data.get();
  pcre2_match_context* context = scratch.impl_->context.get();
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data);
  const pcre2_code* fast = impl_->jit ? impl_->anchored.get() : nullptr;
  auto [from, covered] = position;
  size_t count = 0;
  while (count < out.size() && from < text.size()) {
    int result = PCRE2_ERROR_NOMATCH;
    if (fast != nullptr)
      result = pcre2_jit_match(fast, bytes_of(text), text.size(), from, 0, data, context);
    if (result < 0 && impl_->find(text, from, *scratch.impl_) < 0)
      break;
    // A \K can put the start after the end, or before `from`.
    const size_t end = std::max(offsets[1], from);
    const size_t begin = std::clamp(offsets[0], from, end);
    if (begin != end || begin != covered)
      out[count++] = {begin, end};
    covered = end;
    from = end;
    if (begin == end && end < text.size())  // go on behind the next character
      from += static_cast<size_t>(utf8::decode_first(text.substr(end)).length);
  }
  position = {from, covered};
  return count;
}

}  // namespace mm
