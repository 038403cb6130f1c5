#include "tensor/dtype.h"

#include <array>
#include <utility>

namespace mm {
namespace {

struct DTypeRow {
  const char* name;
  int64_t size;
};

// In the order of the enumerators.
constexpr std::array<DTypeRow, 11> kRows = {{{"F64", 8},
                                             {"F32", 4},
                                             {"BF16", 2},
                                             {"F16", 2},
                                             {"F8_E4M3", 1},
                                             {"I64", 8},
                                             {"I32", 4},
                                             {"I16", 2},
                                             {"I8", 1},
                                             {"U8", 1},
                                             {"BOOL", 1}}};

}  // namespace

int64_t size_of(DType dtype) {
  return kRows[static_cast<size_t>(dtype)].size;
}

const char* to_string(DType dtype) {
  return kRows[static_cast<size_t>(dtype)].name;
}

bool parse_dtype(std::string_view name, DType* dtype) {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (name == kRows[i].name) {
      *dtype = static_cast<DType>(i);
      return true;
    }
  }
  return false;
}

}  // namespace mm
