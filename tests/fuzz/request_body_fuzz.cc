// Any body is either a request whose prompts are ids of the model, or refused with a status below
// 500. The first byte chooses the endpoint and the model's form of tools.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "serve/anthropic_request.h"
#include "serve/api_error.h"
#include "serve/openai_request.h"
#include "serve/responses_request.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// Prints everything a request can hold.
constexpr const char* kTemplate =
    "{% for m in messages %}{{ m['role'] }} {{ m['name'] }} {{ m['content'] }}{% endfor %}"
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}";

const mm::ServedModel& model() {
  static const mm::Tokenizer kTokenizer =
      mm::Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  static const mm::PromptBuilder kPrompts(mm::ChatTemplate::parse(kTemplate, "fuzz"), kTokenizer);
  static const mm::ServedModel kModel = [] {
    mm::ServedModel served;
    served.name = "fuzz";
    served.vocab_size = kTokenizer.vocab_size();
    served.tokenizer = &kTokenizer;
    served.prompts = &kPrompts;
    return served;
  }();
  return kModel;
}

void check_ids(const std::vector<int32_t>& ids) {
  for (const int32_t id : ids) {
    require(id >= 0 && id < model().vocab_size);
  }
}

void check(const mm::GenerationJobOptions& job) {
  require(!job.requests.empty());
  for (const mm::GenerationRequest& generation : job.requests) {
    check_ids(generation.prompt);
    require(generation.max_tokens == -1 || generation.max_tokens > 0);
  }
}

void read(int endpoint, const mm::JsonFields& body, const mm::ServedModel& served) {
  switch (endpoint) {
    case 0:
      check(mm::read_completion_request(body, served).job);
      break;
    case 1:
      check(mm::read_chat_request(body, served).job);
      break;
    case 2:
      check(mm::read_anthropic_request(body, served).job);
      break;
    case 3:
      check(mm::read_responses_request(body, served).job);
      break;
    default:
      check_ids(mm::read_anthropic_prompt(body, served));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  mm::ServedModel served = model();
  served.tool_format = static_cast<mm::ToolFormat>(data[0] / 5 % 3);
  try {
    const mm::JsonDocument document =
        mm::parse_body({reinterpret_cast<const char*>(data) + 1, size - 1});
    const mm::JsonFields body(document.root());
    read(data[0] % 5, body, served);
  } catch (const std::exception& error) {
    require(mm::to_api_error(error).status < 500);
  }
  return 0;
}
