#include "serve/generation_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <random>

#include "serve/api_error.h"

namespace mm {

namespace {

constexpr int64_t kMostChoices = 128;
constexpr size_t kMostStops = 4;
constexpr double kLargest = 1e6;

void check_model(const JsonFields& body, const ServedModel& model) {
  const std::optional<std::string> name = body.text("model");
  if (name && *name != model.name) {
    throw ApiError(404, "invalid_request_error",
                   fmt::format("no model \"{}\"; this server has \"{}\"", *name, model.name),
                   "model", "model_not_found");
  }
}

/// Sets `target` if the field is there.
void set_number(const JsonFields& body, const char* name, double least, double most,
                float& target) {
  if (const std::optional<double> value = body.number(name, least, most)) {
    target = static_cast<float>(*value);
  }
}

std::vector<std::pair<int32_t, float>> read_logit_bias(const JsonFields& body,
                                                       const ServedModel& model) {
  std::vector<std::pair<int32_t, float>> result;
  const std::optional<JsonView> biases = body.find("logit_bias");
  if (!biases) {
    return result;
  }
  const JsonFields fields(*biases, "logit_bias");
  for (const auto& [key, value] : biases->members("logit_bias")) {
    int32_t id = -1;
    const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (code != std::errc() || end != key.data() + key.size() || id < 0 || id >= model.vocab_size) {
      throw field_error("logit_bias", fmt::format("logit_bias has the key \"{}\", expected a token "
                                                  "id from 0 to {}",
                                                  key.substr(0, 40), model.vocab_size - 1));
    }
    const double bias = value.is_null()     ? 0
                        : value.is_number() ? value.as_double("logit_bias")
                                            : std::numeric_limits<double>::infinity();
    if (!(bias >= -100 && bias <= 100)) {
      fields.refuse(key, "a number from -100 to 100");
    }
    // OpenAI's bounds are bans and musts: a bias of -100 must hold against any logit.
    result.emplace_back(
        id, bias <= -100 ? -std::numeric_limits<float>::infinity() : static_cast<float>(bias));
  }
  return result;
}

void read_sampling(const JsonFields& body, const ServedModel& model, SamplingParams& sampling) {
  sampling = model.sampling;
  set_number(body, "temperature", 0, 100, sampling.temperature);
  set_number(body, "top_p", 0, 1, sampling.top_p);
  if (sampling.top_p == 0) {
    sampling.top_p = std::numeric_limits<float>::min();  // the likeliest alone, as OpenAI means it
  }
  set_number(body, "min_p", 0, 1, sampling.min_p);
  set_number(body, "presence_penalty", -2, 2, sampling.presence_penalty);
  set_number(body, "frequency_penalty", -2, 2, sampling.frequency_penalty);
  set_number(body, "repetition_penalty", 1e-3, kLargest, sampling.repetition_penalty);
  if (const auto top_k = body.integer("top_k", -1, std::numeric_limits<int>::max())) {
    sampling.top_k = static_cast<int>(std::max<int64_t>(*top_k, 0));  // -1 is vLLM's "off"
  }
  sampling.logit_bias = read_logit_bias(body, model);
  // Negative seeds are seeds too, in the wire's 64 bits.
  const auto seed = body.integer("seed", std::numeric_limits<int64_t>::min(),
                                 std::numeric_limits<int64_t>::max());
  sampling.seed = seed ? static_cast<uint64_t>(*seed) : std::random_device{}();
}

std::vector<std::string> read_stops(const JsonFields& body) {
  const std::optional<JsonView> stop = body.find("stop");
  if (!stop) {
    return {};
  }
  if (stop->is_string()) {
    const std::string text(stop->as_string("stop"));
    return text.empty() ? std::vector<std::string>() : std::vector<std::string>{text};
  }
  std::vector<std::string> result;
  const std::vector<JsonView> elements = *body.list("stop");
  for (const JsonView& element : elements) {
    if (!element.is_string() || element.as_string("stop").empty()) {
      throw field_error("stop", fmt::format("stop[{}] is {}, expected a string that is not empty",
                                            result.size(), to_string(element.kind())));
    }
    result.emplace_back(element.as_string("stop"));
  }
  if (result.size() > kMostStops) {
    throw field_error(
        "stop", fmt::format("stop has {} strings, expected at most {}", result.size(), kMostStops));
  }
  return result;
}

}  // namespace

GenerationFields read_generation_fields(const JsonFields& body, const ServedModel& model) {
  check_model(body, model);
  GenerationFields fields;
  fields.choices = static_cast<int>(body.integer("n", 1, kMostChoices).value_or(1));
  fields.stream = body.boolean("stream").value_or(false);
  fields.return_progress = body.boolean("return_progress").value_or(false);
  if (const std::optional<JsonView> options = body.find("stream_options")) {
    const JsonFields nested(*options, "stream_options");
    fields.include_usage = nested.boolean("include_usage").value_or(false);
    if (!fields.stream) {
      throw field_error("stream_options", "stream_options is given, but stream is not true");
    }
  }
  GenerationRequest& request = fields.request;
  read_sampling(body, model, request.sampling);
  request.stops = read_stops(body);
  request.stop_ids = model.eos_ids;
  request.ignore_eos = body.boolean("ignore_eos").value_or(false);
  constexpr int64_t kMost = int64_t{1} << 30;
  const auto newer = body.integer("max_completion_tokens", 1, kMost);
  const auto older = body.integer("max_tokens", 1, kMost);
  request.max_tokens = newer.value_or(older.value_or(-1));
  return fields;
}

void refuse_unless_empty(const JsonFields& body, const char* name) {
  const std::optional<JsonView> value = body.find(name);
  if (!value || (value->is_array() && value->elements(name).empty()) ||
      (value->is_bool() && !value->as_bool(name)) ||
      (value->is_string() && value->as_string(name).empty())) {
    return;
  }
  throw ApiError(400, "invalid_request_error",
                 fmt::format("{} is not supported by this server", name), name, "unsupported");
}

}  // namespace mm
