/// minimax serve: the model behind HTTP.
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/json_value.h"
#include "base/log.h"
#include "commands.h"
#include "engine/engine_loop.h"
#include "interrupt.h"
#include "model/model_hash.h"
#include "output.h"
#include "serve/anthropic_api.h"
#include "serve/contexts_api.h"
#include "serve/grammar_store.h"
#include "serve/http_server.h"
#include "serve/info_api.h"
#include "serve/openai_api.h"
#include "serve/router.h"
#include "serve/tokens_api.h"
#include "serve/web_page.h"
#include "serve/work_threads.h"
#include "session.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  minimax serve\n"
    "  minimax serve -m models/mini --port 9000 --parallel 16 -c 8192\n"
    "  minimax serve --host 0.0.0.0 --api-key-file keys.txt --tls-cert cert.pem --tls-key key.pem";

/// Without -c: room for a long conversation, at a memory that every machine has.
constexpr int64_t kDefaultContext = 8192;
/// Opening and checking contexts: one that takes long leaves the other for short ones.
constexpr int kWorkThreads = 2;
/// How often the main thread looks for signals.
constexpr std::chrono::milliseconds kPoll{50};

struct Flags {
  CommonFlags common;
  ModelFlags model;
  CacheFlags cache;
  HttpServerOptions http;
  AccessOptions access;
  std::string api_key_file, served_name, context_folder, max_body = "64M";
  int parallel = 8;
  int max_queue = 64;
  bool log_prompts = false;
  double read_timeout = 60;
  double request_timeout = 600;
  double drain_timeout = 60;
};

/// A server says what it serves; --quiet leaves errors only.
void set_up_server_log(const CommonFlags& flags) {
  const LogLevel least = flags.quiet     ? LogLevel::kError
                         : flags.verbose ? LogLevel::kDebug
                                         : LogLevel::kInfo;
  set_log_sink(stderr_log_sink(), least);
}

/// Everything a model needs to be served; what is last goes away first.
struct Loaded {
  explicit Loaded(const Flags& flags, EngineOptions options)
      : session(load_session(flags.model, flags.common.quiet)),
        engine(session.model, options),
        loop(engine),
        grammars(session.tokenizer, session.model.zero_rows) {
    load_prompts();
    const std::filesystem::path folder =
        std::filesystem::weakly_canonical(std::filesystem::path(session.folder));
    served.name = flags.served_name.empty() ? folder.filename().string() : flags.served_name;
    served.folder = session.folder;
    served.backend = engine.backend_name();
    served.created = std::chrono::duration_cast<std::chrono::seconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    served.context_size = engine.context_size();
    served.vocab_size = session.model.config.vocab_size;
    served.max_sequences = options.max_sequences;
    served.tokenizer = &session.tokenizer;
    served.prompts = prompts ? &*prompts : nullptr;
    served.tool_format = prompts ? find_tool_format(*prompts) : ToolFormat::kNone;
    served.sampling = session.generation.sampling;
    served.eos_ids = session.eos_ids;
    served.binding = context_binding(engine, hash_model_folder(session.folder));
    served.loop = &loop;
    served.grammars = &grammars;
  }
  void load_prompts() {
    try {
      prompts.emplace(session.folder, session.tokenizer);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kNotFound) {
        throw;
      }
      log_warning("{}: chat endpoints will refuse", error.what());
    }
  }

  Session session;
  std::optional<PromptBuilder> prompts;
  Engine engine;
  ServedModel served;
  EngineLoop loop;        // its thread uses all of the above
  GrammarStore grammars;  // its thread posts to the loop
};

/// What a client asked, on one line whatever its bytes are.
void log_body(const HttpRequest& request) {
  if (!request.body.empty()) {
    log_info("prompt id={} body={}", request.id,
             Json(request.body).dump(-1, ' ', false, Json::error_handler_t::replace));
  }
}

/// Lets answers end, at most for the time the flag gives; a second Ctrl-C ends the program at once.
void drain(HttpServer& server, ServerState& state, double seconds) {
  log_info("shutting down: {} connections, {} generations", server.open_connections(),
           state.active.load());
  state.draining = true;
  server.drain();
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (server.open_connections() > 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(kPoll);
  }
}

Flags checked(Flags flags) {
  flags.http.max_body_bytes = parse_bytes("--max-body", flags.max_body);
  flags.http.idle_timeout = flags.http.body_timeout =
      std::chrono::milliseconds(static_cast<int64_t>(flags.read_timeout * 1000));
  flags.http.request_timeout =
      std::chrono::milliseconds(static_cast<int64_t>(flags.request_timeout * 1000));
  if (!flags.api_key_file.empty()) {
    for (std::string& key : read_api_keys(flags.api_key_file)) {
      flags.access.api_keys.push_back(std::move(key));
    }
  }
  for (const std::string& key : flags.access.api_keys) {
    if (key.empty()) {
      throw UsageError{"--api-key is empty, expected a key"};
    }
  }
  return flags;
}

EngineOptions engine_options(const Flags& flags) {
  EngineOptions options = make_engine_options(flags.model, flags.cache);
  options.max_sequences = flags.parallel;
  if (options.context_size == 0) {
    options.context_size = kDefaultContext;
  }
  return options;
}

int serve(const Flags& given) {
  const Flags flags = checked(given);
  set_up_server_log(flags.common);
  const EngineOptions options = engine_options(flags);
  const InterruptScope scope;
  const auto state = std::make_shared<ServerState>();
  state->max_queue = flags.max_queue;
  std::optional<ContextStore> contexts;
  if (!flags.context_folder.empty()) {
    contexts.emplace(flags.context_folder);
  }
  // The model is loaded while the server already tells that it is loading. Declared before all that
  // answers requests: none may outlive it.
  std::optional<Loaded> loaded;
  WorkThreads threads(kWorkThreads);
  Router router(flags.access);
  add_info_routes(router, state);
  add_openai_routes(router, state, contexts, threads);
  if (contexts) {
    add_context_routes(router, state, *contexts, threads);
  }
  add_anthropic_routes(router, state);
  add_tokens_routes(router, state);
  add_web_routes(router);
  HttpServer server(
      flags.http,
      [&](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
        if (flags.log_prompts) {
          log_body(request);
        }
        router.handle(request, exchange);
      },
      [&router](const HttpRequest& request) { return router.admit(request); });
  state->connections = [&server] { return server.open_connections(); };
  log_info("listening on {}", server.url());
  if (flags.http.unix_socket.empty() && flags.http.host != "127.0.0.1" &&
      flags.http.host != "localhost" && flags.http.host != "::1" && flags.access.api_keys.empty()) {
    log_warning("everybody who reaches {} may use this server: no --api-key is set", server.url());
  }
  loaded.emplace(flags, options);
  state->model = &loaded->served;
  log_info("ready: {} on {}, {} sequences of up to {} tokens, loaded in {:.2f} s",
           loaded->served.name, loaded->served.backend, flags.parallel, loaded->served.context_size,
           loaded->session.load_seconds);
  while (!interrupted()) {
    std::this_thread::sleep_for(kPoll);
  }
  drain(server, *state, flags.drain_timeout);
  log_info("stopped");
  return kDone;
}

void add_network_flags(CLI::App& app, Flags& flags) {
  app.add_option("--host", flags.http.host, "Address to listen on")
      ->type_name("ADDRESS")
      ->capture_default_str();
  app.add_option("--port", flags.http.port, "Port; 0: any free one")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--unix-socket", flags.http.unix_socket, "Listen on a UNIX socket instead")
      ->type_name("PATH");
  app.add_option("--tls-cert", flags.http.tls_cert, "Certificate chain (PEM): serve HTTPS")
      ->type_name("FILE");
  app.add_option("--tls-key", flags.http.tls_key, "Its key (PEM)")->type_name("FILE");
  app.add_option("--api-key", flags.access.api_keys, "A key that clients must send; repeatable")
      ->allow_extra_args(false)
      ->type_name("KEY");
  app.add_option("--api-key-file", flags.api_key_file, "Such keys, one a line")->type_name("FILE");
  app.add_option("--cors-origin", flags.access.cors_origin,
                 "Web pages of this origin may call (\"*\": of any; default: of none)")
      ->type_name("ORIGIN");
}

void add_limit_flags(CLI::App& app, Flags& flags) {
  app.add_option("--parallel", flags.parallel, "Sequences that run at once")
      ->check(CLI::Range(1, 4096))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--max-queue", flags.max_queue, "Sequences that may wait; more are refused")
      ->check(CLI::Range(0, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--max-body", flags.max_body, "Largest request body")
      ->type_name("BYTES")
      ->capture_default_str();
  app.add_option("--max-connections", flags.http.max_connections, "Most open connections")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--read-timeout", flags.read_timeout,
                 "Longest wait for a connection's next headers, and for a body")
      ->check(CLI::Range(0.001, 1e7))
      ->type_name("SECONDS")
      ->capture_default_str();
  app.add_option("--request-timeout", flags.request_timeout, "Longest time for an answer")
      ->check(CLI::Range(0.001, 1e7))
      ->type_name("SECONDS")
      ->capture_default_str();
  app.add_option("--drain-timeout", flags.drain_timeout,
                 "How long SIGTERM waits for answers under way")
      ->check(CLI::Range(0.0, 1e7))
      ->type_name("SECONDS")
      ->capture_default_str();
}

}  // namespace

Command make_serve_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("serve", "Serve the model over HTTP");
  const auto flags = std::make_shared<Flags>();
  app->footer(kExamples);
  add_network_flags(*app, *flags);
  app->add_option("--served-model-name", flags->served_name,
                  "What clients call the model (default: its folder's name)")
      ->type_name("NAME");
  add_limit_flags(*app, *flags);
  app->add_option("--context-dir", flags->context_folder,
                  "Let clients use and change the durable contexts of this folder (default: none)")
      ->type_name("DIR");
  app->add_flag("--log-prompts", flags->log_prompts,
                "Also log the bodies of requests, and with them what users wrote");
  add_model_flags(*app, flags->model);
  add_deterministic_flag(*app, flags->model);
  add_cache_flags(*app, flags->cache);
  add_common_flags(*app, flags->common);
  return {app, [flags] { return serve(*flags); }};
}

}  // namespace mm::cli
