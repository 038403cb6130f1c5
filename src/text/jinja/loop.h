/// The `loop` variable of a for loop.
#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace mm::jinja {

class Loop : public Object {
 public:
  /// `items` is a sequence value.
  explicit Loop(Value items) : items_(std::move(items)) {}

  const char* type_name() const override { return "LoopContext"; }
  std::string text() const override;
  int depth() const override { return items_.depth() + 1; }
  std::optional<Value> attribute(Runtime& runtime, std::string_view name) override;
  void advance() { ++index_; }

 private:
  Value cycle_function(Runtime& runtime) const;

  Value items_;
  size_t index_ = 0;
};

}  // namespace mm::jinja
