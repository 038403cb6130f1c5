/// What a load must know of a server before it begins.
#pragma once

#include <optional>
#include <string>

#include "serve/http_client.h"

namespace mm {

/// The first model of /v1/models. Throws kIo when the server cannot be reached, kNotFound when it
/// names none.
std::string find_model(HttpClient& client);

/// How many tokens the server's tokenizer makes of a text, through /tokenize in llama.cpp's or
/// vLLM's form; nothing when it has neither.
std::optional<int64_t> count_tokens(HttpClient& client, const std::string& model,
                                    const std::string& text);

}  // namespace mm
