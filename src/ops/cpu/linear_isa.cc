#include "ops/cpu/linear_isa.h"

#include <cstdlib>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mm::cpu {
namespace {

constexpr LinearIsa kAllIsas[] = {LinearIsa::kPortable, LinearIsa::kAvx2, LinearIsa::kAvx512Bf16};

#if defined(__x86_64__)
// __builtin_cpu_supports of clang 14 does not know "f16c".
bool has_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

// The builtins also ask the operating system (XCR0) whether it saves the wide registers.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

bool has_avx512_bf16() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bf16");
}
#else
bool has_avx2() {
  return false;
}
bool has_avx512_bf16() {
  return false;
}
#endif

}  // namespace

const char* to_string(LinearIsa isa) {
  switch (isa) {
    case LinearIsa::kPortable:
      return "portable";
    case LinearIsa::kAvx2:
      return "avx2";
    case LinearIsa::kAvx512Bf16:
      return "avx512";
  }
  return "unknown";
}

LinearIsa parse_linear_isa(std::string_view name) {
  for (LinearIsa isa : kAllIsas) {
    if (name == to_string(isa))
      return isa;
  }
  bad_input("instruction set \"{}\" is unknown; choose portable, avx2 or avx512", name);
}

bool is_available(LinearIsa isa) {
  switch (isa) {
    case LinearIsa::kPortable:
      return true;
    case LinearIsa::kAvx2:
      return has_avx2();
    case LinearIsa::kAvx512Bf16:
      return has_avx512_bf16();
  }
  return false;
}

std::vector<LinearIsa> available_isas() {
  std::vector<LinearIsa> found;
  for (LinearIsa isa : kAllIsas) {
    if (is_available(isa))
      found.push_back(isa);
  }
  return found;
}

LinearIsa best_isa() {
  return available_isas().back();
}

LinearIsa selected_isa() {
  const char* name = std::getenv("MINIMAX_CPU_ISA");
  if (name == nullptr || *name == '\0')
    return best_isa();
  const LinearIsa isa = parse_linear_isa(name);
  if (!is_available(isa))
    raise(
        ErrorKind::kUnsupported,
        "MINIMAX_CPU_ISA asks for {}, which this processor lacks (it has: {}); unset it or choose "
        "{}",
        name, cpu_features(), to_string(best_isa()));
  return isa;
}

std::string cpu_features() {
  std::string text;
  const auto add = [&](bool present, const char* name) {
    if (present)
      text += (text.empty() ? "" : " ") + std::string(name);
  };
#if defined(__x86_64__)
  add(__builtin_cpu_supports("sse4.2"), "sse4.2");
  add(__builtin_cpu_supports("avx2"), "avx2");
  add(__builtin_cpu_supports("fma"), "fma");
  add(has_f16c(), "f16c");
  add(__builtin_cpu_supports("avx512f"), "avx512f");
  add(__builtin_cpu_supports("avx512bw"), "avx512bw");
  add(__builtin_cpu_supports("avx512vl"), "avx512vl");
  add(__builtin_cpu_supports("avx512dq"), "avx512dq");
  add(__builtin_cpu_supports("avx512vnni"), "avx512vnni");
  add(__builtin_cpu_supports("avx512bf16"), "avx512bf16");
#endif
  add(text.empty(), "portable");
  return text;
}

}  // namespace mm::cpu
