// Asks questions about a text file, which is prefilled once: ask_a_book MODEL TEXT < questions
#include <iostream>

#include "base/mapped_file.h"
#include "engine/generation.h"
#include "engine/prompt.h"
#include "model/weights.h"

int main(int argc, char** argv) try {
  if (argc != 3)
    return 2;
  const mm::Model model = mm::load_model(argv[1]);
  const mm::Tokenizer tokenizer = mm::Tokenizer::load(argv[1]);
  const mm::PromptBuilder prompts(argv[1], tokenizer);
  const std::string book(mm::MappedFile(argv[2]).text());
  mm::Engine engine(model, {.context_size = static_cast<int64_t>(book.size()) + 4096});
  for (std::string question; std::getline(std::cin, question);) {
    mm::GenerationRequest request;
    request.prompt = prompts.encode({{"user", book + "\n\n" + question}});
    request.stop_ids = model.config.eos_ids;
    request.max_tokens = 200;
    const mm::GenerationResult answer = mm::generate(engine, tokenizer, request, {});
    std::cout << answer.text << "\n(" << answer.usage.cached_tokens << " of "
              << answer.usage.prompt_tokens << " tokens were cached)\n";
  }
} catch (const mm::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
