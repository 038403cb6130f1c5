/// The CPU backend: Highway for portable vector code, own kernels chosen by CPUID for products.
#pragma once

#include <memory>
#include <string>

#include "base/thread_pool.h"
#include "ops/backend.h"

namespace mm {

/// Makes the CPU backend on `pool`, which must outlive it.
std::unique_ptr<Backend> make_cpu_backend(ThreadPool& pool);

/// The instruction sets found and used, e.g. "avx2 f16c fma" — for --version and reports.
std::string cpu_features();

/// The processor's name as the system gives it, or "unknown".
std::string processor_name();

}  // namespace mm
