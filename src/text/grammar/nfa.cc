#include "text/grammar/nfa.h"

#include <utility>

#include "base/error.h"
#include "text/grammar/utf8_ranges.h"

namespace mm::grammar {
namespace {

class NfaBuilder {
 public:
  NfaBuilder(const Rule& rule, const ByteSet& usable, size_t max_states)
      : rule_(rule), usable_(usable), max_states_(max_states) {}

  Nfa build() {
    add_state();
    nfa_.end = add(rule_.body, 0);
    return std::move(nfa_);
  }

 private:
  NfaState& at(int32_t state) { return nfa_.states[static_cast<size_t>(state)]; }

  int32_t add_state() {
    if (nfa_.states.size() >= max_states_) {
      raise(ErrorKind::kTooLarge,
            "grammar: rule \"{}\" spells out more than {} states; use smaller repetition counts or "
            "lengths",
            rule_.name, max_states_);
    }
    nfa_.states.emplace_back();
    return static_cast<int32_t>(nfa_.states.size() - 1);
  }

  /// Adds what leads from `from` over the texts of `e`; returns where they end.
  int32_t add(const Expression& e, int32_t from) {
    switch (e.kind) {
      case Expression::Kind::kBytes:
        return add_bytes(e.bytes, from);
      case Expression::Kind::kChars:
        return add_chars(e.chars, from);
      case Expression::Kind::kSequence:
        for (const Expression& part : e.parts) {
          from = add(part, from);
        }
        return from;
      case Expression::Kind::kChoice:
        return add_choice(e.parts, from);
      case Expression::Kind::kRepeat:
        return add_repeat(e, from);
      case Expression::Kind::kRule:
        return add_call(e.rule, from);
    }
    return from;
  }

  int32_t add_bytes(const std::string& text, int32_t from) {
    for (const char c : text) {
      const auto byte = static_cast<uint8_t>(c);
      const int32_t to = add_state();
      add_edge(from, {byte, byte}, to);
      from = to;
    }
    return from;
  }

  int32_t add_chars(const std::vector<CodeRange>& ranges, int32_t from) {
    const int32_t end = add_state();
    for (const CodeRange& range : ranges) {
      for (const std::vector<ByteRange>& bytes : utf8_sequences(range)) {
        int32_t at_byte = from;
        for (size_t i = 0; i < bytes.size(); ++i) {
          const int32_t to = i + 1 < bytes.size() ? add_state() : end;
          add_edge(at_byte, bytes[i], to);
          at_byte = to;
        }
      }
    }
    return end;
  }

  void add_edge(int32_t from, ByteRange range, int32_t to) {
    int first = -1;  // of a run of usable bytes
    for (int byte = range.first; byte <= range.last + 1; ++byte) {
      const bool inside = byte <= range.last && usable_[static_cast<size_t>(byte)];
      if (inside && first < 0) {
        first = byte;
      } else if (!inside && first >= 0) {
        at(from).bytes.push_back({static_cast<uint8_t>(first), static_cast<uint8_t>(byte - 1), to});
        first = -1;
      }
    }
  }

  int32_t add_choice(const std::vector<Expression>& parts, int32_t from) {
    const int32_t end = add_state();
    for (const Expression& part : parts) {
      const int32_t part_end = add(part, from);
      at(part_end).skips.push_back(end);
    }
    return end;
  }

  int32_t add_repeat(const Expression& e, int32_t from) {
    const Expression& part = e.parts[0];
    for (int i = 0; i < e.min; ++i) {
      from = add_apart(part, from);
    }
    const int32_t end = add_state();
    if (e.max == Expression::kNoLimit) {
      const int32_t loop = add_state();
      at(from).skips.push_back(loop);
      const int32_t back = add(part, loop);
      at(back).skips.push_back(loop);
      at(loop).skips.push_back(end);
      return end;
    }
    for (int i = e.min; i < e.max; ++i) {
      at(from).skips.push_back(end);
      from = add_apart(part, from);
    }
    at(from).skips.push_back(end);
    return end;
  }

  /// A part that adds no state (an empty text) would let a count of billions run for ever without
  /// meeting the limit.
  int32_t add_apart(const Expression& part, int32_t from) {
    const int32_t begin = add_state();
    at(from).skips.push_back(begin);
    return add(part, begin);
  }

  int32_t add_call(int rule, int32_t from) {
    const int32_t end = add_state();
    at(from).calls.push_back({rule, end});
    return end;
  }

  const Rule& rule_;
  const ByteSet& usable_;
  const size_t max_states_;
  Nfa nfa_;
};

/// Finds which rules derive the empty text, following skips and calls of such rules; each skip and
/// call is looked at once.
class EmptyTexts {
 public:
  explicit EmptyTexts(const std::vector<Nfa>& nfas)
      : nfas_(nfas), found_(nfas.size()), waiting_(nfas.size()) {
    for (const Nfa& nfa : nfas) {
      reached_.emplace_back(nfa.states.size());
    }
  }

  std::vector<bool> find() {
    for (size_t rule = 0; rule < nfas_.size(); ++rule) {
      reach({rule, 0});
    }
    while (!work_.empty()) {
      const Place place = work_.back();
      work_.pop_back();
      visit(place);
    }
    return std::move(found_);
  }

 private:
  struct Place {
    size_t rule;
    int32_t state;
  };

  void reach(Place place) {
    const auto state = static_cast<size_t>(place.state);
    if (!reached_[place.rule][state]) {
      reached_[place.rule][state] = true;
      work_.push_back(place);
    }
  }

  void visit(Place place) {
    const NfaState& state = nfas_[place.rule].states[static_cast<size_t>(place.state)];
    for (const int32_t to : state.skips) {
      reach({place.rule, to});
    }
    for (const CallEdge& call : state.calls) {
      const auto called = static_cast<size_t>(call.rule);
      if (found_[called]) {
        reach({place.rule, call.to});
      } else {
        waiting_[called].push_back({place.rule, call.to});
      }
    }
    if (place.state == nfas_[place.rule].end) {
      found_[place.rule] = true;
      for (const Place& caller : std::exchange(waiting_[place.rule], {})) {
        reach(caller);
      }
    }
  }

  const std::vector<Nfa>& nfas_;
  std::vector<bool> found_;                  ///< by rule
  std::vector<std::vector<Place>> waiting_;  ///< by rule: reached if it derives the empty text
  std::vector<std::vector<bool>> reached_;   ///< by rule and state: without reading
  std::vector<Place> work_;
};

}  // namespace

Nfa make_nfa(const Rule& rule, const ByteSet& usable, size_t max_states) {
  return NfaBuilder(rule, usable, max_states).build();
}

std::vector<bool> add_empty_calls(std::vector<Nfa>& nfas) {
  std::vector<bool> empty = EmptyTexts(nfas).find();
  for (Nfa& nfa : nfas) {
    for (NfaState& state : nfa.states) {
      for (const CallEdge& call : state.calls) {
        if (empty[static_cast<size_t>(call.rule)]) {
          state.skips.push_back(call.to);
        }
      }
    }
  }
  return empty;
}

}  // namespace mm::grammar
