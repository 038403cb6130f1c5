// A tokenizer.json is refused with a sentence or gives a tokenizer that keeps its promises.
//
// Random bytes never hold the 256 byte symbols that a vocabulary needs, so each input is tried
// twice: as the whole file, and as changes to a small good one. In the changes "vocab" and "merges"
// add to the model's, other keys of a model replace its own, and the rest replaces the file's.
#include <algorithm>
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
#include "text/tokenizer.h"

namespace {

using mm::Json;

const Json& base() {
  static const Json kBase = mm::testing::tiny_tokenizer({{"t", "h"}, {"th", "e"}, {" ", "the"}});
  return kBase;
}

void require(bool promise) {
  if (!promise) {
    std::abort();
  }
}

/// The base with the changes of the input; empty when the input is not a JSON object.
std::optional<Json> changed(std::string_view text) {
  const Json changes = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!changes.is_object()) {
    return std::nullopt;
  }
  Json file = base();
  for (const auto& [key, value] : changes.items()) {
    if (key == "vocab" && value.is_object()) {
      file["model"]["vocab"].update(value);
    } else if (key == "merges" && value.is_array()) {
      for (const Json& merge : value) file["model"]["merges"].push_back(merge);
    } else if (key == "ignore_merges" || key == "dropout" || key == "byte_fallback") {
      file["model"][key] = value;
    } else {
      file[key] = value;
    }
  }
  return file;
}

/// Whether decoding must give the text back: nothing in the file normalises, removes or adds.
bool is_lossless(const Json& file) {
  return file["normalizer"].is_null() && file["added_tokens"].is_array() &&
         file["added_tokens"].empty() && file["pre_tokenizer"] == base()["pre_tokenizer"];
}

void check(const mm::Tokenizer& tokenizer, std::string_view text, bool lossless) {
  for (const bool parse_special : {false, true}) {
    std::vector<int32_t> ids;
    try {
      ids = tokenizer.encode(text, {.parse_special = parse_special});
    } catch (const mm::Error& error) {
      // A pattern may run away; the text itself is fine.
      require(error.kind() == mm::ErrorKind::kTooLarge && !lossless);
      continue;
    }
    for (const int32_t id : ids) require(tokenizer.contains(id) && id < tokenizer.vocab_size());
    const std::string decoded = tokenizer.decode(ids, {.skip_special = false});
    require(!lossless || decoded == text);
    mm::Detokenizer detokenizer(tokenizer, {.skip_special = false});
    std::string joined;
    for (const int32_t id : ids) joined += detokenizer.push(id);
    require(joined + detokenizer.flush() == decoded);
  }
}

void load_and_check(const std::string& json, std::string_view input, bool lossless) {
  std::optional<mm::Tokenizer> tokenizer;
  try {
    tokenizer = mm::Tokenizer::from_json(json, "", "fuzz");
  } catch (const mm::Error& error) {
    require(error.kind() == mm::ErrorKind::kBadInput ||
            error.kind() == mm::ErrorKind::kUnsupported ||
            error.kind() == mm::ErrorKind::kTooLarge);
    require(std::string_view(error.what()).starts_with("fuzz"));
    return;
  }
  check(*tokenizer, " the 12 thethe\n\n \t don't \u00E9\u0301 \u65E5\U0001F642<s>", lossless);
  check(*tokenizer, mm::utf8::replace_invalid(input.substr(0, 200)), lossless);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  load_and_check(std::string(input), input, /*lossless=*/false);
  if (const auto file = changed(input)) {
    load_and_check(file->dump(-1, ' ', false, Json::error_handler_t::replace), input,
                   is_lossless(*file));
  }
  return 0;
}
