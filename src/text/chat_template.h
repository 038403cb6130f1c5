/// Chat templates: a conversation to the text that a model continues.
///
/// Runs the Jinja templates that Hugging Face checkpoints publish, unchanged, as transformers
/// runs them (trim_blocks, lstrip_blocks, its `tojson`, loop controls, `generation` tags as no-ops,
/// an immutable sandbox) but bounded (text/jinja/budget.h) and without access to the host.
///
/// Non-goals: `include`, `import`, `extends`, `block`, recursive loops, automatic escaping.
/// Not done here, but by who builds the messages: unwrapping OpenAI's
/// {"type": "function", "function": {…}} around a tool, writing `tool_calls` as a model's own
/// text, and giving tool results their `name`.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json_value.h"
#include "text/content_policy.h"

namespace mm {

/// What a template renders.
struct ChatInput {
  /// [{role, content, …}]: content is a string, a list of {"type": "text", "text": …} and
  /// {"type": "image"} items, or null. Other keys reach the template as they are.
  Json messages = Json::array();
  /// Tools in the form that the template prints; null when there are none. Key order is kept.
  Json tools;
  /// Whether to open the model's turn at the end.
  bool add_generation_prompt = false;
  /// More variables; they win over those of the template's folder (`bos_token`, …).
  Json extra = Json::object();
  /// The date for `strftime_now`; without it, a template that asks is refused.
  std::optional<std::tm> now;
};

/// A parsed template; immutable, so threads may share it.
class ChatTemplate {
 public:
  /// Parses template text. `name` stands in errors; `variables` (an object) holds what the
  /// template may ask for besides a ChatInput, such as `bos_token`.
  /// Throws kBadInput with the line of a syntax error, kTooLarge for text over 1 MiB.
  static ChatTemplate parse(std::string_view source, std::string_view name,
                            const Json& variables = Json::object());

  /// The rendered conversation. Throws kBadInput with name, line and expression for what the
  /// template cannot do or refuses with raise_exception, kTooLarge when it passes a limit.
  ///
  /// Contents change form only for roles whose messages the template would otherwise lose or fail
  /// on, as a trial rendering at parse time told: a string becomes a list with one text item (with
  /// the message's `name`, if any), null becomes one empty item, and a list becomes the
  /// concatenation of its texts (kBadInput if it has items other than text). A list item also
  /// gets the message's `name` where the template reads it there. Nothing else is added, merged
  /// or dropped: a template that prints only the first item of a list still does.
  std::string render(const ChatInput& input) const;

  /// Whether the template prints messages of this role ("tool", "function", …).
  bool accepts_role(std::string_view role) const { return contents_.accepts_role(role); }
  /// Whether the template prints tools.
  bool accepts_tools() const { return contents_.accepts_tools(); }
  const std::string& name() const { return name_; }

 private:
  struct Code;

  ChatTemplate() = default;  // NOLINT(bugprone-exception-escape): only bad_alloc, which may end us
  std::string render_as_is(const ChatInput& input, const Json& messages) const;

  std::string name_;
  Json variables_;
  std::shared_ptr<const Code> code_;
  ContentPolicy contents_;
};

/// The template of a checkpoint folder, with the special tokens of tokenizer_config.json as
/// variables: chat_template.jinja, else tokenizer_config.json's `chat_template` (a string, or the
/// one named "default" in a list of {name, template}), else chat_template.json.
/// Throws kNotFound when the folder has none, kBadInput when a file is malformed.
ChatTemplate load_chat_template(const std::string& folder);

}  // namespace mm
