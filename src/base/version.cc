#include "base/version.h"

#include "version_commit.h"

namespace mm {

std::string version_string() {
  return MM_VERSION;
}

std::string commit() {
  return MM_COMMIT;
}

}  // namespace mm
