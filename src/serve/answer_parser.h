/// An answer as it comes, taken apart: thoughts, text for the user, calls of tools.
///
/// Goals: parts leave as soon as they are certain, the same parts however the text is cut; nothing
/// that was written is lost: what looks like a call and is none comes out as text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "serve/tool_format.h"

namespace mm {

struct AnswerPart {
  enum class Kind : uint8_t { kText, kReasoning, kToolCall };
  Kind kind = Kind::kText;
  std::string text = {};  ///< of kText and kReasoning: a piece, not empty
  ToolCall call = {};     ///< of kToolCall: whole
};

struct AnswerParserOptions {
  ToolFormat format = ToolFormat::kNone;
  bool tools = false;      ///< look for calls; without, they are text
  size_t most_calls = 0;   ///< the answer is done after as many; 0: no limit
  std::string begun = {};  ///< of the answer, in the prompt
};

class AnswerParser {
 public:
  explicit AnswerParser(const AnswerParserOptions& options);

  /// The parts that the piece, valid UTF-8, makes certain.
  std::vector<AnswerPart> push(std::string_view piece);
  /// The rest, at the end of the answer.
  std::vector<AnswerPart> finish();

  size_t calls() const { return calls_; }
  /// No more calls are wanted: the generation may stop.
  bool done() const { return options_.most_calls != 0 && calls_ >= options_.most_calls; }

 private:
  enum class State : uint8_t { kStart, kReasoning, kText, kCalls };
  /// Where the search for the end of a JSON object stands: no byte is looked at twice.
  struct ObjectScan {
    size_t at = 0;
    size_t end = 0;  // once it was found
    int depth = 0;
    bool in_string = false, escaped = false;

    /// Bytes up to the closing brace of the object that `text` begins with; 0 while it is open.
    size_t end_in(std::string_view text);
  };

  // Each takes from the buffer; false: more text is needed.
  bool step();
  bool step_start();
  bool step_reasoning();
  bool step_text();
  bool step_calls_m1();
  bool step_calls_text01();
  bool take_function();
  bool take_no_function();

  void emit(AnswerPart::Kind kind, std::string_view text);
  void emit_call(ToolCall call);
  void leave_calls();
  void drop(size_t bytes);
  void drop_any(std::string_view bytes);

  const AnswerParserOptions options_;
  const std::string marker_;
  State state_ = State::kStart;
  std::string buffer_;
  std::vector<AnswerPart> parts_;
  ObjectScan scan_;
  bool trims_ = false;       // white space at the beginning of a part is left out
  bool fence_open_ = false;  // of Text-01's form
  size_t calls_ = 0;
};

}  // namespace mm
