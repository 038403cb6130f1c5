/// Which form of message contents a chat template can print, and how to give it that form.
///
/// Some templates take strings ('x' + message['content']), some only lists of items
/// (message['content'][0]['text']), many both. Reading the source cannot tell, so trial renderings
/// with a word to look for do: once per role, when the template is parsed.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/json_value.h"

namespace mm {

/// Renders messages and tools on trial; nothing when the template fails.
using TrialRender =
    std::function<std::optional<std::string>(const Json& messages, const Json& tools)>;

class ContentPolicy {
 public:
  /// Accepts every form of every role and no tools.
  ContentPolicy() = default;
  /// Finds out what the template behind `render` prints; a few dozen small renderings.
  static ContentPolicy probe(const TrialRender& render);

  /// Whether messages of this role are printed, in whatever form.
  bool accepts_role(std::string_view role) const;
  bool accepts_tools() const { return accepts_tools_; }
  /// Whether fit() would change this message.
  bool must_fit(const Json& message) const;
  /// The message with its content in a form that the template prints; `where` names it in errors.
  /// Throws kBadInput when a list with items other than text would have to become a string.
  Json fit(const Json& message, std::string_view where) const;

 private:
  struct Forms {
    bool string = false;         ///< prints strings
    bool list = false;           ///< prints lists of items
    bool name_in_items = false;  ///< prints lists only when the items have a `name`

    bool only_list() const { return list && !string; }
    bool only_string() const { return string && !list; }
  };
  const Forms& forms_of(std::string_view role) const;
  static Forms probe_role(const TrialRender& render, std::string_view role, bool user_strings);

  std::map<std::string, Forms, std::less<>> forms_;  // roles without an entry are like "user"
  bool accepts_tools_ = false;
};

}  // namespace mm
