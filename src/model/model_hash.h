/// Which model a folder holds, as one number: what durable contexts are bound to.
#pragma once

#include <string>

namespace mm {

/// 32 hexadecimal digits over config.json, every weight file's size and header, and samples of its
/// data (all of it up to 64 MiB, 64 KiB at each of 1024 even places beyond): another checkpoint,
/// quantisation or fine-tune of the same shape gives another hash, and hundreds of gigabytes take
/// well under a second. Names of files and folders do not count.
/// Throws what opening the folder's files throws.
std::string hash_model_folder(const std::string& folder);

}  // namespace mm
