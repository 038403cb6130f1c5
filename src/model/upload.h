/// A model's weights on an accelerator.
#pragma once

#include <functional>

#include "model/model.h"

namespace mm {

/// Called while weights are copied with (bytes done, bytes in all).
using UploadProgress = std::function<void(int64_t done, int64_t total)>;

/// A copy of `model` whose weights lie on `device`, matrices in one block in the order of the
/// weight table, in their stored formats; config and lists of ids stay on the host. `model` may go
/// when this returns. Throws kOutOfMemory, kDevice, kUnsupported.
Model copy_to_device(const Model& model, Device device, const UploadProgress& progress = {});

}  // namespace mm
