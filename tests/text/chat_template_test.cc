// Whole chat templates: against Jinja2 set up as Hugging Face sets it up (fixtures, and live where
// python3-jinja2 is installed), and the forms of contents.
#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/mapped_file.h"
#include "tests/model/shared_files.h"

namespace mm {
namespace {

using ::testing::HasSubstr;

Json read_json(const std::string& path) {
  return Json::parse(MappedFile(path).text());
}

std::string read_text(const std::string& path) {
  return std::string(MappedFile(path).text());
}

// What a template makes of every conversation, without and with tools and generation prompt.
std::vector<std::string> render_conversations(const ChatTemplate& chat) {
  const Json data = read_json(golden_path("templates/conversations.json"));
  std::vector<std::string> outputs;
  for (const Json& messages : data["conversations"]) {
    for (const bool with_tools : {false, true}) {
      for (const bool prompt : {false, true}) {
        ChatInput input;
        input.messages = messages;
        input.tools = with_tools ? data["tools"] : Json();
        input.add_generation_prompt = prompt;
        outputs.push_back(chat.render(input));
      }
    }
  }
  return outputs;
}

std::string render_one(const ChatTemplate& chat, Json messages) {
  ChatInput input;
  input.messages = std::move(messages);
  return chat.render(input);
}

std::string error_of(const ChatTemplate& chat, Json messages) {
  try {
    render_one(chat, std::move(messages));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// What `python3 arguments` prints, and its exit status.
std::pair<std::string, int> run_python(const std::string& arguments) {
  // Debian installs jinja2 for its own interpreter, which need not be the first in PATH.
  const bool debian = std::filesystem::exists("/usr/bin/python3");
  const std::string command = (debian ? "/usr/bin/python3 " : "python3 ") + arguments;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return {"", -1};
  }
  std::string output;
  std::array<char, 4096> buffer;
  while (const size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), size);
  }
  const int status = pclose(pipe);
  return {output, WEXITSTATUS(status)};
}

constexpr int kNoJinja2 = 77;
const std::string kOracle = MM_SOURCE_DIR "/tools/template_oracle.py";

TEST(ChatTemplateTest, MiniMaxText01EqualsJinja2) {
  const ChatTemplate chat =
      ChatTemplate::parse(read_text(golden_path("templates/minimax-text-01.jinja")), "text-01");
  const std::vector<std::string> expected =
      read_json(golden_path("templates/minimax-text-01.json"));
  ASSERT_EQ(expected.size(), 40u);
  EXPECT_EQ(render_conversations(chat), expected);
  EXPECT_TRUE(chat.accepts_tools());
  EXPECT_TRUE(chat.accepts_role("function"));
  EXPECT_FALSE(chat.accepts_role("tool"));
}

TEST(ChatTemplateTest, BundledModelEqualsItsVectors) {
  const Json config = read_json(std::string(MM_SOURCE_DIR "/models/mini/tokenizer_config.json"));
  const ChatTemplate chat = ChatTemplate::parse(config["chat_template"].get<std::string>(), "mini");
  const Json vectors = read_json(golden_path("mini/template_vectors.json"));
  ASSERT_FALSE(vectors.empty());
  for (const Json& vector : vectors) {
    ChatInput input;
    input.messages = vector["messages"];
    input.add_generation_prompt = vector["add_generation_prompt"];
    EXPECT_EQ(chat.render(input), vector["text"]);
  }
  EXPECT_FALSE(chat.accepts_tools());
  EXPECT_FALSE(chat.accepts_role("tool"));
}

TEST(ChatTemplateTest, PublishedTemplateEqualsJinja2) {
  const std::string folder = shared_path("real").string();
  if (!std::filesystem::exists(folder + "/tokenizer_config.json")) {
    GTEST_SKIP() << folder << " has no tokenizer_config.json (published files are not committed)";
  }
  const auto [output, status] =
      run_python(kOracle + " conversations " + folder + "/tokenizer_config.json");
  if (status == kNoJinja2) {
    GTEST_SKIP() << "needs python3-jinja2";
  }
  ASSERT_EQ(status, 0) << output;
  const std::vector<std::string> expected = Json::parse(output);
  ASSERT_EQ(expected.size(), 40u);
  const ChatTemplate chat = load_chat_template(folder);
  EXPECT_EQ(render_conversations(chat), expected);
  EXPECT_TRUE(chat.accepts_tools());
  EXPECT_TRUE(chat.accepts_role("tool"));
  EXPECT_FALSE(chat.accepts_role("function"));
}

TEST(ChatTemplateTest, BundledTemplateEqualsJinja2OnAllConversations) {
  const std::string config = std::string(MM_SOURCE_DIR "/models/mini/tokenizer_config.json");
  const auto [output, status] = run_python(kOracle + " conversations " + config);
  if (status == kNoJinja2) {
    GTEST_SKIP() << "needs python3-jinja2";
  }
  ASSERT_EQ(status, 0) << output;
  const std::vector<std::string> expected = Json::parse(output);
  EXPECT_EQ(render_conversations(load_chat_template(MM_SOURCE_DIR "/models/mini")), expected);
}

TEST(ChatTemplateTest, FixturesAreWhatJinja2Gives) {
  const auto [output, status] = run_python(kOracle + " check");
  if (status == kNoJinja2) {
    GTEST_SKIP() << "needs python3-jinja2";
  }
  EXPECT_EQ(status, 0) << output;
}

TEST(ChatTemplateTest, StringsBecomeListsOnlyWhereNeeded) {
  const ChatTemplate lists = ChatTemplate::parse(
      "{% for m in messages %}{{ m.content[0]['text'] }};{% endfor %}", "lists");
  EXPECT_EQ(render_one(lists, {{{"role", "user"}, {"content", "a"}},
                               {{"role", "narrator"}, {"content", "b"}},
                               {{"role", "assistant"}, {"content", Json()}},
                               {{"role", "assistant"}}}),
            "a;b;;;");
  const ChatTemplate both = ChatTemplate::parse(
      "{% for m in messages %}{% if m.content is string %}s:{{ m.content }}{% else %}l:"
      "{{ m.content[0].text }}{% endif %};{% endfor %}",
      "both");
  EXPECT_EQ(
      render_one(both, {{{"role", "user"}, {"content", "a"}},
                        {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "b"}}}}}}),
      "s:a;l:b;");
}

TEST(ChatTemplateTest, ListsBecomeStringsOnlyWhereNeeded) {
  const Json list = {{{"type", "text"}, {"text", "a"}}, {{"type", "text"}, {"text", "b"}}};
  for (const char* source : {"{% for m in messages %}{{ 'x' + m['content'] }}{% endfor %}",
                             "{% for m in messages %}x{{ m.content }}{% endfor %}",
                             "{% for m in messages %}x{{ m.content | trim }}{% endfor %}",
                             "{% for m in messages %}x{{ m.content.strip() }}{% endfor %}"}) {
    const ChatTemplate strings = ChatTemplate::parse(source, "strings");
    EXPECT_EQ(render_one(strings, {{{"role", "user"}, {"content", list}}}), "xab") << source;
    EXPECT_EQ(render_one(strings, {{{"role", "user"}, {"content", "c"}}}), "xc") << source;
    EXPECT_EQ(error_of(strings, {{{"role", "user"}, {"content", {{{"type", "image"}}}}}}),
              "messages[0]: content has an item of type 'image', and this model's template takes "
              "text only");
  }
}

TEST(ChatTemplateTest, FormsAreFoundForEachRole) {
  // The system text must be a string, the user's a list, the assistant's either.
  const ChatTemplate chat = ChatTemplate::parse(
      "{% for m in messages %}{% if m.role == 'system' %}{{ m.content + '!' }}"
      "{% elif m.role == 'user' %}{% if loop.index0 > 1 and messages[loop.index0 - 1].role == "
      "'user' %}{{ raise_exception('twice') }}{% endif %}"
      "{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}"
      "{% endfor %}{% else %}{{ m.content if m.content is string else m.content[0].text }}"
      "{% endif %}|{% endfor %}",
      "mixed");
  const Json list = {{{"type", "text"}, {"text", "x"}}};
  const Json image = {{{"type", "image"}}, {{"type", "text"}, {"text", "y"}}};
  EXPECT_EQ(render_one(chat, {{{"role", "system"}, {"content", list}},
                              {{"role", "user"}, {"content", image}},
                              {{"role", "assistant"}, {"content", "z"}},
                              {{"role", "user"}, {"content", "u"}},
                              {{"role", "assistant"}, {"content", list}}}),
            "x!|<image>y|z|u|x|");
}

TEST(ChatTemplateTest, ToolResultsCarryTheirNameIntoItems) {
  const ChatTemplate chat = ChatTemplate::parse(
      "{% for m in messages %}{% if m.role == 'tool' %}{% for c in m.content %}"
      "{{ c['name'] + '=' + c['text'] }};{% endfor %}{% else %}{{ m.content[0]['text'] }}{% endif "
      "%}"
      "{% endfor %}",
      "tools");
  EXPECT_TRUE(chat.accepts_role("tool"));
  EXPECT_EQ(render_one(chat, {{{"role", "tool"}, {"name", "f"}, {"content", "1"}},
                              {{"role", "tool"},
                               {"name", "g"},
                               {"content",
                                {{{"type", "text"}, {"text", "2"}},
                                 {{"type", "text"}, {"text", "3"}, {"name", "h"}}}}}}),
            "f=1;g=2;h=3;");
  EXPECT_THAT(error_of(chat, {{{"role", "tool"}, {"content", "1"}}}),
              HasSubstr("tools: line 1: 'dict object' has no attribute 'name'"));
}

TEST(ChatTemplateTest, VariablesComeFromFolderAndCaller) {
  const ChatTemplate chat = ChatTemplate::parse(
      "{{ bos_token }}{{ custom }}{{ tools is none }}{{ documents is none }}"
      "{{ add_generation_prompt }}{{ strftime_now('%Y') if ask else '' }}",
      "variables", {{"bos_token", "<s>"}});
  ChatInput input;
  EXPECT_EQ(chat.render(input), "<s>TrueTrueFalse");
  input.extra = {{"custom", "c"}, {"bos_token", "<t>"}, {"ask", true}};
  EXPECT_THROW(chat.render(input), Error);
  input.now.emplace();
  input.now->tm_year = 125;
  EXPECT_EQ(chat.render(input), "<t>cTrueTrueFalse2025");
}

TEST(ChatTemplateTest, MalformedInputIsRefused) {
  const ChatTemplate chat = ChatTemplate::parse("{{ messages | length }}", "plain");
  EXPECT_EQ(error_of(chat, "x"), "messages: expected a list, found string");
  EXPECT_EQ(error_of(chat, {1}), "messages[0]: expected an object, found number");
  EXPECT_EQ(render_one(chat, Json::array()), "0");
  ChatInput input;
  input.extra = 3;
  EXPECT_THROW(chat.render(input), Error);
  try {
    ChatTemplate::parse("a\n{% if %}", "folder/chat_template.jinja");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_STREQ(error.what(),
                 "folder/chat_template.jinja: line 2: expected an expression, found '%}'");
  }
  try {
    ChatTemplate::parse(std::string(2 << 20, 'x'), "big");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kTooLarge);
  }
}

class ChatTemplateFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "templateXXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& file, const std::string& text) const {
    std::ofstream(folder_ / file) << text;
  }
  std::string rendered() const { return load_chat_template(folder_.string()).render({}); }
  std::string error() const {
    try {
      load_chat_template(folder_.string());
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  std::filesystem::path folder_;
};

TEST_F(ChatTemplateFolderTest, ReadsEveryPlace) {
  write("chat_template.json", R"({"chat_template": "json{{ bos_token }}"})");
  EXPECT_EQ(rendered(), "json");
  write("tokenizer_config.json",
        R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": null})");
  EXPECT_EQ(rendered(), "json<s>");
  write("tokenizer_config.json",
        R"({"bos_token": "<s>", "chat_template": [{"name": "tool_use", "template": "no"},
            {"name": "default", "template": "list{{ bos_token }}"}]})");
  EXPECT_EQ(rendered(), "list<s>");
  write("tokenizer_config.json", R"({"bos_token": "<s>", "chat_template": "one{{ bos_token }}"})");
  EXPECT_EQ(rendered(), "one<s>");
  write("chat_template.jinja", "file{{ bos_token }}\n");
  EXPECT_EQ(rendered(), "file<s>");
}

TEST_F(ChatTemplateFolderTest, SaysWhatIsMissingOrMalformed) {
  EXPECT_THAT(error(), HasSubstr("no chat template"));
  write("tokenizer_config.json", "{}");
  EXPECT_THAT(error(), HasSubstr("no chat template"));
  write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_THAT(error(), HasSubstr("chat_template: expected a string, found an integer"));
  write("tokenizer_config.json", R"({"chat_template": []})");
  EXPECT_THAT(error(), HasSubstr("without a template named \"default\""));
  write("tokenizer_config.json", R"({"chat_template": "{{"})");
  EXPECT_THAT(error(), HasSubstr("tokenizer_config.json: line 1: '{{' has no end '}}'"));
  write("tokenizer_config.json", "");
  EXPECT_THAT(error(), HasSubstr("empty"));
}

}  // namespace
}  // namespace mm
