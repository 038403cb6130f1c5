/// What the evaluator changes for a while and must change back, also when an error passes.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "text/jinja/evaluator.h"

namespace mm::jinja {

/// One level of evaluation; throws kTooLarge when there are too many for the machine's stack.
class Evaluator::Nesting {
 public:
  explicit Nesting(Evaluator& evaluator) : evaluator_(evaluator) {
    if (evaluator_.depth_ >= kMaxEvaluationDepth) {
      too_large("calls and expressions nest more than {} levels deep", kMaxEvaluationDepth);
    }
    ++evaluator_.depth_;
  }
  ~Nesting() { --evaluator_.depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Evaluator& evaluator_;
};

/// A new scope inside `parent`.
class Evaluator::ScopeGuard {
 public:
  ScopeGuard(Evaluator& evaluator, std::shared_ptr<Scope> parent)
      : evaluator_(evaluator), saved_(evaluator.scope_) {
    evaluator_.scope_ = std::make_shared<Scope>();
    evaluator_.scope_->parent = std::move(parent);
  }
  ~ScopeGuard() { evaluator_.scope_ = std::move(saved_); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Evaluator& evaluator_;
  std::shared_ptr<Scope> saved_;
};

/// Sends output to `out`.
class Evaluator::Capture {
 public:
  Capture(Evaluator& evaluator, BoundedString& out)
      : evaluator_(evaluator), saved_(std::exchange(evaluator.out_, &out)) {}
  ~Capture() { evaluator_.out_ = saved_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

 private:
  Evaluator& evaluator_;
  BoundedString* saved_;
};

/// The text that a filter without a written input works on.
class FilterInput {
 public:
  FilterInput(const Value*& slot, const Value& input)
      : slot_(slot), kept_(input), saved_(std::exchange(slot, &kept_)) {}
  ~FilterInput() { slot_ = saved_; }
  FilterInput(const FilterInput&) = delete;
  FilterInput& operator=(const FilterInput&) = delete;

 private:
  const Value*& slot_;
  Value kept_;
  const Value* saved_;
};

}  // namespace mm::jinja
