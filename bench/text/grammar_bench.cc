/// Time of masks and of compiling, on a model's vocabulary, one thread.
///
///   mm_grammar_bench FOLDER [WALKS]
///
/// For each schema: the time to compile it, then, over random walks of up to 400 tokens (any
/// allowed token is as likely as another), the time per token of finding the mask and accepting
/// the token that was drawn. Other work on the machine can only make the numbers larger.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

const std::vector<std::pair<const char*, const char*>>& schemas() {
  static const std::vector<std::pair<const char*, const char*>> kSchemas = {
      {"any object", R"({"type": "object"})"},
      {"person", R"({"type": "object", "additionalProperties": false,
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0},
          "email": {"type": ["string", "null"]}, "tags": {"type": "array",
          "items": {"type": "string"}}}, "required": ["name", "age", "email", "tags"]})"},
      {"steps", R"({"type": "object", "properties": {"steps": {"type": "array", "items":
        {"type": "object", "properties": {"explanation": {"type": "string"},
          "output": {"type": "string"}}, "required": ["explanation", "output"],
          "additionalProperties": false}}, "final_answer": {"type": "string"}},
        "required": ["steps", "final_answer"], "additionalProperties": false})"},
      {"tree", R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties":
        {"type": {"enum": ["div", "button", "header", "section"]}, "label": {"type": "string"},
         "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}, "attributes":
         {"type": "array", "items": {"type": "object", "properties": {"name":
          {"type": "string"}, "value": {"type": "string"}}, "required": ["name", "value"]}}},
        "required": ["type", "label", "children", "attributes"]}}})"},
      {"lengths", R"({"type": "object", "properties": {"title": {"type": "string",
        "minLength": 1, "maxLength": 80}, "date": {"type": "string", "format": "date"},
        "score": {"type": "number", "minimum": 0, "maximum": 1}, "code": {"type": "string",
        "pattern": "^[A-Z]{2}-[0-9]{4}$"}}, "required": ["title", "date", "score", "code"]})"},
  };
  return kSchemas;
}

void measure(const char* name, const char* schema, const std::shared_ptr<const mm::TokenTrie>& trie,
             int walks) {
  const Clock::time_point compiling = Clock::now();
  const auto grammar = mm::Grammar::from_json_schema(schema, trie);
  const double compile_ms = microseconds_since(compiling) / 1e3;
  std::vector<double> times;
  std::vector<uint64_t> words((static_cast<size_t>(trie->vocab_size()) + 63) / 64);
  std::mt19937 random(1);
  for (int walk = 0; walk < walks; ++walk) {
    mm::GrammarState state(grammar);
    for (int step = 0; step < 400 && !state.must_end(); ++step) {
      const Clock::time_point start = Clock::now();
      state.find_allowed(words);
      const double finding = microseconds_since(start);
      std::vector<int32_t> ids;
      for (int32_t id = 0; id < trie->vocab_size(); ++id) {
        if ((words[static_cast<size_t>(id) / 64] >> (id % 64) & 1) != 0) {
          ids.push_back(id);
        }
      }
      const int32_t id = ids[random() % ids.size()];
      const Clock::time_point accepting = Clock::now();
      state.accept(id);
      times.push_back(finding + microseconds_since(accepting));
    }
  }
  double sum = 0;
  for (const double time : times) {
    sum += time;
  }
  std::sort(times.begin(), times.end());
  const auto quantile = [&](double share) {
    return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))];
  };
  std::printf(
      "%-10s compiled in %7.1f ms, %6d states; a mask: mean %6.1f us, median %6.1f, 99 %% %6.1f, "
      "largest %7.1f (%zu tokens)\n",
      name, compile_ms, grammar->automaton().size(), sum / static_cast<double>(times.size()),
      quantile(0.5), quantile(0.99), times.back(), times.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: mm_grammar_bench FOLDER [WALKS]\n");
    return 2;
  }
  try {
    const mm::Tokenizer tokenizer = mm::Tokenizer::load(argv[1]);
    const Clock::time_point start = Clock::now();
    const auto trie = std::make_shared<const mm::TokenTrie>(tokenizer, std::vector<int32_t>());
    std::printf("vocabulary of %d, as a tree of %zu nodes in %.1f ms\n", trie->vocab_size(),
                trie->nodes().size(), microseconds_since(start) / 1e3);
    for (const auto& [name, schema] : schemas()) {
      measure(name, schema, trie, argc > 2 ? std::atoi(argv[2]) : 20);
    }
  } catch (const mm::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
