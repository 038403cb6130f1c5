// Functions that every template can call by name.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/clock.h"

namespace mm::jinja {
namespace {

Value call_range(Runtime& runtime, const Arguments& arguments) {
  const Bound bound("range", arguments, {"start", "stop", "step"});
  bound.require(0);
  const bool single = bound.find(1) == nullptr;
  const int64_t start = single ? 0 : bound.integer(0, 0);
  const int64_t stop = bound.integer(single ? 0 : 1, 0);
  const int64_t step = bound.integer(2, 1);
  if (step == 0) {
    fault("the step of 'range' must not be zero");
  }
  // In double, because a difference of two int64 may not fit in one.
  const double span =
      (static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step);
  if (span > static_cast<double>(kMaxRangeLength)) {
    too_large("'range' of {:.0f} numbers is over the limit of {}", span, kMaxRangeLength);
  }
  Sequence sequence;
  sequence.flavor = Flavor::kRange;
  sequence.label = step == 1 ? fmt::format("range({}, {})", start, stop)
                             : fmt::format("range({}, {}, {})", start, stop, step);
  int64_t number = start;
  while (step > 0 ? number < stop : number > stop) {
    sequence.items.emplace_back(number);
    if (__builtin_add_overflow(number, step, &number)) {
      break;
    }
  }
  return make_sequence(runtime.budget(), std::move(sequence));
}

// What dict() and namespace() take: a dict or pairs, then names.
Dict collect_members(Runtime& runtime, std::string_view callee, const Arguments& arguments) {
  Dict dict;
  if (arguments.positional.size() > 1) {
    fault("'{}' takes at most 1 positional argument", callee);
  }
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is_dict()) {
      dict = source.dict();
    } else {
      for (const Value& pair : iterate(runtime.budget(), source)) {
        const List members = iterate(runtime.budget(), pair);
        if (members.size() != 2) {
          fault("'{}' needs pairs of a key and a value", callee);
        }
        dict.set(members[0], members[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) {
    dict.set(make_text(name), value);
  }
  return dict;
}

Value call_dict(Runtime& runtime, const Arguments& arguments) {
  return make_dict(runtime.budget(), collect_members(runtime, "dict", arguments));
}

Value call_namespace(Runtime& runtime, const Arguments& arguments) {
  auto space = std::make_unique<Namespace>();
  const Dict members = collect_members(runtime, "namespace", arguments);
  runtime.budget().build(members.size() * sizeof(Value));
  for (const auto& [key, value] : members.entries()) {
    if (key.is_string()) {
      space->set(key.text(), value);
    }
  }
  return Value(runtime.adopt(std::move(space)));
}

Value call_raise_exception(Runtime&, const Arguments& arguments) {
  const Bound bound("raise_exception", arguments, {"message"});
  const Value& message = bound.require(0);
  fault("the template refuses this conversation: {}",
        message.is_string() ? message.text() : type_name(message));
}

Value call_strftime_now(Runtime& runtime, const Arguments& arguments) {
  const Bound bound("strftime_now", arguments, {"format"});
  const std::string& format = bound.require_text(0);
  if (!runtime.now()) {
    fault("the template asks for the date, and none was given; set ChatInput::now");
  }
  BoundedString out(runtime.budget());
  append_time(out, format, *runtime.now());
  return make_string(runtime.budget(), out.take());
}

// cycler(a, b): next() gives a, b, a, …
class Cycler : public Object {
 public:
  Cycler(List items, int depth) : items_(std::move(items)), depth_(depth) {}
  const char* type_name() const override { return "Cycler"; }
  int depth() const override { return depth_; }

  std::optional<Value> attribute(Runtime& runtime, std::string_view name) override {
    if (name == "current") {
      return items_[next_];
    }
    if (name != "next" && name != "reset") {
      return std::nullopt;
    }
    const bool reset = name == "reset";
    return Value(runtime.adopt(std::make_unique<NativeFunction>(
        std::string(name),
        [this, reset](Runtime&, const Arguments&) {
          const Value current = items_[next_];
          next_ = reset ? 0 : (next_ + 1) % items_.size();
          return reset ? Value(None{}) : current;
        },
        depth_)));
  }

 private:
  List items_;
  int depth_;
  size_t next_ = 0;
};

Value call_cycler(Runtime& runtime, const Arguments& arguments) {
  if (arguments.positional.empty() || !arguments.named.empty()) {
    fault("'cycler' needs at least one value");
  }
  int depth = 0;
  for (const Value& item : arguments.positional) {
    depth = std::max(depth, item.depth());
  }
  check_depth(depth + 1);
  return Value(runtime.adopt(std::make_unique<Cycler>(arguments.positional, depth + 1)));
}

// joiner(sep): nothing at the first call, `sep` at the others.
class Joiner : public Object {
 public:
  explicit Joiner(std::string separator) : separator_(std::move(separator)) {}
  const char* type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Value call(Runtime& runtime, const Arguments&) override {
    const bool first = !std::exchange(used_, true);
    return make_string(runtime.budget(), first ? std::string() : separator_);
  }

 private:
  std::string separator_;
  bool used_ = false;
};

Value call_joiner(Runtime& runtime, const Arguments& arguments) {
  const Bound bound("joiner", arguments, {"sep"});
  const std::string separator = bound.find(0) != nullptr ? bound.require_text(0) : ", ";
  return Value(runtime.adopt(std::make_unique<Joiner>(separator)));
}

}  // namespace

NameMap global_functions() {
  NameMap functions;
  const auto add = [&functions](const char* name, NativeFunction::Body body) {
    functions.emplace(name, ObjectRef(std::make_shared<NativeFunction>(name, std::move(body))));
  };
  add("range", call_range);
  add("dict", call_dict);
  add("namespace", call_namespace);
  add("raise_exception", call_raise_exception);
  add("strftime_now", call_strftime_now);
  add("cycler", call_cycler);
  add("joiner", call_joiner);
  return functions;
}

}  // namespace mm::jinja
