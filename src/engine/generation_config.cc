#include "engine/generation_config.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"

namespace mm {

namespace {

/// The members of one file, read with its name in every error.
class Reader {
 public:
  Reader(JsonView root, std::string_view source) : root_(root), source_(source) {
    if (!root.is_object()) {
      bad_input("{}: expected a JSON object, found {}", source, to_string(root.kind()));
    }
  }

  std::optional<JsonView> find(std::string_view key) const {
    const std::optional<JsonView> value = root_.find(key);
    return value && !value->is_null() ? value : std::nullopt;
  }
  std::optional<float> number(std::string_view key) const {
    const std::optional<JsonView> value = find(key);
    return value ? std::optional(static_cast<float>(value->as_double(name(key)))) : std::nullopt;
  }
  int32_t id(JsonView value, std::string_view key) const {
    const int64_t id = value.as_int(name(key));
    if (id < 0 || id > std::numeric_limits<int32_t>::max()) {
      bad_input("{} is {}, expected a token id", name(key), id);
    }
    return static_cast<int32_t>(id);
  }
  std::string name(std::string_view key) const { return fmt::format("{}: {}", source_, key); }

 private:
  JsonView root_;
  std::string_view source_;
};

bool file_samples(const Reader& file) {
  if (const std::optional<JsonView> value = file.find("do_sample")) {
    return value->as_bool(file.name("do_sample"));
  }
  constexpr std::string_view kKeys[] = {"temperature", "top_k", "top_p", "min_p"};
  return std::any_of(std::begin(kKeys), std::end(kKeys),
                     [&](std::string_view key) { return file.find(key).has_value(); });
}

SamplingParams read_sampling(const Reader& file) {
  SamplingParams params;
  params.repetition_penalty = file.number("repetition_penalty").value_or(1.0f);
  if (!file_samples(file)) {
    return params;
  }
  params.temperature = file.number("temperature").value_or(1.0f);
  params.top_p = file.number("top_p").value_or(1.0f);
  params.min_p = file.number("min_p").value_or(0.0f);
  if (const std::optional<JsonView> top_k = file.find("top_k")) {
    const int64_t value = top_k->as_int(file.name("top_k"));
    constexpr int64_t kMost = std::numeric_limits<int>::max();
    params.top_k = static_cast<int>(std::clamp<int64_t>(value, -1, kMost));
    params.top_k = params.top_k == -1 && value == -1 ? 0 : params.top_k;  // a common "off"
  }
  return params;
}

}  // namespace

GenerationConfig parse_generation_config(std::string_view text, std::string_view source) {
  const JsonDocument document = JsonDocument::parse(text, source);
  const Reader file(document.root(), source);
  GenerationConfig config;
  config.sampling = read_sampling(file);
  if (const std::optional<JsonView> eos = file.find("eos_token_id")) {
    if (eos->is_array()) {
      for (const JsonView& id : eos->elements(file.name("eos_token_id"))) {
        config.eos_ids.push_back(file.id(id, "eos_token_id"));
      }
    } else {
      config.eos_ids.push_back(file.id(*eos, "eos_token_id"));
    }
  }
  try {
    validate(config.sampling, 0);
  } catch (const Error& error) {
    bad_input("{}: {}", source, error.what());
  }
  return config;
}

GenerationConfig read_generation_config(const std::string& folder) {
  const std::string path = folder + "/generation_config.json";
  if (!std::filesystem::exists(path)) {
    return {};
  }
  return parse_generation_config(MappedFile(path).text(), path);
}

std::vector<int32_t> merge_eos_ids(const std::vector<int32_t>& from_config,
                                   const std::vector<int32_t>& from_generation_config,
                                   int32_t from_tokenizer) {
  std::vector<int32_t> ids = from_config;
  ids.insert(ids.end(), from_generation_config.begin(), from_generation_config.end());
  if (ids.empty() && from_tokenizer >= 0) {
    ids.push_back(from_tokenizer);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace mm
