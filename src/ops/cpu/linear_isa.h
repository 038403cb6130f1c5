/// Which instruction sets the matrix products use: found by CPUID, or forced for tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mm::cpu {

/// Sets of kernels for matrix products. The bits of a result depend on the set, and on nothing else
/// but the operands.
enum class LinearIsa {
  kPortable,    ///< 4-lane vector code of the compiler, no fused multiply-add; runs everywhere
  kAvx2,        ///< AVX2, FMA and F16C
  kAvx512Bf16,  ///< AVX-512 F, BW, VL, DQ and BF16
};

/// "portable", "avx2", "avx512".
const char* to_string(LinearIsa isa);

/// The set with this name. Throws kBadInput naming `name` and the choices.
LinearIsa parse_linear_isa(std::string_view name);

/// Whether this processor, operating system and build can run `isa`.
bool is_available(LinearIsa isa);

/// All sets that can run here, slowest first.
std::vector<LinearIsa> available_isas();

/// The fastest set that can run here.
LinearIsa best_isa();

/// `best_isa()`, unless the environment variable MINIMAX_CPU_ISA names another (portable, avx2 or
/// avx512). Throws kBadInput for an unknown name, kUnsupported for a set this machine lacks.
LinearIsa selected_isa();

/// The instruction sets found, of those that matter here: "avx2 fma f16c avx512f avx512bf16".
std::string cpu_features();

}  // namespace mm::cpu
