/// The grammars of a model's answers, compiled once each.
///
/// Goals: nobody who serves connections or runs the model waits for a compilation; bounded memory.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serve/answer_format.h"
#include "serve/api_error.h"
#include "text/grammar.h"

namespace mm {

/// A grammar, or why there is none.
struct CompiledFormat {
  std::shared_ptr<const Grammar> grammar = nullptr;
  std::optional<ApiError> error = std::nullopt;  ///< 400 that names the field, keyword and place
};

/// Any thread may call.
class GrammarStore {
 public:
  /// Must not throw, nor wait for the store.
  using Callback = std::function<void(const CompiledFormat&)>;

  /// `tokenizer` outlives this. `excluded`: ids that can never be drawn (Model::zero_rows). Keeps
  /// `most` grammars, those that were asked for last.
  GrammarStore(const Tokenizer& tokenizer, std::vector<int32_t> excluded, size_t most = 32);
  /// Waits for the compilation under way; other callbacks are dropped.
  ~GrammarStore();
  GrammarStore(const GrammarStore&) = delete;
  GrammarStore& operator=(const GrammarStore&) = delete;

  /// Calls back with the grammar of a format other than kAny: at once if it is known, else from the
  /// store's own thread when it is compiled, in the order of the calls.
  void get(AnswerFormat format, Callback callback);

  size_t size() const;

 private:
  using Key = std::pair<AnswerFormat::Kind, std::string>;
  struct Entry {
    Key key;
    std::shared_ptr<const Grammar> grammar;
  };
  struct Wish {
    AnswerFormat format;
    Callback callback;
  };

  std::shared_ptr<const Grammar> find_locked(const Key& key);
  void keep(Key key, std::shared_ptr<const Grammar> grammar);
  void run();
  CompiledFormat compile(const AnswerFormat& format);
  std::shared_ptr<const Grammar> compile_grammar(const AnswerFormat& format);

  const Tokenizer& tokenizer_;
  const std::vector<int32_t> excluded_;
  const size_t most_;
  std::shared_ptr<const TokenTrie> trie_;  // of the thread alone; made when first needed

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Entry> entries_;  // what was asked for last comes first
  std::deque<Wish> wishes_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace mm
