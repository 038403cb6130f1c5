#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "cache/cache_budget.h"
#include "engine/host_cache.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "engine/step_cost.h"
#include "model/summary.h"
#include "tensor/device.h"

namespace mm {
namespace {

constexpr int64_t kMaxPositions = int64_t{1} << 30;  // positions are i32, with room to add
constexpr int kMaxSequences = 4096;
// Of an accelerator's memory: scratch of operations (rounded rows and partial sums of a step,
// 32 MiB of cuBLASLt) and the inputs of a step.
constexpr int64_t kDeviceReserve = int64_t{512} << 20;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// A request that has not ended.
struct Active {
  Sequence sequence;
  EngineRequest request;
  std::optional<Sampler> sampler;
  std::vector<uint64_t> allowed;  // by the mask, if there is one; 64 ids a word
  int64_t generated = 0;
  bool cancelled = false;

  TokenDraw next_draw() {
    if (request.mask == nullptr) {
      return sampler->next();
    }
    request.mask->find_allowed(allowed);
    return sampler->next(allowed);
  }
  void accept(int32_t token) {
    if (token == kNoToken) {
      raise(ErrorKind::kInternal,
            "sampling: no token has a finite logit: the model computed NaN or every token is "
            "banned");
    }
    sampler->accept(token);
    if (request.mask != nullptr) {
      request.mask->accept(token);
    }
  }
};

class LiveSnapshot : public Snapshot {
 public:
  LiveSnapshot(HostCache& cache, const Sequence& sequence) : cache_(cache), sequence_(sequence) {}
  int64_t position() const override { return sequence_.position / kBlockTokens * kBlockTokens; }
  std::span<const int32_t> tokens() const override {
    return {sequence_.tokens.data(), static_cast<size_t>(position())};
  }
  TensorView page(size_t layer, int64_t block) const override {
    return cache_.page(layer, page_id(block));
  }
  TensorView page_scales(size_t layer, int64_t block) const override {
    return cache_.page_scales(layer, page_id(block));
  }
  TensorView state(size_t layer) const override { return cache_.live_state(layer, sequence_.slot); }

 private:
  int32_t page_id(int64_t block) const { return sequence_.pages[static_cast<size_t>(block)]; }

  HostCache& cache_;
  const Sequence& sequence_;
};

EngineOptions checked(EngineOptions options) {
  if (options.context_size < 0 || options.context_size > kMaxPositions) {
    bad_input("context size {} is out of range, expected 1 to {} tokens", options.context_size,
              kMaxPositions);
  }
  if (options.max_sequences < 1 || options.max_sequences > kMaxSequences) {
    bad_input("{} sequences at once are out of range, expected 1 to {}", options.max_sequences,
              kMaxSequences);
  }
  if (options.step_tokens < 1 || options.step_tokens > (1 << 20)) {
    bad_input("{} tokens a step are out of range, expected 1 to {}", options.step_tokens, 1 << 20);
  }
  if (options.context_size == 0 && options.memory_bytes == 0 && options.device.is_host()) {
    bad_input("neither a context size nor a memory budget is given");
  }
  options.step_tokens = std::max(options.step_tokens, options.max_sequences + kBlockTokens);
  return options;
}

ExecutorOptions executor_options(const EngineOptions& options) {
  return {.device = options.device,
          .graphs = options.graphs,
          .overlap = options.overlap,
          .deterministic = options.deterministic,
          .threads = options.threads,
          .reference = options.reference,
          .compute = options.compute,
          .max_rows = options.step_tokens,
          .max_logit_rows = options.max_sequences,
          .max_sequences = options.max_sequences};
}

/// What an accelerator has to spare for workspace and cache.
int64_t free_for_cache(const EngineOptions& options) {
  const int64_t free = std::max<int64_t>(0, device_free_bytes(options.device) - kDeviceReserve);
  if (options.memory_bytes > free) {
    raise(ErrorKind::kTooLarge,
          "the memory budget is {} bytes, cuda:{} has {} to spare beside the weights; lower "
          "--memory",
          options.memory_bytes, options.device.index, free);
  }
  return free;
}

CachePlan make_cache_plan(const Model& model, const EngineOptions& options) {
  const CacheShape shape = mm::cache_shape(model.config, options.compute, options.kv_dtype);
  CacheWishes wishes{.memory_bytes = options.memory_bytes,
                     .workspace_bytes = workspace_bytes(model.config, executor_options(options)),
                     .context_tokens = options.context_size,
                     .sequences = options.max_sequences,
                     .checkpoint_every = options.checkpoint_every};
  if (!options.device.is_host()) {
    const int64_t free = free_for_cache(options);
    const auto fits = [&](const CachePlan& plan) {
      return plan.sizes.bytes(shape) + wishes.workspace_bytes <= free;
    };
    const bool chosen =
        wishes.memory_bytes > 0 || (wishes.context_tokens > 0 && fits(plan_cache(shape, wishes)));
    if (!chosen) {
      wishes.memory_bytes = free;
    }
  }
  CachePlan plan = plan_cache(shape, wishes);
  plan.context_tokens = std::min(plan.context_tokens, kMaxPositions);
  return plan;
}

/// FLOPs decide: the linear layers of a token, and per token before it two products of 2·K for each
/// query head of each softmax layer.
RecomputeCost recompute_cost(const ModelConfig& config, const CacheShape& shape) {
  const ModelSummary nothing;
  const StepCost one = decode_cost(config, nothing, 0, {shape.tail_dtype, shape.kv_dtype});
  const auto softmax =
      std::count(config.layers.begin(), config.layers.end(), AttentionKind::kSoftmax);
  return {.per_token = static_cast<double>(one.linear_flops + one.attention_flops),
          .per_token_position = 4.0 * static_cast<double>(config.attention_size() * softmax),
          .page_bytes = static_cast<double>(shape.page_bytes()),
          .state_bytes = static_cast<double>(shape.state_bytes())};
}

SchedulerOptions scheduler_options(const EngineOptions& options, const CachePlan& plan,
                                   const RecomputeCost& cost) {
  const bool grows = cost.per_token_position > 0;
  return {.max_sequences = options.max_sequences,
          .step_tokens = options.step_tokens,
          .block_tokens = kBlockTokens,
          .checkpoint_every = plan.checkpoint_every,
          .separate = options.deterministic && !options.device.is_host(),
          .crossover = grows ? static_cast<int64_t>(cost.per_token / cost.per_token_position) : 0};
}

}  // namespace

struct Engine::Impl {
  const Model& model;
  EngineOptions options;
  CachePlan cache_plan;
  Executor executor;
  HostCache host_cache;
  RecomputeCost cost;
  ModelSummary summary;
  StepCosts step_costs;
  PrefixCache cache;
  Scheduler scheduler;
  std::map<RequestId, std::unique_ptr<Active>> active;
  std::unordered_map<const Sequence*, Active*> by_sequence;
  std::map<uint64_t, PrefixTree::Node> pins;
  StepPlan plan;
  std::vector<StateCopy> copies;
  std::vector<StepRows> parts;
  std::vector<Active*> drawing;  // those that draw a token in this step, in order of logits
  std::vector<TokenDraw> draws;
  std::vector<int32_t> drawn;
  std::vector<std::string> draw_errors;  // empty: drawn
  RequestId next_id = 1;
  EngineStats totals;

  Impl(const Model& m, const EngineOptions& o)
      : model(m),
        options(checked(o)),
        cache_plan(make_cache_plan(m, options)),
        executor(m, executor_options(options),
                 mm::cache_shape(m.config, options.compute, options.kv_dtype), cache_plan.sizes),
        host_cache(executor.storage()),
        cost(recompute_cost(m.config, executor.storage().shape())),
        summary(summarize(m)),
        step_costs(m.config, summary,
                   {executor.storage().shape().tail_dtype, executor.storage().shape().kv_dtype}),
        cache({cache_plan.sizes.pages, cache_plan.sizes.checkpoints, kBlockTokens}, cost),
        scheduler(cache, scheduler_options(options, cache_plan, cost)) {}

  // ---- requests --------------------------------------------------------------------------------

  void check_request(const EngineRequest& request) const {
    const int64_t prompt = static_cast<int64_t>(request.prompt.size());
    if (prompt == 0) {
      bad_input("nothing to prefill: no tokens");
    }
    for (size_t i = 0; i < request.prompt.size(); ++i) {
      if (request.prompt[i] < 0 || request.prompt[i] >= model.config.vocab_size) {
        bad_input("token {} at position {} is outside the vocabulary of {}", request.prompt[i], i,
                  model.config.vocab_size);
      }
    }
    // The last token drawn needs no place.
    const int64_t needed = prompt + std::max<int64_t>(request.max_tokens - 1, 0);
    if (needed > cache_plan.context_tokens) {
      raise(ErrorKind::kTooLarge,
            "{} prompt tokens and up to {} generated do not fit the context of {} tokens; raise "
            "--ctx-size or --memory, or ask for fewer",
            prompt, std::max<int64_t>(request.max_tokens, 0), cache_plan.context_tokens);
    }
    for (const int64_t at : {request.snapshot_every, request.snapshot_at}) {
      if (at < 0 || at % kBlockTokens != 0) {
        bad_input("a snapshot at {} tokens, expected a multiple of {}", at, kBlockTokens);
      }
    }
  }

  static std::vector<int64_t> make_cuts(const EngineRequest& request) {
    const int64_t prompt = static_cast<int64_t>(request.prompt.size());
    std::vector<int64_t> cuts;
    if (prompt % kBlockTokens == 0 && prompt > kBlockTokens) {
      // Sent again, all but its last token may be cached: the checkpoint at its end would be too
      // far.
      cuts.push_back(prompt - kBlockTokens);
    }
    for (const int64_t point : request.branch_points) {
      cuts.push_back(std::min(point, prompt) / kBlockTokens * kBlockTokens);
    }
    if (request.snapshot_every > 0) {
      for (int64_t at = request.snapshot_every; at < prompt; at += request.snapshot_every) {
        cuts.push_back(at);
      }
      cuts.push_back(prompt / kBlockTokens * kBlockTokens);
      cuts.push_back(std::min(request.snapshot_at, cuts.back()));
    }
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    return cuts;
  }

  RequestId submit(EngineRequest request) {
    check_request(request);
    auto entry = std::make_unique<Active>();
    if (request.max_tokens != 0) {
      entry->sampler.emplace(request.sampling, model.config.vocab_size, model.zero_rows);
      entry->sampler->accept_prompt(request.prompt);
    }
    if (request.mask != nullptr) {
      entry->allowed.resize((static_cast<size_t>(model.config.vocab_size) + 63) / 64);
    }
    Sequence& sequence = entry->sequence;
    sequence.id = next_id++;
    sequence.tokens.reserve(request.prompt.size() + kBlockTokens);
    sequence.tokens = request.prompt;
    sequence.prompt_tokens = sequence.size();
    sequence.may_reuse = options.reuse && request.may_reuse;
    sequence.cuts = make_cuts(request);
    sequence.known = request.known_tokens;
    entry->request = std::move(request);
    scheduler.add(sequence);
    by_sequence[&sequence] = entry.get();
    const RequestId id = sequence.id;
    active[id] = std::move(entry);
    return id;
  }

  Usage usage_of(const Active& entry) const {
    const Sequence& s = entry.sequence;
    return {.prompt_tokens = s.prompt_tokens,
            .cached_tokens = s.cached,
            .replayed_tokens = s.replayed,
            .computed_tokens = s.computed,
            .generated_tokens = entry.generated,
            .preemptions = s.preemptions,
            .reuse = s.outcome};
  }

  void send(Active& entry, Event event) {
    event.id = entry.sequence.id;
    event.usage = usage_of(entry);
    if (entry.request.on_event) {
      entry.request.on_event(event);
    }
  }

  /// Gives everything back, tells and forgets the request.
  void end(Active& entry, Event event) {
    scheduler.remove(entry.sequence, copies);
    run_copies(copies);
    const Usage usage = usage_of(entry);
    totals.usage.prompt_tokens += usage.prompt_tokens;
    totals.usage.cached_tokens += usage.cached_tokens;
    totals.usage.replayed_tokens += usage.replayed_tokens;
    totals.usage.computed_tokens += usage.computed_tokens;
    totals.usage.generated_tokens += usage.generated_tokens;
    by_sequence.erase(&entry.sequence);
    const auto node = active.extract(entry.sequence.id);
    send(entry, std::move(event));
  }

  void end(Active& entry, FinishReason reason) {
    end(entry, Event{.kind = Event::Kind::kEnd, .reason = reason});
  }

  void fail(Active& entry, const std::string& message) {
    end(entry, Event{.kind = Event::Kind::kError, .error = message});
  }

  void end_cancelled() {
    for (auto next = active.begin(); next != active.end();) {
      Active& entry = *(next++)->second;  // end() erases it
      if (entry.cancelled) {
        end(entry, FinishReason::kCancelled);
      }
    }
  }

  // ---- steps -----------------------------------------------------------------------------------

  void run_copies(std::vector<StateCopy>& list) {
    const CacheStorage& storage = executor.storage();
    for (const StateCopy& copy : list) {
      switch (copy.kind) {
        case StateCopy::Kind::kClear:
          storage.clear_state(copy.live);
          break;
        case StateCopy::Kind::kLoad:
          storage.load_state(copy.checkpoint, copy.live);
          break;
        case StateCopy::Kind::kSave:
          storage.save_state(copy.live, copy.checkpoint);
          break;
      }
    }
    list.clear();
  }

  void collect_parts() {
    parts.clear();
    drawing.clear();
    for (const StepItem& item : plan.items) {
      const Sequence& s = *item.sequence;
      Active* entry = by_sequence.at(&s);
      const bool draws = item.wants_logits() && entry->sampler.has_value();
      parts.push_back({.tokens = {s.tokens.data() + s.position, static_cast<size_t>(item.count)},
                       .start = s.position,
                       .slot = s.slot,
                       .pages = s.pages,
                       .logits = draws ? 1 : 0});
      if (draws) {
        drawing.push_back(entry);
      }
    }
  }

  /// Calls `act` for every drawing request; what it throws is that request's error.
  void for_each_drawing(const std::function<void(size_t n)>& act) {
    const auto act_on = [&](int64_t begin, int64_t end, int) {
      for (size_t n = static_cast<size_t>(begin); n < static_cast<size_t>(end); ++n) {
        try {
          act(n);
        } catch (const std::exception& error) {
          draw_errors[n] = error.what();
        }
      }
    };
    executor.pool().parallel_for(static_cast<int64_t>(drawing.size()), 1, act_on);
  }

  /// Rows of prompts are nearly all of the work of a step that has any, so it counts as theirs.
  void count_step(double seconds) {
    int64_t logit_rows = 0;
    bool is_prefill = false;
    StepCost step;
    for (const StepRows& part : parts) {
      const auto rows = static_cast<int64_t>(part.tokens.size());
      step += step_costs.attention(part.start, rows);
      logit_rows += part.logits;
      is_prefill |= rows > 1;
    }
    step += step_costs.weights(plan.rows, logit_rows);
    PhaseStats& phase = is_prefill ? totals.prefill : totals.decode;
    ++phase.steps;
    phase.rows += plan.rows;
    phase.seconds += seconds;
    phase.flops += static_cast<double>(step.flops());
    phase.bytes += static_cast<double>(step.bytes());
    ++totals.steps;
    totals.step_rows += plan.rows;
    totals.model_seconds += seconds;
  }

  /// An id from each row of the step's logits. Masks are made while a device computes these.
  void draw() {
    draw_errors.assign(drawing.size(), {});
    draws.assign(drawing.size(), {});
    for_each_drawing([&](size_t n) { draws[n] = drawing[n]->next_draw(); });
    drawn.assign(drawing.size(), kNoToken);
    executor.draw(draws, drawn);
    for_each_drawing([&](size_t n) {
      if (draw_errors[n].empty()) {
        drawing[n]->accept(drawn[n]);
      }
    });
  }

  /// A step ends at each place where one is wanted: those are cuts. What follows the computing does
  /// not know where it began, so an ingest that goes on cuts its segments where the first one did.
  void take_snapshot(const Active& entry, int64_t before) {
    const EngineRequest& request = entry.request;
    const Sequence& s = entry.sequence;
    const int64_t at = s.position / kBlockTokens * kBlockTokens;
    const int64_t last = s.prompt_tokens / kBlockTokens * kBlockTokens;
    if (request.snapshot_every == 0 || at <= before || at > last) {
      return;
    }
    if (at % request.snapshot_every == 0 || at == request.snapshot_at || at == last) {
      request.on_snapshot(LiveSnapshot(host_cache, s));
    }
  }

  /// What a sequence's part of the step, which began at `before`, means to its request.
  void report_prompt(Active& entry, int64_t before) {
    const Sequence& s = entry.sequence;
    if (before >= s.prompt_tokens) {
      return;
    }
    take_snapshot(entry, before);
    send(entry,
         Event{.kind = Event::Kind::kProgress, .done = std::min(s.position, s.prompt_tokens)});
    if (s.remaining() == 0 && !entry.sampler) {  // only the prompt was wanted
      end(entry, FinishReason::kLength);
    }
  }

  void report_token(Active& entry, int32_t token, std::span<const float> logits) {
    Sequence& s = entry.sequence;
    const EngineRequest& request = entry.request;
    s.tokens.push_back(token);
    ++entry.generated;
    send(entry, Event{.kind = Event::Kind::kToken, .token = token, .logits = logits});
    const auto& stops = request.stop_ids;
    const bool stops_here = std::find(stops.begin(), stops.end(), token) != stops.end() ||
                            (request.mask != nullptr && request.mask->must_end());
    if (entry.cancelled) {
      end(entry, FinishReason::kCancelled);
    } else if (stops_here) {
      end(entry, FinishReason::kStop);
    } else if (request.max_tokens >= 0 && entry.generated >= request.max_tokens) {
      end(entry, FinishReason::kLength);
    } else if (s.size() > cache_plan.context_tokens) {
      end(entry, FinishReason::kContextFull);
    }
  }

  void report() {
    size_t next = 0;  // row of logits
    for (size_t i = 0; i < plan.items.size(); ++i) {
      const StepItem& item = plan.items[i];
      Active& entry = *by_sequence.at(item.sequence);
      const bool draws = parts[i].logits > 0;
      const size_t n = draws ? next++ : 0;
      try {
        report_prompt(entry, item.sequence->position - item.count);
        if (draws && draw_errors[n].empty()) {
          report_token(entry, drawn[n],
                       entry.request.wants_logits ? executor.logits(static_cast<int64_t>(n))
                                                  : std::span<const float>());
        } else if (draws) {
          fail(entry, draw_errors[n]);
        }
      } catch (const std::exception& error) {
        // An error of one request (of its callbacks, say) ends that request alone. If it came from
        // the end event itself nobody is left to be told.
        if (by_sequence.count(item.sequence) != 0) {
          fail(entry, error.what());
        } else {
          throw;
        }
      }
    }
  }

  /// A step that could not run ends the requests that were in it; the others go on. Their states
  /// may be half-way between two positions, so none is kept.
  void fail_step(const char* message) {
    for (const StepItem& item : plan.items) {
      item.sequence->may_reuse = false;
      fail(*by_sequence.at(item.sequence), message);
    }
  }

  /// Running alone, a sequence waits for pages that no other sequence holds.
  void fail_stuck(Sequence& sequence) {
    const int64_t needed = sequence.size() / kBlockTokens + 1;
    const int64_t had = static_cast<int64_t>(sequence.pages.size()) + cache.available_pages();
    fail(*by_sequence.at(&sequence),
         fmt::format(
             "{} tokens need {} pages of {} tokens, and {} of {} can be had: loaded contexts "
             "keep the others; close one, or raise --memory or --ctx-size",
             sequence.size(), needed, kBlockTokens, had, cache.total_pages()));
  }

  bool step() {
    const double start = seconds_now();
    end_cancelled();
    scheduler.plan(plan);
    run_copies(plan.copies);
    if (plan.stuck != nullptr) {
      fail_stuck(*plan.stuck);
      return true;
    }
    if (plan.items.empty()) {
      return false;
    }
    collect_parts();
    const double model_start = seconds_now();
    try {
      executor.start(parts);
      draw();
    } catch (const std::exception& error) {
      fail_step(error.what());
      return true;
    }
    const double drawn_at = seconds_now();
    count_step(drawn_at - model_start);
    scheduler.complete(plan, copies);
    run_copies(copies);
    totals.bookkeeping_seconds += (model_start - start) + (seconds_now() - drawn_at);
    report();
    return true;
  }

  // ---- prefixes from elsewhere -----------------------------------------------------------------

  struct Import {
    PrefixTree::Node node = PrefixTree::kRoot;
    std::vector<PageToFill> missing;
  };

  /// Finds or makes room for every block; fills nothing.
  Import reserve_import(std::span<const int32_t> tokens) {
    const int64_t blocks = static_cast<int64_t>(tokens.size()) / kBlockTokens;
    Import import;
    import.node = cache.begin_empty(ReuseOutcome::kEmptyCache).node;
    for (int64_t block = 0; block < blocks; ++block) {
      const auto part = tokens.subspan(static_cast<size_t>(block * kBlockTokens), kBlockTokens);
      int32_t page = -1;
      if (cache.tree().find_child(import.node, part) < 0) {
        page = cache.take_page();
        if (page < 0) {
          cache.drop(import.node, static_cast<int64_t>(import.missing.size()));
          raise(ErrorKind::kTooLarge,
                "{} cached tokens need {} pages of {} tokens, {} of {} can be had; raise --memory "
                "or --ctx-size, or wait for running requests",
                tokens.size(), blocks, kBlockTokens, block, cache.total_pages());
        }
        import.missing.push_back({block, page});
      }
      import.node = cache.commit(import.node, part, page);
    }
    return import;
  }

  void load_states(const ImportedPrefix& prefix, PrefixTree::Node node) {
    const int32_t slot = cache.add_checkpoint(node);
    if (slot < 0) {
      return;  // it is there already
    }
    try {
      host_cache.fill_states(slot, prefix.load_states);
    } catch (...) {
      cache.drop_checkpoint(node);
      throw;
    }
  }

  uint64_t import_prefix(const ImportedPrefix& prefix) {
    MM_CHECK(!prefix.tokens.empty() && prefix.tokens.size() % kBlockTokens == 0);
    const Import import = reserve_import(prefix.tokens);
    try {
      host_cache.fill_pages(import.missing, executor.pool(), prefix.load_page);
      load_states(prefix, import.node);
    } catch (...) {
      cache.drop(import.node, static_cast<int64_t>(import.missing.size()));
      throw;
    }
    pins[next_id] = import.node;
    return next_id++;
  }
};

Engine::Engine(const Model& model, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(model, options)) {}

Engine::~Engine() = default;

RequestId Engine::submit(EngineRequest request) {
  return impl_->submit(std::move(request));
}

RequestId Engine::fork(RequestId parent, int64_t at, EngineRequest request) {
  const auto found = impl_->active.find(parent);
  if (found == impl_->active.end()) {
    raise(ErrorKind::kNotFound, "request {} has ended or never was; nothing to fork", parent);
  }
  Sequence& sequence = found->second->sequence;
  if (at < 0 || at > sequence.position) {
    bad_input("cannot fork request {} at token {}: it has computed {}", parent, at,
              sequence.position);
  }
  if (sequence.running() && sequence.position / kBlockTokens * kBlockTokens <= at) {
    impl_->scheduler.keep_checkpoint(sequence, impl_->copies);
    impl_->run_copies(impl_->copies);
  }
  request.prompt.insert(request.prompt.begin(), sequence.tokens.begin(),
                        sequence.tokens.begin() + at);
  return submit(std::move(request));
}

void Engine::cancel(RequestId id) {
  const auto found = impl_->active.find(id);
  if (found != impl_->active.end()) {
    found->second->cancelled = true;
  }
}

void Engine::cancel_all() {
  for (const auto& [id, entry] : impl_->active) {
    entry->cancelled = true;
  }
  impl_->end_cancelled();
}

bool Engine::step() {
  return impl_->step();
}

bool Engine::idle() const {
  return impl_->active.empty();
}

uint64_t Engine::import_prefix(const ImportedPrefix& prefix) {
  return impl_->import_prefix(prefix);
}

void Engine::unpin(uint64_t pin) {
  const auto found = impl_->pins.find(pin);
  MM_CHECK(found != impl_->pins.end(), "pin {} does not exist", pin);
  impl_->cache.release(found->second);
  impl_->pins.erase(found);
}

EngineStats Engine::stats() const {
  EngineStats stats = impl_->totals;
  const PrefixCache& cache = impl_->cache;
  stats.running = impl_->scheduler.running();
  stats.waiting = impl_->scheduler.waiting();
  stats.slots = impl_->options.max_sequences;
  stats.free_slots = impl_->scheduler.free_slots();
  stats.pages = cache.total_pages();
  stats.free_pages = cache.free_pages();
  stats.used_pages = cache.total_pages() - cache.available_pages();
  stats.cached_pages = cache.tree().nodes();
  stats.checkpoints = cache.total_states();
  stats.free_checkpoints = cache.free_states();
  stats.evicted_pages = cache.evicted_pages();
  stats.evicted_checkpoints = cache.evicted_states();
  stats.pinned_prefixes = static_cast<int64_t>(impl_->pins.size());
  stats.preemptions = impl_->scheduler.preemptions();
  stats.weight_bytes = impl_->summary.bytes;
  stats.reserved_bytes = memory_bytes();
  if (const Device device = impl_->options.device; !device.is_host()) {
    stats.free_device_bytes = device_free_bytes(device);
  }
  return stats;
}

int64_t Engine::context_size() const {
  return impl_->cache_plan.context_tokens;
}
int64_t Engine::checkpoint_every() const {
  return impl_->cache_plan.checkpoint_every;
}
int64_t Engine::memory_bytes() const {
  return workspace_bytes(impl_->model.config, executor_options(impl_->options)) +
         impl_->cache_plan.sizes.bytes(impl_->executor.storage().shape());
}
const Model& Engine::model() const {
  return impl_->model;
}
const CacheShape& Engine::cache_shape() const {
  return impl_->executor.storage().shape();
}
Executor& Engine::executor() {
  return impl_->executor;
}
std::string Engine::backend_name() const {
  return impl_->executor.backend().name();
}

void Engine::check_integrity() const {
  impl_->scheduler.check_integrity();
  MM_CHECK(impl_->scheduler.running() + impl_->scheduler.waiting() ==
           static_cast<int64_t>(impl_->active.size()));
}

}  // namespace mm
