/// A model folder with all that generating text needs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json_value.h"
#include "engine/generation.h"
#include "engine/generation_config.h"
#include "engine/prompt.h"
#include "model/model.h"
#include "options.h"
#include "text/tokenizer.h"

namespace mm::cli {

/// `given`, or the bundled model: <program>/../share/minimax/models/mini, then the source tree.
/// Throws kNotFound when none of these exists.
std::string find_model_folder(const std::string& given);

/// Sends log lines to stderr: warnings, or with -v everything, or with --quiet nothing.
void set_up_log(const CommonFlags& flags);

/// What a model folder holds.
struct Session {
  std::string folder;
  Model model;
  Tokenizer tokenizer;
  GenerationConfig generation;
  std::vector<int32_t> eos_ids;
  double load_seconds = 0;
};

/// A loaded model on `device`: as it is on the host, else copied, with its progress on stderr
/// unless `quiet`, and given back to the host. Throws what copy_to_device throws.
Model move_to_device(Model model, Device device, bool quiet);

/// Loads everything but the chat template; the weights go to the device of the flags. Throws what
/// the loaders throw.
Session load_session(const ModelFlags& flags, bool quiet);

/// A request with the sampling and limits of the flags and the model's defaults.
GenerationRequest make_request(const Session& session, const SamplingFlags& flags);

/// An answer as a conversation keeps it: without the stop id that ended it, since what follows
/// closes the turn.
std::vector<int32_t> without_stop(std::vector<int32_t> answer, const std::vector<int32_t>& stops);

/// "812 tokens: 768 cached, 20 replayed, 24 computed", and why none was cached if none was.
std::string describe_usage(const Usage& usage);
/// A generation as JSON: text, ids, why it ended, what was reused, times.
Json result_json(const GenerationResult& result);
/// One paragraph of statistics of a generation, for stderr.
std::string describe_result(const GenerationResult& result);

}  // namespace mm::cli
