// Any body is either a request of OpenAI's forms whose prompts are ids of the model, or refused
// with a status below 500. The first byte chooses the endpoint and the model's form of tools.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "serve/api_error.h"
#include "serve/openai_request.h"

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

void check(const mm::OpenAiRequest& request) {
  require(!request.job.requests.empty() && request.answer.choices == request.job.requests.size());
  for (const mm::GenerationRequest& generation : request.job.requests) {
    for (const int32_t id : generation.prompt) {
      require(id >= 0 && id < model().vocab_size);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  mm::ServedModel served = model();
  served.tool_format = static_cast<mm::ToolFormat>((data[0] >> 1) % 3);
  try {
    const mm::JsonDocument document =
        mm::parse_body({reinterpret_cast<const char*>(data) + 1, size - 1});
    const mm::JsonFields body(document.root());
    check((data[0] & 1) != 0 ? mm::read_chat_request(body, served)
                             : mm::read_completion_request(body, served));
  } catch (const std::exception& error) {
    require(mm::to_api_error(error).status < 500);
  }
  return 0;
}
