/// What built-in functions may touch while a template runs: a budget, a clock that the host set,
/// and a place for objects that live as long as the rendering. There is no other way out.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace mm::jinja {

class Runtime {
 public:
  Runtime(const Limits& limits, std::optional<std::tm> now) : budget_(limits), now_(now) {}
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  Budget& budget() { return budget_; }
  /// The host's date and time for strftime_now; empty when the host gave none.
  const std::optional<std::tm>& now() const { return now_; }
  /// Keeps `object` until the rendering ends and gives a reference that does not own it, so that
  /// objects which hold each other are no leak.
  ObjectRef adopt(std::unique_ptr<Object> object) {
    constexpr size_t kObjectBytes = 256;
    budget_.build(kObjectBytes);
    owned_.push_back(std::move(object));
    return ObjectRef(std::shared_ptr<void>(), owned_.back().get());
  }

 private:
  Budget budget_;
  std::optional<std::tm> now_;
  std::vector<std::unique_ptr<Object>> owned_;
};

/// A function of ours that templates can call.
class NativeFunction : public Object {
 public:
  using Body = std::function<Value(Runtime&, const Arguments&)>;
  /// `depth` is that of the deepest value which `body` keeps.
  NativeFunction(std::string name, Body body, int depth = 0)
      : name_(std::move(name)), body_(std::move(body)), depth_(depth + 1) {}

  const char* type_name() const override { return "function"; }
  int depth() const override { return depth_; }
  bool callable() const override { return true; }
  Value call(Runtime& runtime, const Arguments& arguments) override {
    return body_(runtime, arguments);
  }

 private:
  std::string name_;
  Body body_;
  int depth_;
};

}  // namespace mm::jinja
