/// Reads requests of one API into jobs, for a model with the bundled tokenizer and a template that
/// shows messages and tools.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "serve/api_error.h"
#include "serve/json_fields.h"
#include "serve/served_model.h"

namespace mm::testing {

constexpr const char* kRequestTemplate =
    "{% for m in messages %}<{{ m['role'] }} {{ m['name'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}";

/// `Read` makes a Request, whose first sequence is job.requests[0], of a body's fields.
template <typename Request, Request (*Read)(const JsonFields&, const ServedModel&)>
struct RequestTest : ::testing::Test {
  Tokenizer tokenizer = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  PromptBuilder prompts{ChatTemplate::parse(kRequestTemplate, "test"), tokenizer};
  ServedModel model;

  RequestTest() {
    model.name = "m";
    model.vocab_size = tokenizer.vocab_size();
    model.tokenizer = &tokenizer;
    model.prompts = &prompts;
    model.tool_format = ToolFormat::kM1;
  }
  Request read(const std::string& body) const {
    const JsonDocument document = parse_body(body);
    return Read(JsonFields(document.root()), model);
  }
  /// What the model reads.
  std::string prompt(const std::string& body) const {
    return tokenizer.decode(read(body).job.requests.at(0).prompt, {.skip_special = false});
  }
  /// The parameter that a 400 names, or "nothing".
  std::string refused(const std::string& body) const {
    try {
      read(body);
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status, 400);
      return error.param;
    }
    return "nothing";
  }
};

}  // namespace mm::testing
