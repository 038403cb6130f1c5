#include "serve/grammar_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/thread_name.h"
#include "serve/call_grammar.h"

namespace mm {

namespace {

/// A wrong schema or grammar is the client's, whatever the kind of the error.
ApiError format_error(const AnswerFormat& format, const Error& error) {
  if (error.kind() != ErrorKind::kBadInput && error.kind() != ErrorKind::kUnsupported &&
      error.kind() != ErrorKind::kTooLarge) {
    return to_api_error(error);
  }
  const bool is_schema = format.kind == AnswerFormat::Kind::kJsonSchema;
  return {400, "invalid_request_error", fmt::format("{}: {}", format.title, error.what()),
          format.param, is_schema ? "invalid_json_schema" : "invalid_value"};
}

}  // namespace

GrammarStore::GrammarStore(const Tokenizer& tokenizer, std::vector<int32_t> excluded, size_t most)
    : tokenizer_(tokenizer), excluded_(std::move(excluded)), most_(most), thread_([this] {
        name_this_thread("grammars");
        run();
      }) {}

GrammarStore::~GrammarStore() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void GrammarStore::get(AnswerFormat format, Callback callback) {
  std::unique_lock lock(mutex_);
  CompiledFormat known;
  known.grammar = find_locked({format.kind, format.text});
  if (known.grammar != nullptr) {
    lock.unlock();
    callback(known);
    return;
  }
  wishes_.push_back({std::move(format), std::move(callback)});
  lock.unlock();
  changed_.notify_all();
}

size_t GrammarStore::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::shared_ptr<const Grammar> GrammarStore::find_locked(const Key& key) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.key == key; });
  if (found == entries_.end()) {
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, found);
  return found->grammar;
}

void GrammarStore::keep(Key key, std::shared_ptr<const Grammar> grammar) {
  Entry oldest;  // goes away unlocked: that takes time
  const std::lock_guard lock(mutex_);
  entries_.push_front({std::move(key), std::move(grammar)});
  if (entries_.size() > most_) {
    oldest = std::move(entries_.back());
    entries_.pop_back();
  }
}

void GrammarStore::run() {
  while (true) {
    Wish wish;
    CompiledFormat compiled;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ends_ || !wishes_.empty(); });
      if (ends_) {
        return;
      }
      wish = std::move(wishes_.front());
      wishes_.pop_front();
      // Somebody may have wished for the same in the meantime.
      compiled.grammar = find_locked({wish.format.kind, wish.format.text});
    }
    if (compiled.grammar == nullptr) {
      compiled = compile(wish.format);
    }
    wish.callback(compiled);
  }
}

CompiledFormat GrammarStore::compile(const AnswerFormat& format) {
  CompiledFormat result;
  try {
    result.grammar = compile_grammar(format);
    keep({format.kind, format.text}, result.grammar);
  } catch (const Error& error) {
    result = {.error = format_error(format, error)};
  } catch (const std::exception& error) {
    result = {.error = to_api_error(error)};
  }
  return result;
}

std::shared_ptr<const Grammar> GrammarStore::compile_grammar(const AnswerFormat& format) {
  if (trie_ == nullptr) {
    trie_ = std::make_shared<const TokenTrie>(tokenizer_, excluded_);
  }
  switch (format.kind) {
    case AnswerFormat::Kind::kJsonObject:
      return Grammar::any_json_object(trie_);
    case AnswerFormat::Kind::kJsonSchema:
      return Grammar::from_json_schema(format.text, trie_);
    case AnswerFormat::Kind::kGrammar:
      return Grammar::from_text(format.text, trie_);
    case AnswerFormat::Kind::kCalls:
      return compile_call_format(format, trie_);
    case AnswerFormat::Kind::kAny:
      break;
  }
  raise(ErrorKind::kInternal, "an answer that may be anything has no grammar");
}

}  // namespace mm
