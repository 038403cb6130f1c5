// Answers every line of a file, many at a time: the engine batches what runs together, and an
// answer is the same as if its prompt had been alone.
//   batch MODEL_FOLDER PROMPTS_FILE [AT_ONCE]
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "engine/generation.h"
#include "engine/prompt.h"
#include "model/weights.h"

namespace {

void run(const std::string& folder, const std::string& file, int at_once) {
  const mm::Model model = mm::load_model(folder);
  const mm::Tokenizer tokenizer = mm::Tokenizer::load(folder);
  const mm::PromptBuilder prompts(folder, tokenizer);
  mm::Engine engine(model, {.context_size = 4096, .max_sequences = at_once});
  std::vector<std::string> answers;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line); answers.emplace_back()) {
    mm::GenerationRequest request;
    request.prompt = prompts.encode({{"user", line}});
    request.stop_ids = model.config.eos_ids;
    request.max_tokens = 200;
    mm::GenerationCallbacks callbacks;
    callbacks.on_end = [&answers, index = answers.size()](const mm::GenerationResult& result) {
      answers[index] = result.error.empty() ? result.text : "error: " + result.error;
    };
    mm::submit_generation(engine, tokenizer, request, callbacks);
  }
  while (engine.step()) {
  }
  for (const std::string& answer : answers) {
    std::cout << answer << "\n----\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: batch MODEL_FOLDER PROMPTS_FILE [AT_ONCE]\n";
    return 2;
  }
  try {
    run(argv[1], argv[2], argc > 3 ? std::max(1, std::atoi(argv[3])) : 8);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
