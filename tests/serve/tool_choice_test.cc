#include "serve/tool_choice.h"

#include <gtest/gtest.h>

#include "serve/api_error.h"

namespace mm {

namespace {

using Kind = ToolChoice::Kind;

const Json kTools = {{{"name", "f"}, {"parameters", {{"type", "object"}, {"minProperties", 1}}}},
                     {{"name", "g"}}};

ToolUse choose(const ToolChoice& choice, const Json& tools, bool parallel = true,
               ToolFormat format = ToolFormat::kM1) {
  return choose_tools(choice, tools, parallel, format, "parameters");
}

std::string refused(const ToolChoice& choice, const Json& tools,
                    ToolFormat format = ToolFormat::kM1) {
  try {
    choose(choice, tools, true, format);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    return error.param;
  }
  return "nothing";
}

}  // namespace

TEST(ToolChoice, WordsAreThoseOfTheApi) {
  EXPECT_EQ(find_tool_choice("none")->kind, Kind::kNone);
  EXPECT_EQ(find_tool_choice("auto")->kind, Kind::kAuto);
  EXPECT_EQ(find_tool_choice("required")->kind, Kind::kRequired);
  EXPECT_FALSE(find_tool_choice("any"));
}

TEST(ToolChoice, ToolsThatMayBeCalledAreTold) {
  const ToolUse use = choose({Kind::kAuto}, kTools, false);
  EXPECT_EQ(use.told, kTools);
  EXPECT_EQ(use.most_calls, 1U);
  EXPECT_EQ(use.demand.form, ToolFormat::kNone);
  EXPECT_TRUE(choose({Kind::kNone}, kTools).told.is_null());
  EXPECT_TRUE(choose({Kind::kAuto}, Json()).told.is_null());
}

TEST(ToolChoice, ARequiredCallIsOneOfAllTools) {
  const ToolUse use = choose({Kind::kRequired}, kTools);
  EXPECT_EQ(use.told, kTools);
  EXPECT_EQ(use.demand.form, ToolFormat::kM1);
  EXPECT_FALSE(use.demand.one || use.demand.is_named);
  ASSERT_EQ(use.demand.tools.size(), 2U);
  EXPECT_EQ(use.demand.tools[0]["parameters"], kTools[0]["parameters"]);
  // A function that says nothing of parameters has none.
  EXPECT_EQ(use.demand.tools[1]["parameters"].dump(), R"({"type":"object","properties":{}})");
  EXPECT_TRUE(choose({Kind::kRequired}, kTools, false).demand.one);
}

TEST(ToolChoice, ANamedToolIsCalledOnceAndKeepsItsPlace) {
  const ToolUse use = choose({Kind::kNamed, "g"}, kTools);
  EXPECT_EQ(use.told, kTools);
  EXPECT_TRUE(use.demand.one && use.demand.is_named);
  ASSERT_EQ(use.demand.tools.size(), 1U);
  EXPECT_EQ(use.demand.tools[0]["index"], 1);
  EXPECT_EQ(use.demand.tools[0]["name"], "g");
}

TEST(ToolChoice, WithoutAPlaceForToolsOnlyDemandedCallsAreMade) {
  EXPECT_EQ(refused({Kind::kAuto}, kTools, ToolFormat::kNone), "tools");
  const ToolUse use = choose({Kind::kRequired}, kTools, true, ToolFormat::kNone);
  EXPECT_TRUE(use.told.is_null());
  EXPECT_EQ(use.demand.form, ToolFormat::kM1);
  EXPECT_EQ(choose({Kind::kRequired}, kTools, true, ToolFormat::kText01).demand.form,
            ToolFormat::kText01);
}

TEST(ToolChoice, DemandsThatCannotBeMetAreRefused) {
  EXPECT_EQ(refused({Kind::kRequired}, Json()), "tool_choice");
  EXPECT_EQ(refused({Kind::kNamed, "f"}, Json()), "tool_choice");
  EXPECT_EQ(refused({Kind::kNamed, "h"}, kTools), "tool_choice");
}

}  // namespace mm
