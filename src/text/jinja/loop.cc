#include "text/jinja/loop.h"

namespace mm::jinja {

std::string Loop::text() const {
  return fmt::format("<LoopContext {}/{}>", index_ + 1, items_.sequence().items.size());
}

std::optional<Value> Loop::attribute(Runtime& runtime, std::string_view name) {
  const List& items = items_.sequence().items;
  const auto index = static_cast<int64_t>(index_);
  const auto count = static_cast<int64_t>(items.size());
  if (name == "index") {
    return Value(index + 1);
  }
  if (name == "index0") {
    return Value(index);
  }
  if (name == "revindex") {
    return Value(count - index);
  }
  if (name == "revindex0") {
    return Value(count - index - 1);
  }
  if (name == "first") {
    return Value(index == 0);
  }
  if (name == "last") {
    return Value(index + 1 == count);
  }
  if (name == "length") {
    return Value(count);
  }
  if (name == "depth") {
    return Value(1);  // only recursive loops have another
  }
  if (name == "depth0") {
    return Value(0);
  }
  if (name == "previtem") {
    return index_ > 0 && index_ <= items.size() ? items[index_ - 1]
                                                : make_undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return index_ + 1 < items.size() ? items[index_ + 1] : make_undefined("there is no next item");
  }
  if (name == "cycle") {
    return cycle_function(runtime);
  }
  if (name == "changed") {
    return make_undefined("'loop.changed' is not supported; compare with loop.previtem");
  }
  return std::nullopt;
}

Value Loop::cycle_function(Runtime& runtime) const {
  const size_t index = index_;
  runtime.budget().build(sizeof(NativeFunction));
  return Value(ObjectRef(
      std::make_shared<NativeFunction>("cycle", [index](Runtime&, const Arguments& arguments) {
        if (arguments.positional.empty()) {
          fault("'loop.cycle' needs at least one value");
        }
        return arguments.positional[index % arguments.positional.size()];
      })));
}

}  // namespace mm::jinja
