/// Values of a running template, with the semantics of the Python objects they stand for.
///
/// Strings, sequences and dicts are immutable and shared. What can change (namespaces, loops,
/// generators) is an Object or keeps its position beside the items. Every container knows its
/// depth, so that recursion over values is bounded by kMaxValueDepth.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/budget.h"

namespace mm::jinja {

class Value;
class Runtime;
class Dict;
class Object;
struct Sequence;
struct Arguments;

using StringRef = std::shared_ptr<const std::string>;
using SequenceRef = std::shared_ptr<const Sequence>;
using DictRef = std::shared_ptr<const Dict>;
using ObjectRef = std::shared_ptr<Object>;
using List = std::vector<Value>;

/// The result of looking up what is not there; using it is an error that says `reason`.
struct Undefined {
  StringRef reason;  ///< e.g. "'x' is undefined"; null when there is nothing to say
};
struct None {};

/// One value; copying shares what it points to.
class Value {
 public:
  Value() : data_(Undefined{}) {}
  // NOLINTBEGIN(google-explicit-constructor): a Value stands for any of these
  Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(None none) : data_(none) {}
  Value(bool boolean) : data_(boolean) {}
  Value(int64_t integer) : data_(integer) {}
  Value(int integer) : data_(int64_t{integer}) {}
  Value(double number) : data_(number) {}
  Value(StringRef text) : data_(std::move(text)) {}
  Value(SequenceRef items) : data_(std::move(items)) {}
  Value(DictRef dict) : data_(std::move(dict)) {}
  Value(ObjectRef object) : data_(std::move(object)) {}
  Value(const void*) = delete;  // else a pointer would become a bool
  // NOLINTEND(google-explicit-constructor)

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  /// An int that is not a bool.
  bool is_int() const { return std::holds_alternative<int64_t>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_bool() || is_int() || is_float(); }
  bool is_string() const { return std::holds_alternative<StringRef>(data_); }
  bool is_sequence() const { return std::holds_alternative<SequenceRef>(data_); }
  bool is_dict() const { return std::holds_alternative<DictRef>(data_); }
  bool is_object() const { return std::holds_alternative<ObjectRef>(data_); }

  const Undefined& undefined() const { return std::get<Undefined>(data_); }
  bool boolean() const { return std::get<bool>(data_); }
  double number() const { return std::get<double>(data_); }
  const std::string& text() const { return *std::get<StringRef>(data_); }
  const StringRef& shared_text() const { return std::get<StringRef>(data_); }
  const Sequence& sequence() const { return *std::get<SequenceRef>(data_); }
  const Dict& dict() const { return *std::get<DictRef>(data_); }
  Object& object() const { return *std::get<ObjectRef>(data_); }
  const ObjectRef& shared_object() const { return std::get<ObjectRef>(data_); }

  /// The integer of an int or bool; empty for anything else.
  std::optional<int64_t> as_integer() const;
  /// The number of an int, bool or float; empty for anything else.
  std::optional<double> as_number() const;
  /// Levels of containers inside this value; 0 for scalars.
  int depth() const;
  /// Whether both hold the same object (Python's `is`).
  bool same(const Value& other) const;

 private:
  std::variant<Undefined, None, bool, int64_t, double, StringRef, SequenceRef, DictRef, ObjectRef>
      data_;
};

/// What Python type a Sequence stands for: decides printing, truth and equality.
enum class Flavor { kList, kTuple, kRange, kView, kGenerator };

/// Items in order; build it with make_sequence().
struct Sequence {
  Flavor flavor = Flavor::kList;
  int depth = 1;
  List items;
  std::string label;        ///< how a range or view prints: "range(0, 3)", "dict_keys"
  bool group = false;       ///< a pair of groupby: has the attributes `grouper` and `list`
  mutable size_t next = 0;  ///< first item that a generator has not given away yet

  bool is_generator() const { return flavor == Flavor::kGenerator; }
};

/// Key and value pairs in insertion order; keys are scalars.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;

  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }
  int depth() const { return depth_; }
  /// The value at `key`, or null. Throws when the key is of a kind that Python cannot hash.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  /// Adds or replaces; throws when it would nest too deeply.
  void set(const Value& key, Value value);

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;  // canonical key text → entry
  int depth_ = 1;
};

/// Hashes names, so that maps of names can be asked with a string_view.
struct NameHash {
  using is_transparent = void;  // NOLINT(readability-identifier-naming): the standard's name
  size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
};
/// Values by name.
using NameMap = std::unordered_map<std::string, Value, NameHash, std::equal_to<>>;

/// Positional and named arguments of a call.
struct Arguments {
  List positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Something with behaviour: a namespace, loop, macro, function or bound method.
class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;

  /// Python's name of the type, for errors: "Namespace", "LoopContext", "Macro".
  virtual const char* type_name() const = 0;
  /// What {{ object }} prints.
  virtual std::string text() const { return std::string("<") + type_name() + ">"; }
  /// Levels of containers that this object keeps alive.
  virtual int depth() const { return 1; }
  /// The attribute `name`, or nothing.
  virtual std::optional<Value> attribute(Runtime& runtime, std::string_view name);
  virtual bool callable() const { return false; }
  virtual Value call(Runtime& runtime, const Arguments& arguments);
};

/// Names that can be assigned to as attributes. Owned by the evaluator, so that a namespace that
/// holds itself is no leak.
class Namespace : public Object {
 public:
  const char* type_name() const override { return "Namespace"; }
  std::optional<Value> attribute(Runtime& runtime, std::string_view name) override;
  void set(std::string_view name, Value value);

 private:
  NameMap values_;
};

/// A string value, charged to the budget.
Value make_string(Budget& budget, std::string text);
/// A string value of a few bytes whose cost does not matter (constants, error reasons).
Value make_text(std::string_view text);
/// An undefined value that explains itself.
Value make_undefined(std::string reason);
/// A sequence value, charged to the budget; throws kTooLarge when nested too deeply.
Value make_sequence(Budget& budget, List items, Flavor flavor = Flavor::kList);
/// Same, with the other fields of Sequence as the caller set them; depth is filled in.
Value make_sequence(Budget& budget, Sequence sequence);
/// A dict value, charged to the budget.
Value make_dict(Budget& budget, Dict dict);

/// Throws kTooLarge when `depth` is over kMaxValueDepth.
void check_depth(int depth);
/// Python's name of a value's type, as Jinja prints it: "str", "dict object", "None".
std::string type_name(const Value& value);
/// Throws the reason of an undefined value; does nothing for others.
void require_defined(const Value& value);
/// Python's truth of a value.
bool truthy(const Value& value);
/// The length as len() gives it; throws for values without one.
int64_t length(Budget& budget, const Value& value);
/// All items a `for` would see; takes what is left of a generator. Throws for non-iterables.
List iterate(Budget& budget, const Value& value);
/// Whether iterate() would accept it.
bool iterable(const Value& value);

}  // namespace mm::jinja
