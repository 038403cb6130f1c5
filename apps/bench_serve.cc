/// minimax bench-serve: loads a server and measures what its clients would see.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cmath>
#include <ctime>

#include "base/error.h"
#include "base/output_file.h"
#include "base/version.h"
#include "commands.h"
#include "interrupt.h"
#include "load/arrivals.h"
#include "load/load.h"
#include "load/load_report.h"
#include "load/prompts.h"
#include "load/server_facts.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "session.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "Sends requests to any server with OpenAI's API and measures, from the sending of each: the "
    "time\n"
    "to its first token (TTFT), per output token after that (TPOT), between events (ITL) and to "
    "the\n"
    "end (E2E). docs/serving-benchmark.md has the exact definitions.\n"
    "Examples:\n"
    "  minimax bench-serve --url http://127.0.0.1:8080 --max-concurrency 8\n"
    "  minimax bench-serve --request-rate 4 --input-tokens 1024 --output-tokens 256 --ignore-eos\n"
    "  minimax bench-serve --shared-prefix-tokens 2048 --prefix-groups 4 --json --out result.json\n"
    "  minimax bench-serve --endpoint completions --prompts prompts.jsonl --num-requests 500";

/// A load that takes more of its core than this cannot be trusted to take its times at once.
constexpr double kBusy = 0.7;

struct Flags {
  CommonFlags common;
  std::string url = "http://127.0.0.1:8080";
  std::string api_key, model, ca_file, out, prompts_file;
  std::string endpoint = "chat";
  std::string arrivals = "poisson";
  std::string rate = "inf";
  RandomPromptOptions random;
  int64_t requests = 100;
  int64_t concurrency = 0;
  int64_t warmup = 1;
  double temperature = 0;
  double timeout = 600;
  double connect_timeout = 10;
  bool ignore_eos = false;
  bool insecure = false;
};

double parse_rate(const std::string& text) {
  size_t end = 0;
  double rate = 0;
  try {
    rate = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  if (end != text.size() || !(rate > 0)) {
    throw UsageError{"--request-rate " + text + ": expected requests per second over 0, or inf"};
  }
  return rate;
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

HttpClientOptions client_options(const Flags& flags) {
  HttpClientOptions options;
  options.url = parse_http_url(flags.url);
  options.ca_file = flags.ca_file;
  options.verify_tls = !flags.insecure;
  options.timeout = milliseconds(flags.timeout);
  options.connect_timeout = milliseconds(flags.connect_timeout);
  options.headers.push_back({"User-Agent", "minimax/" + version_string()});
  if (!flags.api_key.empty()) {
    if (flags.api_key.find_first_of("\r\n") != std::string::npos) {
      throw UsageError{"--api-key has a line break"};
    }
    options.headers.push_back({"Authorization", "Bearer " + flags.api_key});
  }
  return options;
}

/// A connection is an open file, and shells allow few by default.
void allow_many_connections() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

/// What is asked, and how a request says it.
class Requests {
 public:
  Requests(const Flags& flags, HttpClient& client) : flags_(flags) {
    model_ = flags.model.empty() ? find_model(client) : flags.model;
    if (!flags.prompts_file.empty()) {
      prompts_ = parse_prompts(read_text_file(flags.prompts_file), flags.prompts_file,
                               flags.random.output_tokens);
      return;
    }
    words_ = assume_words();
    if (count_tokens(client, model_, "")) {
      words_ = choose_words([&](const std::string& text) {
        throw_if_interrupted();
        return count_tokens(client, model_, text).value_or(-1);
      });
    }
    if (!words_.counted && !flags.common.quiet) {
      write_err(
          "minimax: the server has no /tokenize that helps: prompts have about, not exactly, "
          "the tokens asked for\n");
    }
  }

  const std::string& model() const { return model_; }
  /// Whether prompts have exactly the tokens asked for.
  bool counted() const { return words_.counted; }

  /// Requests `begin` to `begin` + due.size() - 1, due at those times.
  std::vector<LoadRequest> make(int64_t begin, const std::vector<double>& due) const {
    std::vector<LoadRequest> requests;
    for (const double time : due) {
      const int64_t index = begin + static_cast<int64_t>(requests.size());
      requests.push_back({call(prompt(index)), time});
    }
    return requests;
  }

 private:
  LoadPrompt prompt(int64_t index) const {
    return prompts_.empty() ? make_random_prompt(flags_.random, words_, index)
                            : prompts_[static_cast<size_t>(index) % prompts_.size()];
  }

  HttpCall call(const LoadPrompt& prompt) const {
    const bool chat = flags_.endpoint == "chat";
    Json body = {{"model", model_}};
    if (chat) {
      body["messages"] = prompt.messages.empty()
                             ? Json::array({{{"role", "user"}, {"content", prompt.text}}})
                             : Json::parse(prompt.messages);
    } else if (prompt.messages.empty()) {
      body["prompt"] = prompt.text;
    } else {
      throw UsageError{flags_.prompts_file + " has messages: they are for --endpoint chat"};
    }
    body["max_tokens"] = prompt.output_tokens;
    body["temperature"] = flags_.temperature;
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    if (flags_.ignore_eos) {
      body["ignore_eos"] = true;
    }
    return {"POST", chat ? "/v1/chat/completions" : "/v1/completions",
            body.dump(-1, ' ', false, Json::error_handler_t::replace)};
  }

  const Flags& flags_;
  std::string model_;
  Words words_;
  std::vector<LoadPrompt> prompts_;  ///< of the file; empty: random ones
};

/// Processor time of this process, in seconds.
double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Measured {
  LoadReport report;
  bool stopped = false;
  double busy = 0;  ///< processor time of this program over the load's duration
};

Measured measure(HttpClient& client, const Flags& flags, const char* label,
                 std::vector<LoadRequest> requests) {
  const auto total = static_cast<int64_t>(requests.size());
  Progress progress(progress_style(flags.common.quiet), label, "requests");
  const double before = processor_seconds();
  const LoadResult result =
      run_load(client, std::move(requests), flags.concurrency, [&](int64_t answered) {
        progress.update(answered, total);
        return !interrupted();
      });
  const double processor = processor_seconds() - before;
  progress.finish();
  Measured measured{make_load_report(result), result.stopped, 0};
  if (result.seconds > 0) {
    measured.busy = processor / result.seconds;
  }
  return measured;
}

/// Answers that nobody counts: what the server does once is done, and what it cannot do is found
/// out.
void warm_up(HttpClient& client, const Flags& flags, const Requests& requests) {
  if (flags.warmup == 0) {
    return;
  }
  // Prompts of their own, or the cache would already know those that are measured.
  const std::vector<double> due(static_cast<size_t>(flags.warmup), 0.0);
  const Measured warm = measure(client, flags, "warm-up", requests.make(flags.requests, due));
  throw_if_interrupted();
  if (warm.report.failed > 0) {
    const LoadFailure& failure = warm.report.failures.front();
    raise(ErrorKind::kIo, "the warm-up failed: {}: {}", failure.kind, failure.message);
  }
}

Json flags_json(const Flags& flags, const Requests& requests) {
  const bool random = flags.prompts_file.empty();
  const auto given = [](bool known, auto value) { return known ? Json(value) : Json(); };
  return {{"url", flags.url},
          {"model", requests.model()},
          {"endpoint", flags.endpoint},
          {"num_requests", flags.requests},
          {"request_rate", flags.rate},
          {"arrival", flags.arrivals},
          {"max_concurrency", given(flags.concurrency > 0, flags.concurrency)},
          {"prompts", given(!random, flags.prompts_file)},
          {"input_tokens", given(random, flags.random.input_tokens)},
          {"input_tokens_exact", given(random, requests.counted())},
          {"output_tokens", flags.random.output_tokens},
          {"range_ratio", given(random, flags.random.range_ratio)},
          {"shared_prefix_tokens", given(random, flags.random.shared_tokens)},
          {"prefix_groups", given(random, flags.random.groups)},
          {"seed", flags.random.seed},
          {"temperature", flags.temperature},
          {"ignore_eos", flags.ignore_eos},
          {"warmup", flags.warmup}};
}

std::string headline(const Flags& flags, const Requests& requests) {
  const std::string arrivals = std::isinf(parse_rate(flags.rate))
                                   ? "all at once"
                                   : fmt::format("{} arrivals at {}/s", flags.arrivals, flags.rate);
  return fmt::format(
      "{}, {}, {}: {} requests, {}{}\n", flags.url, requests.model(), flags.endpoint,
      flags.requests, arrivals,
      flags.concurrency > 0 ? fmt::format(", at most {} under way", flags.concurrency) : "");
}

void print(const Flags& flags, const Requests& requests, const Measured& measured) {
  Json json = {{"version", version_string()},          {"commit", commit()},
               {"flags", flags_json(flags, requests)}, {"results", to_json(measured.report)},
               {"interrupted", measured.stopped},      {"generator_core_share", measured.busy}};
  const std::string text = json.dump(2) + "\n";
  if (!flags.out.empty()) {
    write_text_file(flags.out, text);
  }
  write_out(flags.common.json
                ? text
                : headline(flags, requests) + format_load_report(measured.report) +
                      fmt::format("generator: {:.0f} % of a core\n", 100 * measured.busy));
  if (measured.busy > kBusy && !flags.common.quiet) {
    write_err(
        fmt::format("minimax: the load generator took {:.0f} % of its core: times may be its "
                    "own rather than the server's\n",
                    100 * measured.busy));
  }
}

int run(const Flags& flags) {
  set_up_log(flags.common);
  const double rate = parse_rate(flags.rate);
  const HttpClientOptions options = client_options(flags);
  allow_many_connections();
  const InterruptScope scope;
  HttpClient client(options);
  const Requests requests(flags, client);
  const Arrivals arrivals = flags.arrivals == "fixed" ? Arrivals::kFixed : Arrivals::kPoisson;
  std::vector<LoadRequest> load =
      requests.make(0, arrival_times(arrivals, rate, flags.requests, flags.random.seed));
  warm_up(client, flags, requests);
  const Measured measured = measure(client, flags, "load", std::move(load));
  print(flags, requests, measured);
  if (measured.stopped) {
    return kInterrupted;
  }
  if (measured.report.failed > 0) {
    raise(ErrorKind::kIo, "{} of {} requests failed, first: {}: {}", measured.report.failed,
          flags.requests, measured.report.failures.front().kind,
          measured.report.failures.front().message);
  }
  return kDone;
}

void add_server_flags(CLI::App& app, Flags& flags) {
  app.add_option("--url", flags.url, "The server; unix:PATH for a UNIX socket")
      ->type_name("URL")
      ->capture_default_str();
  app.add_option("--endpoint", flags.endpoint, "What is asked of it")
      ->check(CLI::IsMember({"chat", "completions"}))
      ->capture_default_str();
  app.add_option(
         "--api-key", flags.api_key,
         "Sent as a bearer token; others of this machine see flags, but not MINIMAX_API_KEY")
      ->type_name("KEY");
  app.add_option("--served-model-name", flags.model,
                 "What the server calls the model (default: the first of /v1/models)")
      ->type_name("NAME");
  app.add_option("--tls-ca", flags.ca_file, "Certificates (PEM) to trust besides the system's")
      ->type_name("FILE");
  app.add_flag("--insecure", flags.insecure, "Accept any certificate");
  app.add_option("--timeout", flags.timeout, "Longest time for an answer")
      ->check(CLI::Range(0.001, 1e7))
      ->type_name("SECONDS")
      ->capture_default_str();
  app.add_option("--connect-timeout", flags.connect_timeout, "Longest time for a connection")
      ->check(CLI::Range(0.001, 1e7))
      ->type_name("SECONDS")
      ->capture_default_str();
}

void add_traffic_flags(CLI::App& app, Flags& flags) {
  app.add_option("--num-requests", flags.requests, "Requests to measure")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--request-rate", flags.rate, "Requests per second; inf: all at once")
      ->type_name("R")
      ->capture_default_str();
  app.add_option("--arrival", flags.arrivals, "How they are spread at that rate")
      ->check(CLI::IsMember({"poisson", "fixed"}))
      ->capture_default_str();
  app.add_option("--max-concurrency", flags.concurrency,
                 "Most requests under way; others wait here (default: no limit)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->type_name("N");
  app.add_option("--warmup", flags.warmup, "Requests before, that are not measured")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->type_name("N")
      ->capture_default_str();
}

void add_prompt_flags(CLI::App& app, Flags& flags) {
  const auto tokens = CLI::Range(int64_t{1}, int64_t{1} << 30);
  app.add_option("--input-tokens", flags.random.input_tokens,
                 "Tokens of a prompt of random words, without the chat template's")
      ->check(tokens)
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--output-tokens", flags.random.output_tokens, "Most tokens of an answer")
      ->check(tokens)
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--range-ratio", flags.random.range_ratio,
                 "Both lengths vary evenly by this share, to both sides")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--shared-prefix-tokens", flags.random.shared_tokens,
                 "Tokens before those, the same for all prompts of a group")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--prefix-groups", flags.random.groups, "Different prefixes, taken in turn")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--prompts", flags.prompts_file,
                 "Instead of random words: prompts, one a line, as text or as JSON objects with "
                 "prompt or messages; again from the start when they run out")
      ->type_name("FILE");
  app.add_option("--seed", flags.random.seed, "Of arrivals, words and lengths")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--temp", flags.temperature, "Temperature")
      ->check(CLI::Range(0.0, 100.0))
      ->type_name("X")
      ->capture_default_str();
  app.add_flag("--ignore-eos", flags.ignore_eos,
               "Answers go on to their most tokens (where the server knows ignore_eos)");
}

}  // namespace

Command make_bench_serve_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("bench-serve", "Load a server and measure its answers");
  const auto flags = std::make_shared<Flags>();
  app->footer(kExamples);
  add_server_flags(*app, *flags);
  add_traffic_flags(*app, *flags);
  add_prompt_flags(*app, *flags);
  app->add_option("--out", flags->out, "Write the JSON here too")->type_name("FILE");
  add_common_flags(*app, flags->common);
  return {app, [flags] { return run(*flags); }};
}

}  // namespace mm::cli
