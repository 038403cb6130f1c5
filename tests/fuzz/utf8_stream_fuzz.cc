// Arbitrary bytes on their way through encoding, streaming detokenizer and stop strings.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tests/text/tiny_tokenizer.h"
#include "text/detokenizer.h"
#include "text/stop.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

void require(bool promise) {
  if (!promise) {
    std::abort();
  }
}

const mm::Tokenizer& tokenizer() {
  static const mm::Tokenizer kTokenizer = [] {
    mm::Json json = mm::testing::tiny_tokenizer(
        {{"\xF0", "\x9F"}, {"\x82", "!"}, {"a", "a"}, {"aa", "aa"}, {" ", "a"}, {"\xC3", "\xA9"}});
    json["added_tokens"] = {mm::testing::added_token(300, "<end>"),
                            mm::testing::added_token(301, "<e\u00E9>")};
    return mm::Tokenizer::from_json(json.dump(), "", "fuzz");
  }();
  return kTokenizer;
}

/// Bytes as text: valid text comes back, other bytes are refused at the right place.
void check_text(std::string_view bytes) {
  const size_t invalid = mm::utf8::find_invalid(bytes);
  const std::string repaired = mm::utf8::replace_invalid(bytes);
  require(mm::utf8::find_invalid(repaired) == std::string_view::npos);
  require((invalid == std::string_view::npos) == (repaired == bytes));
  for (const bool parse_special : {false, true}) {
    try {
      const auto ids = tokenizer().encode(bytes, {.parse_special = parse_special});
      require(invalid == std::string_view::npos);
      require(tokenizer().decode(ids, {.skip_special = false}) == bytes);
    } catch (const mm::Error& error) {
      require(error.kind() == mm::ErrorKind::kBadInput && invalid != std::string_view::npos);
      require(std::string(error.what()).find("at byte " + std::to_string(invalid) + " ") !=
              std::string::npos);
    }
  }
}

/// Bytes as ids: each piece is valid, and the pieces join to what decode gives.
void check_ids(std::string_view bytes) {
  for (const bool skip_special : {false, true}) {
    mm::Detokenizer detokenizer(tokenizer(), {.skip_special = skip_special});
    std::vector<int32_t> known;
    std::string joined;
    for (size_t i = 0; i + 1 < bytes.size(); ++i) {
      // Ids up to 319: bytes, merges, gaps, added tokens and beyond the end.
      const int32_t id = static_cast<unsigned char>(bytes[i]) + (bytes[i + 1] & 0x3F);
      const std::string piece = detokenizer.push(id);
      require(mm::utf8::find_invalid(piece) == std::string_view::npos);
      joined += piece;
      if (tokenizer().contains(id)) {
        known.push_back(id);
      }
    }
    joined += detokenizer.flush();
    require(joined == tokenizer().decode(known, {.skip_special = skip_special}));
  }
}

struct Outcome {
  std::string text;
  std::optional<size_t> stop;
  bool operator==(const Outcome&) const = default;
};

/// The rule of stop.h in plain loops.
Outcome expected_stop(const std::vector<std::string>& stops, std::string_view text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::optional<size_t> hit;
    for (size_t i = 0; i < stops.size(); ++i) {
      if (text.substr(0, end).ends_with(stops[i]) &&
          (!hit || stops[i].size() > stops[*hit].size())) {
        hit = i;
      }
    }
    if (hit) {
      return {std::string(text.substr(0, end - stops[*hit].size())), hit};
    }
  }
  return {std::string(text), std::nullopt};
}

/// The bytes before each of the first zeros are stop strings, the rest is text.
void check_stops(std::string_view bytes) {
  const std::string repaired = mm::utf8::replace_invalid(bytes.substr(0, 512));
  std::string_view rest = repaired;
  std::vector<std::string> stops;
  for (size_t zero = rest.find('\0'); zero != std::string_view::npos && stops.size() < 4;
       zero = rest.find('\0')) {
    if (zero > 0) {
      stops.emplace_back(rest.substr(0, zero));
    }
    rest.remove_prefix(zero + 1);
  }
  const Outcome expected = expected_stop(stops, rest);
  for (const size_t step : {size_t{1}, size_t{3}, size_t{1000}}) {
    mm::StopMatcher matcher(stops);
    Outcome outcome;
    for (size_t at = 0; at < rest.size() && !outcome.stop; at += step) {
      mm::StopResult result = matcher.push(rest.substr(at, step));
      outcome.text += result.text;
      outcome.stop = result.stop;
    }
    outcome.text += matcher.flush();
    require(outcome == expected);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_text(bytes);
  check_ids(bytes);
  check_stops(bytes);
  return 0;
}
