#include "text/content_policy.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"

namespace mm {
namespace {

// Words that no template prints by itself.
constexpr std::string_view kText = "QprobeQtextQ";
constexpr std::string_view kTool = "QprobeQtoolQ";
constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                    "assistant", "tool",      "function"};

Json text_items(std::string_view text) {
  return Json::array({Json{{"type", "text"}, {"text", text}}});
}

Json make_message(std::string_view role, Json content) {
  return Json{{"role", role}, {"content", std::move(content)}};
}

// Whether the probe word comes out as text, not as part of a printed Python list.
bool prints_text(const std::optional<std::string>& output) {
  return output && output->find(kText) != std::string::npos &&
         output->find("'text': '" + std::string(kText)) == std::string::npos;
}

// Conversations in which a message of `role` may stand, tried in order.
std::vector<Json> conversations(std::string_view role, const Json& content, bool user_strings) {
  const Json filler = user_strings ? Json("hello") : text_items("hello");
  const Json user = make_message("user", filler);
  Json subject = make_message(role, content);
  if (role == "user") {
    return {Json::array({subject}), Json::array({make_message("system", filler), subject})};
  }
  if (role == "assistant") {
    return {Json::array({user, subject, user}), Json::array({user, subject})};
  }
  if (role == "system" || role == "developer") {
    return {Json::array({subject, user})};
  }
  subject["name"] = "probe";
  subject["tool_call_id"] = "callprobe";
  const Json plain = make_message("assistant", filler);
  Json caller = plain;
  caller["tool_calls"] =
      Json::array({Json{{"id", "callprobe"},
                        {"type", "function"},
                        {"function", Json{{"name", "probe"}, {"arguments", Json::object()}}}}});
  return {Json::array({user, caller, subject}), Json::array({user, plain, subject})};
}

bool has_name(const Json& message) {
  return message.contains("name") && message["name"].is_string();
}

std::string joined_text(const Json& items, std::string_view where) {
  std::string text;
  for (const Json& item : items) {
    const bool is_text = item.is_object() && item.value("type", Json("text")) == "text" &&
                         item.contains("text") && item["text"].is_string();
    if (!is_text) {
      const std::string kind = item.is_object() && item.contains("type") && item["type"].is_string()
                                   ? item["type"].get<std::string>()
                                   : item.type_name();
      bad_input("{}: content has an item of type '{}', and this model's template takes text only",
                where, kind);
    }
    text += item["text"].get_ref<const std::string&>();
  }
  return text;
}

std::string_view role_of(const Json& message) {
  const auto role = message.find("role");
  return role != message.end() && role->is_string()
             ? std::string_view(role->get_ref<const std::string&>())
             : std::string_view("user");
}

bool lacks_item_name(const Json& message) {
  const Json& items = message["content"];
  return has_name(message) && std::any_of(items.begin(), items.end(), [](const Json& item) {
           return item.is_object() && !item.contains("name");
         });
}

}  // namespace

ContentPolicy::Forms ContentPolicy::probe_role(const TrialRender& render, std::string_view role,
                                               bool user_strings) {
  const auto prints = [&](const Json& content, size_t variant) {
    const auto candidates = conversations(role, content, user_strings);
    return variant < candidates.size() && prints_text(render(candidates[variant], Json()));
  };
  Json named = text_items(kText);
  named[0]["name"] = "probe";
  constexpr size_t kVariants = 2;
  for (size_t variant = 0; variant < kVariants; ++variant) {
    Forms forms;
    forms.string = prints(Json(kText), variant);
    forms.list = prints(text_items(kText), variant);
    forms.name_in_items = !forms.list && prints(named, variant);
    forms.list |= forms.name_in_items;
    if (forms.string || forms.list) {
      return forms;
    }
  }
  return {};
}

ContentPolicy ContentPolicy::probe(const TrialRender& render) {
  ContentPolicy policy;
  const Forms strings_first = probe_role(render, "user", true);
  const Forms user = strings_first.string || strings_first.list ? strings_first
                                                                : probe_role(render, "user", false);
  for (const std::string_view role : kRoles) {
    policy.forms_.emplace(role, role == "user" ? user : probe_role(render, role, user.string));
  }
  const Json function{{"name", kTool},
                      {"description", "probe"},
                      {"parameters", Json{{"type", "object"}, {"properties", Json::object()}}}};
  Json tool = function;  // both with and without OpenAI's wrapping
  tool["type"] = "function";
  tool["function"] = function;
  const Json filler = user.string ? Json("hello") : text_items("hello");
  const Json messages = Json::array({make_message("user", filler)});
  const auto output = render(messages, Json::array({tool}));
  policy.accepts_tools_ = output && output->find(kTool) != std::string::npos;
  return policy;
}

const ContentPolicy::Forms& ContentPolicy::forms_of(std::string_view role) const {
  static constexpr Forms kAny{true, true, false};
  auto found = forms_.find(role);
  if (found == forms_.end()) {
    found = forms_.find("user");
  }
  return found == forms_.end() ? kAny : found->second;
}

bool ContentPolicy::accepts_role(std::string_view role) const {
  const Forms& forms = forms_of(role);
  return forms.string || forms.list;
}

bool ContentPolicy::must_fit(const Json& message) const {
  if (!message.is_object()) {
    return false;
  }
  const Forms& forms = forms_of(role_of(message));
  const auto content = message.find("content");
  if (content == message.end() || content->is_null() || content->is_string()) {
    return forms.only_list();
  }
  return content->is_array() &&
         (forms.only_string() || (forms.name_in_items && lacks_item_name(message)));
}

Json ContentPolicy::fit(const Json& message, std::string_view where) const {
  Json fitted = message;
  if (!must_fit(message)) {
    return fitted;
  }
  const Forms& forms = forms_of(role_of(message));
  const auto content = message.find("content");
  if (content != message.end() && content->is_array()) {
    if (forms.only_string()) {
      fitted["content"] = joined_text(*content, where);
      return fitted;
    }
  } else {
    const bool text = content != message.end() && content->is_string();
    fitted["content"] = text_items(text ? content->get_ref<const std::string&>() : "");
  }
  for (Json& item : fitted["content"]) {
    if (has_name(message) && item.is_object() && !item.contains("name")) {
      item["name"] = message["name"];
    }
  }
  return fitted;
}

}  // namespace mm
