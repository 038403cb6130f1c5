// A streamed answer is measured the same however it is cut, and whatever it is. The first byte
// chooses the cuts.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "load/answer_reader.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

mm::RequestRecord read(std::string_view text, size_t step) {
  mm::AnswerReader reader(0);
  reader.head(200, "text/event-stream");
  bool goes_on = true;
  for (size_t begin = 0; goes_on && begin < text.size(); begin += step) {
    goes_on = reader.body(text.substr(begin, step), 1);
  }
  return reader.end(mm::HttpEnd::kDone, "", 2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const mm::RequestRecord whole = read(text, text.size() + 1);
  for (const size_t step : {size_t{1}, size_t{2} + data[0]}) {
    const mm::RequestRecord cut = read(text, step);
    require(cut.failure == whole.failure && cut.message == whole.message);
    require(cut.events == whole.events && cut.gaps.size() == whole.gaps.size());
    require(cut.prompt_tokens == whole.prompt_tokens && cut.output_tokens == whole.output_tokens);
  }
  return 0;
}
