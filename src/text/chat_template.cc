#include "text/chat_template.h"

#include <array>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "text/jinja/parser.h"
#include "text/jinja/render.h"

namespace mm {

struct ChatTemplate::Code {
  jinja::Template tree;
};

namespace {

// A trial shall cost no more than a few milliseconds, whatever the template does.
constexpr jinja::Limits kTrialLimits = {100'000, size_t{1} << 20, size_t{1} << 20,
                                        size_t{32} << 20};

constexpr std::array<const char*, 7> kTokenKeys = {
    "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"};

std::tm trial_date() {
  std::tm date{};
  date.tm_year = 124;
  date.tm_mday = 1;
  date.tm_wday = 1;
  return date;
}

void add_members(jinja::RenderInput& input, const Json& object) {
  for (const auto& [key, value] : object.items()) {
    input.variables.emplace_back(key, &value);
  }
}

// The text of a special token: a string, or an object with `content`.
std::optional<std::string> token_text(const JsonView& token, const std::string& what) {
  if (token.is_string()) {
    return std::string(token.as_string(what));
  }
  if (const auto content = token.find("content")) {
    return std::string(content->as_string(what + ".content"));
  }
  return std::nullopt;
}

// `chat_template` as a string, or the template named "default" of a list.
std::optional<std::string> template_text(const JsonView& root, const std::string& path) {
  const auto value = root.find("chat_template");
  if (!value || value->is_null()) {
    return std::nullopt;
  }
  const std::string what = path + ": chat_template";
  if (!value->is_array()) {
    return std::string(value->as_string(what));
  }
  for (const JsonView& entry : value->elements(what)) {
    const auto name = entry.find("name");
    const auto source = entry.find("template");
    if (name && source && name->as_string(what + ": name") == "default") {
      return std::string(source->as_string(what + ": template"));
    }
  }
  bad_input("{}: a list without a template named \"default\"", what);
}

}  // namespace

ChatTemplate ChatTemplate::parse(std::string_view source, std::string_view name,
                                 const Json& variables) {
  if (!variables.is_object()) {
    bad_input("{}: the template's variables must be a JSON object", name);
  }
  ChatTemplate result;
  result.name_ = name;
  result.variables_ = variables;
  if (source.size() > jinja::kMaxTemplateBytes) {
    raise(ErrorKind::kTooLarge, "{}: a template of {} bytes is over the limit of {}", name,
          source.size(), jinja::kMaxTemplateBytes);
  }
  try {
    result.code_ = std::make_shared<const Code>(Code{jinja::parse_template(source)});
  } catch (const jinja::SyntaxError& error) {
    bad_input("{}: line {}: {}", name, error.line(), error.what());
  }
  Json trial_variables{{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"documents", Json()}};
  trial_variables.update(variables);
  result.contents_ = ContentPolicy::probe(
      [&](const Json& messages, const Json& tools) -> std::optional<std::string> {
        const Json prompt = true;
        jinja::RenderInput input{name, {}, trial_date(), kTrialLimits};
        add_members(input, trial_variables);
        input.variables.emplace_back("tools", &tools);
        input.variables.emplace_back("add_generation_prompt", &prompt);
        input.variables.emplace_back("messages", &messages);
        try {
          return jinja::render(result.code_->tree, input);
        } catch (const Error&) {
          return std::nullopt;  // the template does not take this form
        }
      });
  return result;
}

std::string ChatTemplate::render(const ChatInput& input) const {
  if (!input.messages.is_array()) {
    bad_input("messages: expected a list, found {}", input.messages.type_name());
  }
  if (!input.extra.is_object() && !input.extra.is_null()) {
    bad_input("template variables: expected an object, found {}", input.extra.type_name());
  }
  bool fits = true;
  for (size_t i = 0; i < input.messages.size(); ++i) {
    if (!input.messages[i].is_object()) {
      bad_input("messages[{}]: expected an object, found {}", i, input.messages[i].type_name());
    }
    fits = fits && !contents_.must_fit(input.messages[i]);
  }
  if (fits) {
    return render_as_is(input, input.messages);
  }
  Json messages = Json::array();
  for (size_t i = 0; i < input.messages.size(); ++i) {
    messages.push_back(contents_.fit(input.messages[i], fmt::format("messages[{}]", i)));
  }
  return render_as_is(input, messages);
}

std::string ChatTemplate::render_as_is(const ChatInput& input, const Json& messages) const {
  const Json none;
  const Json prompt = input.add_generation_prompt;
  jinja::RenderInput request{name_, {}, input.now, {}};
  request.variables.emplace_back("documents", &none);
  add_members(request, variables_);
  request.variables.emplace_back("tools", &input.tools);
  request.variables.emplace_back("add_generation_prompt", &prompt);
  request.variables.emplace_back("messages", &messages);
  if (input.extra.is_object()) {
    add_members(request, input.extra);
  }
  return jinja::render(code_->tree, request);
}

ChatTemplate load_chat_template(const std::string& folder) {
  const auto path_of = [&folder](const char* file) {
    return (std::filesystem::path(folder) / file).string();
  };
  const std::string jinja_path = path_of("chat_template.jinja");
  const std::string config_path = path_of("tokenizer_config.json");
  const std::string json_path = path_of("chat_template.json");
  Json variables = Json::object();
  std::optional<std::string> source;
  std::string name = config_path;
  if (std::filesystem::exists(config_path)) {
    const JsonDocument config = JsonDocument::read(config_path);
    for (const char* key : kTokenKeys) {
      if (const auto token = config.root().find(key)) {
        if (const auto text = token_text(*token, config_path + ": " + key)) {
          variables[key] = *text;
        }
      }
    }
    source = template_text(config.root(), config_path);
  }
  if (std::filesystem::exists(jinja_path)) {
    source = std::string(MappedFile(jinja_path).text());
    name = jinja_path;
  } else if (!source && std::filesystem::exists(json_path)) {
    source = template_text(JsonDocument::read(json_path).root(), json_path);
    name = json_path;
  }
  if (!source) {
    raise(ErrorKind::kNotFound,
          "{}: no chat template: tokenizer_config.json has no 'chat_template', and there is no "
          "chat_template.jinja or chat_template.json; give the prompt as it is, without a "
          "template",
          folder);
  }
  return ChatTemplate::parse(*source, name, variables);
}

}  // namespace mm
