/// Equalities: whatever the engine does with a request, its logits have the bits of a cold run.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "engine/context_append.h"
#include "engine/runner.h"
#include "model/summary.h"
#include "model/weights.h"
#include "ops/token_draw.h"
#include "tests/cache/context_fixture.h"
#include "tests/engine/golden.h"
#include "tests/engine/requests.h"

namespace mm {
namespace {

using testing::Drawn;
using testing::make_request;
using testing::random_ids;
using testing::run_all;
using Ids = std::vector<int32_t>;

class EngineTest : public ::testing::TestWithParam<std::string> {
 protected:
  EngineTest()
      : model_(testing::load_named_model(GetParam())),
        vocab_(static_cast<int32_t>(model_.config.vocab_size)) {}

  EngineOptions options(int sequences = 4, int64_t tokens = 192) const {
    EngineOptions options;
    options.threads = 2;
    options.context_size = 1024;
    options.max_sequences = sequences;
    options.step_tokens = tokens;
    options.checkpoint_every = 256;
    return options;
  }

  /// A budget for one context, one checkpoint and the running states: nothing to spare but
  /// `more_pages`.
  int64_t least_memory(const EngineOptions& o, int64_t more_pages = 0) const {
    Engine roomy(model_, o);
    const CacheStorage& storage = roomy.executor().storage();
    const CacheSizes least{.pages = (o.context_size + kBlockTokens - 1) / kBlockTokens + more_pages,
                           .live = o.max_sequences,
                           .checkpoints = 1};
    return roomy.memory_bytes() - storage.sizes().bytes(storage.shape()) +
           least.bytes(storage.shape());
  }

  /// The plain path: one sequence, token by token where `tokens` are drawn.
  Drawn cold(const Ids& prompt, int64_t tokens) const {
    RunnerOptions options;
    options.threads = 1;
    options.context_size = 2048;
    options.prefill_chunk = 1000;
    Runner runner(model_, options);
    Drawn drawn;
    std::span<const float> logits = runner.prefill(prompt);
    HostTokenDrawer drawer(vocab_);
    const TokenDraw greedy{.banned = model_.zero_rows};
    for (int64_t n = 0; n < tokens; ++n) {
      drawn.logits.emplace_back(logits.begin(), logits.end());
      drawn.ids.push_back(drawer.draw(logits, greedy));
      if (n + 1 < tokens) {
        logits = runner.prefill({&drawn.ids.back(), 1});
      }
    }
    return drawn;
  }

  void expect_cold(const Drawn& drawn, const Ids& prompt) const {
    EXPECT_EQ(drawn.error, "");
    const Drawn want = cold(prompt, static_cast<int64_t>(drawn.ids.size()));
    EXPECT_EQ(drawn.ids, want.ids);
    EXPECT_TRUE(drawn.logits == want.logits) << "bits differ after " << prompt.size() << " tokens";
  }

  /// One request by itself.
  static Drawn ask(Engine& engine, const Ids& prompt, int64_t tokens = 3) {
    return testing::ask(engine, prompt, tokens);
  }

  Model model_;
  int32_t vocab_;
};

TEST_P(EngineTest, BatchEqualsSingle) {
  Engine engine(model_, options(6));
  const std::vector<int64_t> lengths = {1, 63, 64, 65, 200, 311};
  std::vector<Ids> prompts;
  std::vector<Drawn> drawn(lengths.size());
  for (size_t i = 0; i < lengths.size(); ++i) {
    prompts.push_back(random_ids(lengths[i], vocab_, i));
    engine.submit(make_request(prompts[i], 5 + static_cast<int64_t>(i), drawn[i]));
  }
  run_all(engine);
  for (size_t i = 0; i < prompts.size(); ++i) {
    SCOPED_TRACE(i);
    expect_cold(drawn[i], prompts[i]);
    EXPECT_EQ(drawn[i].reason, FinishReason::kLength);
  }
}

TEST_P(EngineTest, ChunkedEqualsWhole) {
  const Ids prompt = random_ids(400, vocab_);
  for (const int64_t chunk : {65, 100, 128, 1000}) {
    Engine engine(model_, options(1, chunk));
    expect_cold(ask(engine, prompt), prompt);
  }
}

TEST_P(EngineTest, WithoutReuseAPromptMayBeLongerThanTheCheckpointInterval) {
  EngineOptions o = options(1, 128);
  o.reuse = false;
  const Ids prompt = random_ids(600, vocab_);
  Engine engine(model_, o);
  expect_cold(ask(engine, prompt), prompt);
  Engine sharing(model_, options(1, 128));
  Drawn drawn;
  EngineRequest request = make_request(prompt, 3, drawn);
  request.may_reuse = false;
  sharing.submit(std::move(request));
  run_all(sharing);
  expect_cold(drawn, prompt);
}

TEST_P(EngineTest, CachedEqualsColdAroundEveryEdge) {
  const Ids whole = random_ids(600, vocab_);
  for (const int64_t at : {1, 63, 64, 65, 127, 128, 129, 191, 192, 255, 256, 257, 511, 512, 513}) {
    SCOPED_TRACE(at);
    Engine engine(model_, options());
    ask(engine, whole, 2);
    Ids branch(whole.begin(), whole.begin() + at);
    const Ids rest = random_ids(90, vocab_, 99);
    branch.insert(branch.end(), rest.begin(), rest.end());
    for (int repeat = 0; repeat < 2; ++repeat) {
      const Drawn drawn = ask(engine, branch);
      expect_cold(drawn, branch);
      EXPECT_EQ(
          drawn.usage.cached_tokens + drawn.usage.replayed_tokens + drawn.usage.computed_tokens,
          drawn.usage.prompt_tokens + 2);
      // The second time there is a checkpoint near its own end.
      EXPECT_GE(drawn.usage.cached_tokens, repeat == 0 ? at / 256 * 256 : (at + 89) / 64 * 64);
    }
  }
}

TEST_P(EngineTest, AnExactResendComputesLessThanABlock) {
  for (const int64_t length : {100, 128, 129, 500}) {
    Engine engine(model_, options());
    const Ids prompt = random_ids(length, vocab_);
    const Drawn first = ask(engine, prompt, 4);
    const Drawn second = ask(engine, prompt, 4);
    EXPECT_EQ(second.ids, first.ids);
    EXPECT_TRUE(second.logits == first.logits);
    EXPECT_EQ(second.usage.cached_tokens, (length - 1) / 64 * 64);
    EXPECT_EQ(first.usage.reuse, ReuseOutcome::kEmptyCache);
    EXPECT_EQ(second.usage.reuse, ReuseOutcome::kReused);
  }
}

TEST_P(EngineTest, AConversationGoesOnFromItsLastTurn) {
  Engine engine(model_, options());
  Ids conversation;
  for (uint64_t turn = 0; turn < 4; ++turn) {
    const Ids message = random_ids(40 + static_cast<int64_t>(turn) * 13, vocab_, turn);
    conversation.insert(conversation.end(), message.begin(), message.end());
    const Drawn drawn = ask(engine, conversation, 20);
    expect_cold(drawn, conversation);
    EXPECT_GE(
        drawn.usage.cached_tokens,
        turn == 0 ? 0 : (static_cast<int64_t>(conversation.size() - message.size()) - 1) / 64 * 64);
    conversation.insert(conversation.end(), drawn.ids.begin(), drawn.ids.end());
  }
}

TEST_P(EngineTest, ABranchPointIsKept) {
  Engine engine(model_, options());
  const Ids system = random_ids(150, vocab_);
  const auto with_question = [&](uint64_t seed) {
    Ids prompt = system;
    const Ids question = random_ids(60, vocab_, seed);
    prompt.insert(prompt.end(), question.begin(), question.end());
    return prompt;
  };
  Drawn first;
  EngineRequest request = make_request(with_question(5), 2, first);
  request.branch_points = {150};
  engine.submit(std::move(request));
  run_all(engine);
  expect_cold(first, with_question(5));
  const Drawn second = ask(engine, with_question(6));
  EXPECT_EQ(second.usage.cached_tokens, 128);
  EXPECT_EQ(second.usage.replayed_tokens, 22);
  expect_cold(second, with_question(6));
}

TEST_P(EngineTest, CancelledMidPrefillThenGoneOn) {
  Engine engine(model_, options(2, 128));
  const Ids prompt = random_ids(500, vocab_);
  Drawn cancelled;
  const RequestId id = engine.submit(make_request(prompt, 3, cancelled));
  engine.step();
  engine.step();
  engine.cancel(id);
  run_all(engine);
  EXPECT_EQ(cancelled.reason, FinishReason::kCancelled);
  const Drawn drawn = ask(engine, prompt);
  EXPECT_EQ(drawn.usage.cached_tokens, 256);
  expect_cold(drawn, prompt);
}

TEST_P(EngineTest, ForkedAnywhereEqualsCold) {
  for (const int64_t at : {1, 64, 70, 100, 127, 128, 130}) {
    SCOPED_TRACE(at);
    Engine engine(model_, options());
    Drawn parent;
    const Ids prompt = random_ids(120, vocab_);
    const RequestId id = engine.submit(make_request(prompt, 40, parent));
    while (static_cast<int64_t>(parent.ids.size()) < 15) {
      engine.step();
    }
    Ids known = prompt;
    known.insert(known.end(), parent.ids.begin(), parent.ids.end());
    const Ids rest = random_ids(9, vocab_, 77);
    Drawn child;
    engine.fork(id, at, make_request(rest, 6, child));
    Ids branch(known.begin(), known.begin() + at);
    branch.insert(branch.end(), rest.begin(), rest.end());
    run_all(engine);
    expect_cold(child, branch);
    expect_cold(parent, prompt);
    EXPECT_EQ(child.usage.cached_tokens, at / 64 * 64);
  }
}

TEST_P(EngineTest, ForkingSaysWhatIsWrong) {
  Engine engine(model_, options());
  Drawn parent;
  Drawn child;
  const RequestId id = engine.submit(make_request(random_ids(20, vocab_), 5, parent));
  EXPECT_THROW(engine.fork(id + 1, 0, make_request({1}, 1, child)), Error);
  EXPECT_THROW(engine.fork(id, 10, make_request({1}, 1, child)), Error);
  run_all(engine);
  EXPECT_THROW(engine.fork(id, 0, make_request({1}, 1, child)), Error);
}

TEST_P(EngineTest, PreemptedEqualsNotPreempted) {
  EngineOptions o = options(4);
  o.context_size = 448;  // 7 blocks, all there are: four sequences want up to 24
  o.memory_bytes = least_memory(o);
  Engine engine(model_, o);
  EXPECT_EQ(engine.stats().pages, 7);
  std::vector<Ids> prompts;
  std::vector<Drawn> drawn(4);
  for (size_t i = 0; i < drawn.size(); ++i) {
    prompts.push_back(random_ids(50 + static_cast<int64_t>(i), vocab_, i));
    engine.submit(make_request(prompts[i], 380, drawn[i]));
  }
  run_all(engine);
  EXPECT_GT(engine.stats().preemptions, 0);
  for (size_t i = 0; i < drawn.size(); ++i) {
    EXPECT_EQ(drawn[i].ids.size(), 380u);
    expect_cold(drawn[i], prompts[i]);
  }
}

TEST_P(EngineTest, StatsAddUp) {
  Engine engine(model_, options(2));
  Drawn first;
  Drawn second;
  engine.submit(make_request(random_ids(60, vocab_, 1), 5, first));
  engine.submit(make_request(random_ids(50, vocab_, 2), 19, second));
  engine.step();
  const EngineStats busy = engine.stats();
  EXPECT_EQ(busy.slots, 2);
  EXPECT_EQ(busy.free_slots, 0);
  EXPECT_EQ(busy.prefill.steps, 1);
  run_all(engine);
  const EngineStats idle = engine.stats();
  EXPECT_EQ(idle.free_slots, 2);
  EXPECT_EQ(idle.used_pages, 0);
  EXPECT_EQ(idle.free_pages + idle.cached_pages, idle.pages);
  EXPECT_EQ(idle.prefill.steps + idle.decode.steps, idle.steps);
  EXPECT_EQ(idle.prefill.rows + idle.decode.rows, idle.step_rows);
  EXPECT_EQ(idle.step_rows, 60 + 4 + 50 + 18);  // what is drawn last is not computed
  EXPECT_GT(idle.prefill.flops, idle.decode.flops);
  EXPECT_GT(idle.decode.bytes, 0);
  EXPECT_EQ(idle.weight_bytes, summarize(model_).bytes);
  EXPECT_EQ(idle.reserved_bytes, engine.memory_bytes());
}

TEST_P(EngineTest, AnImportedPrefixEqualsAComputedOne) {
  const Ids prompt = random_ids(300, vocab_);
  struct Kept {
    Ids tokens;
    std::map<std::pair<size_t, int64_t>, std::vector<char>> pages;
    std::map<size_t, std::vector<char>> states;
  } kept;
  const auto bytes = [](const TensorView& view) {
    const char* data = static_cast<const char*>(view.data);
    return std::vector<char>(data, data + view.bytes());
  };
  Drawn drawn;
  EngineRequest request = make_request(prompt, 0, drawn);
  request.snapshot_every = 128;
  std::vector<int64_t> positions;
  request.on_snapshot = [&](const Snapshot& snapshot) {
    positions.push_back(snapshot.position());
    kept.tokens.assign(snapshot.tokens().begin(), snapshot.tokens().end());
    for (size_t layer = 0; layer < model_.config.layers.size(); ++layer) {
      if (model_.config.layers[layer] == AttentionKind::kLightning) {
        kept.states[layer] = bytes(snapshot.state(layer));
        continue;
      }
      for (int64_t block = 0; block < snapshot.position() / 64; ++block) {
        kept.pages[{layer, block}] = bytes(snapshot.page(layer, block));
      }
    }
  };
  Engine first(model_, options());
  first.submit(std::move(request));
  run_all(first);
  EXPECT_EQ(positions, (std::vector<int64_t>{128, 256}));
  EXPECT_EQ(drawn.reason, FinishReason::kLength);

  Engine second(model_, options());
  const ImportedPrefix prefix{
      .tokens = kept.tokens,
      .load_page =
          [&](size_t layer, int64_t block, const TensorView& page, const TensorView&) {
            const std::vector<char>& from = kept.pages.at({layer, block});
            std::copy(from.begin(), from.end(), static_cast<char*>(page.data));
          },
      .load_states =
          [&](std::span<const TensorView> states) {
            for (const auto& [layer, from] : kept.states) {
              std::copy(from.begin(), from.end(), static_cast<char*>(states[layer].data));
            }
          }};
  const uint64_t pin = second.import_prefix(prefix);
  EXPECT_EQ(second.stats().pinned_prefixes, 1);
  EXPECT_EQ(second.stats().used_pages, 256 / 64);
  const Drawn answer = ask(second, prompt);
  EXPECT_EQ(answer.usage.cached_tokens, 256);
  expect_cold(answer, prompt);
  second.unpin(pin);
  second.check_integrity();

  // A loader that fails leaves nothing behind.
  Engine third(model_, options());
  ImportedPrefix broken = prefix;
  broken.load_states = [](std::span<const TensorView>) { bad_input("no state"); };
  EXPECT_THROW(third.import_prefix(broken), Error);
  third.check_integrity();
  EXPECT_EQ(third.stats().cached_pages, 0);
  expect_cold(ask(third, prompt), prompt);
}

TEST_P(EngineTest, APromptThatPinnedPrefixesLeaveNoRoomForIsRefusedAndHarmsNothing) {
  EngineOptions o = options(2);
  o.memory_bytes = least_memory(o);
  Engine engine(model_, o);
  const uint64_t pin = engine.import_prefix(
      {.tokens = random_ids(256, vocab_, 1),
       .load_page = [](size_t, int64_t, const TensorView&, const TensorView&) {},
       .load_states = [](std::span<const TensorView>) {}});
  const Ids longest = random_ids(o.context_size - 2, vocab_, 2);
  const Ids small = random_ids(100, vocab_, 3);
  Drawn refused;
  Drawn beside;
  engine.submit(make_request(longest, 2, refused));
  engine.submit(make_request(small, 2, beside));
  for (int step = 0; !engine.idle() && step < 100; ++step) {
    engine.step();
    engine.check_integrity();
  }
  ASSERT_TRUE(engine.idle());
  EXPECT_NE(refused.error.find("12 of 16 can be had"), std::string::npos) << refused.error;
  expect_cold(beside, small);
  engine.unpin(pin);
  expect_cold(ask(engine, longest, 2), longest);
}

TEST_P(EngineTest, WhatCannotFitIsRefusedAndHarmsNobody) {
  EngineOptions o = options(2);
  o.context_size = 128;
  Engine engine(model_, o);
  Drawn running;
  const Ids prompt = random_ids(100, vocab_);
  engine.submit(make_request(prompt, 10, running));
  engine.step();
  Drawn refused;
  try {
    engine.submit(make_request(random_ids(120, vocab_), 20, refused));
    FAIL() << "no exception";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kTooLarge);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("120 prompt tokens"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("context of 128"));
  }
  EXPECT_THROW(engine.submit(make_request({}, 1, refused)), Error);
  EXPECT_THROW(engine.submit(make_request({-1}, 1, refused)), Error);
  EXPECT_THROW(engine.submit(make_request({vocab_}, 1, refused)), Error);
  run_all(engine);
  expect_cold(running, prompt);
}

TEST_P(EngineTest, AFullContextEndsARequest) {
  EngineOptions o = options(1);
  o.context_size = 70;
  Engine engine(model_, o);
  const Drawn drawn = ask(engine, random_ids(66, vocab_), -1);
  EXPECT_EQ(drawn.reason, FinishReason::kContextFull);
  EXPECT_EQ(drawn.ids.size(), 5u);
}

TEST_P(EngineTest, ACallbackThatThrowsEndsItsRequestAlone) {
  Engine engine(model_, options());
  Drawn good;
  const Ids prompt = random_ids(80, vocab_);
  engine.submit(make_request(prompt, 8, good));
  EngineRequest bad;
  bad.prompt = random_ids(70, vocab_, 3);
  bad.max_tokens = 8;
  std::string error;
  bad.on_event = [&](const Event& event) {
    if (event.kind == Event::Kind::kToken) {
      bad_input("the reader left");
    }
    error = event.error;
  };
  engine.submit(std::move(bad));
  run_all(engine);
  EXPECT_EQ(error, "the reader left");
  expect_cold(good, prompt);
}

TEST_P(EngineTest, TheMemoryBudgetDecidesSizes) {
  EngineOptions o = options(2);
  o.context_size = 0;
  o.memory_bytes = int64_t{64} << 20;
  const Engine engine(model_, o);
  EXPECT_LE(engine.memory_bytes(), o.memory_bytes);
  EXPECT_GT(engine.context_size(), 1000);
  o.memory_bytes = 1000;
  EXPECT_THROW(Engine(model_, o), Error);
}

/// Prompts from a few families with common beginnings, submitted, cancelled, forked and repeated in
/// any order on a cache that is too small for all of them. Some are saved as durable contexts,
/// which grow, are cut, forgotten by the engine and loaded again while others run.
class RandomSchedule {
 public:
  RandomSchedule(std::function<std::unique_ptr<Engine>()> make_engine, const ContextStore& store,
                 int32_t vocab, uint64_t seed)
      : make_engine_(std::move(make_engine)),
        engine_(make_engine_()),
        store_(store),
        vocab_(vocab),
        seed_(seed) {}

  struct Entry {
    Ids prompt;
    Drawn drawn;
    RequestId id = 0;
    int engine = 0;         ///< the engines before its own
    int64_t restored = -1;  ///< tokens that must come from the disk; -1: any number
  };

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      act();
      engine_->step();
      engine_->check_integrity();
    }
    loaded_.reset();
    run_all(*engine_);
  }
  const std::vector<std::unique_ptr<Entry>>& entries() const { return entries_; }

  /// The longest context. Its blocks are always to spare: a loaded context keeps its pages.
  static constexpr int64_t kLongest = 320;

 private:
  int64_t random(int64_t below) {
    return static_cast<int64_t>(philox(seed_, 3, counter_++)[0] % static_cast<uint64_t>(below));
  }
  Ids make_prompt() {
    Ids prompt = random_ids(random(300), vocab_, static_cast<uint64_t>(random(2)));
    const Ids rest = random_ids(1 + random(100), vocab_, static_cast<uint64_t>(random(4)));
    prompt.insert(prompt.end(), rest.begin(), rest.end());
    return prompt;
  }
  Entry& any_entry() { return *entries_[static_cast<size_t>(random(size()))]; }
  void act() {
    loaded_.reset();
    const int64_t kind = random(9);
    if (kind <= 1) {
      submit(make_prompt());
    } else if (kind == 2) {
      save();
    } else if (entries_.empty()) {
      return;
    } else if (kind == 3) {
      const Entry& entry = any_entry();
      if (entry.engine == engines_) {
        engine_->cancel(entry.id);
      }
    } else if (kind == 4) {
      submit(any_entry().prompt);
    } else if (kind == 5) {
      fork(any_entry());
    } else if (kind == 6) {
      restore();
    } else if (kind == 7) {
      forget();
      restore();
    }
  }
  Entry& submit(const Ids& prompt) {
    entries_.push_back(std::make_unique<Entry>());
    Entry& entry = *entries_.back();
    entry.prompt = prompt;
    entry.engine = engines_;
    entry.id = engine_->submit(make_request(prompt, 1 + random(12), entry.drawn));
    return entry;
  }
  void fork(Entry& parent) {
    const int64_t done = parent.drawn.usage.cached_tokens + parent.drawn.usage.computed_tokens +
                         parent.drawn.usage.replayed_tokens;
    if (parent.drawn.reason || done == 0 || parent.drawn.usage.preemptions > 0) {
      return;
    }
    Ids known = parent.prompt;
    known.insert(known.end(), parent.drawn.ids.begin(), parent.drawn.ids.end());
    const int64_t at = random(std::min<int64_t>(done, static_cast<int64_t>(known.size())));
    auto entry = std::make_unique<Entry>();
    const Ids rest = random_ids(1 + random(20), vocab_, 50);
    entry->prompt.assign(known.begin(), known.begin() + at);
    entry->prompt.insert(entry->prompt.end(), rest.begin(), rest.end());
    entry->engine = engines_;
    entry->id = engine_->fork(parent.id, at, make_request(rest, 1 + random(8), entry->drawn));
    entries_.push_back(std::move(entry));
  }

  ContextBinding binding() const { return context_binding(*engine_, "model"); }

  /// Makes a context of a prompt, or cuts one and lets it grow; the others run on meanwhile.
  void save() {
    const bool grow = contexts_ > 0 && random(2) == 0;
    const std::string name = std::to_string(grow ? random(contexts_) : contexts_++);
    ContextWriter writer =
        grow ? store_.open_writer(name, binding())
             : store_.create(
                   name, {.binding = binding(), .backend = "test", .codec = {}, .metadata = {}});
    std::optional<ContextReader> stored;
    Ids tokens;
    if (grow) {
      writer.truncate(1 + random(writer.token_count()));
      writer.commit();
      stored.emplace(store_.open_reader(name, binding()));
      tokens = stored->tokens();
    }
    const Ids rest = entries_.empty() || grow ? make_prompt() : any_entry().prompt;
    tokens.insert(tokens.end(), rest.begin(), rest.end());
    tokens.resize(std::min<size_t>(tokens.size(), kLongest));
    AppendOptions options;
    options.segment_tokens = 64 * (1 + random(4));
    EXPECT_TRUE(
        append_to_context(*engine_, writer, stored ? &*stored : nullptr, tokens, options).finished);
    EXPECT_TRUE(store_.open_reader(name, binding()).tokens() == tokens);
  }
  /// Loads a part of a context and goes on from there. It stays loaded until the next action.
  void restore() {
    if (contexts_ == 0) {
      return;
    }
    const ContextReader reader = store_.open_reader(std::to_string(random(contexts_)), binding());
    const int64_t at = 1 + random(reader.token_count());
    const bool empty = engine_->stats().cached_pages == 0;
    try {
      loaded_.emplace(*engine_, reader, at);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kTooLarge) << error.what();  // running requests have it
      return;
    }
    Ids prompt = reader.tokens();
    prompt.resize(static_cast<size_t>(at));
    const Ids rest = random_ids(1 + random(60), vocab_, 51);
    prompt.insert(prompt.end(), rest.begin(), rest.end());
    submit(prompt).restored = empty ? loaded_->position() : -1;
  }
  /// All that is in memory.
  void forget() {
    run_all(*engine_);
    engine_ = make_engine_();
    ++engines_;
  }
  int64_t size() const { return static_cast<int64_t>(entries_.size()); }

  std::function<std::unique_ptr<Engine>()> make_engine_;
  std::unique_ptr<Engine> engine_;
  const ContextStore& store_;
  int32_t vocab_;
  uint64_t seed_;
  uint64_t counter_ = 0;
  int engines_ = 0;
  int64_t contexts_ = 0;
  std::optional<LoadedContext> loaded_;
  std::vector<std::unique_ptr<Entry>> entries_;
};

TEST_P(EngineTest, AnyScheduleEqualsColdRuns) {
  int64_t restored = 0;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    SCOPED_TRACE(seed);
    int64_t cached = 0;
    EngineOptions o = options(3, 130);
    o.context_size = 512;
    o.memory_bytes = least_memory(o, RandomSchedule::kLongest / kBlockTokens);
    const TemporaryFolder folder;
    const ContextStore store(folder.path());
    RandomSchedule schedule([&] { return std::make_unique<Engine>(model_, o); }, store, vocab_,
                            seed);
    schedule.run(60);
    for (const auto& entry : schedule.entries()) {
      expect_cold(entry->drawn, entry->prompt);
      cached += entry->drawn.usage.cached_tokens;
      // One that was cancelled or yielded before it began has taken nothing over.
      if (entry->restored >= 0 && !entry->drawn.ids.empty()) {
        EXPECT_EQ(entry->drawn.usage.cached_tokens, entry->restored);
        restored += entry->restored;
      }
    }
    EXPECT_GT(cached, 0);
  }
  EXPECT_GT(restored, 0);
}

std::string name_of(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, EngineTest, ::testing::Values("tiny", "tiny-hd64"), name_of);
// Sanitizer builds leave the larger model out.
INSTANTIATE_TEST_SUITE_P(SlowModels, EngineTest, ::testing::Values("mini"), name_of);

}  // namespace
}  // namespace mm
