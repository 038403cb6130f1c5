// Any answer falls into the same parts however it is cut, and its calls have objects for arguments.
// The first byte chooses the form, the second where the answer is cut.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "serve/answer_parser.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// Everything in order, neighbours of one kind joined.
class Joined {
 public:
  void add(const std::vector<mm::AnswerPart>& parts) {
    for (const mm::AnswerPart& part : parts) {
      if (part.kind == mm::AnswerPart::Kind::kToolCall) {
        require(mm::JsonDocument::parse(part.call.arguments, "fuzz").root().is_object());
        text_ += '\1' + part.call.name + '\2' + part.call.arguments;
      } else {
        require(!part.text.empty());
        text_ += part.kind == last_ ? part.text
                                    : std::to_string(static_cast<int>(part.kind)) + part.text;
      }
      last_ = part.kind;
    }
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  mm::AnswerPart::Kind last_ = mm::AnswerPart::Kind::kToolCall;
};

std::string parse(const mm::AnswerParserOptions& options, std::string_view text, size_t step) {
  mm::AnswerParser parser(options);
  Joined joined;
  for (size_t begin = 0; begin < text.size(); begin += step) {
    joined.add(parser.push(text.substr(begin, step)));
  }
  joined.add(parser.finish());
  return joined.text();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) {
    return 0;
  }
  mm::AnswerParserOptions options;
  options.format = static_cast<mm::ToolFormat>(data[0] % 3);
  options.tools = (data[0] & 4) != 0;
  options.most_calls = (data[0] >> 3) % 3;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = parse(options, text, text.size() + 1);
  require(parse(options, text, 1) == whole);
  require(parse(options, text, size_t{1} + data[1]) == whole);
  return 0;
}
