#include "cache/id_pool.h"

#include "base/check.h"

namespace mm {

IdPool::IdPool(int64_t size) : taken_(static_cast<size_t>(size), false) {
  free_.reserve(taken_.size());
  for (int64_t id = size - 1; id >= 0; --id) {
    free_.push_back(static_cast<int32_t>(id));
  }
}

int32_t IdPool::take() {
  if (free_.empty()) {
    return -1;
  }
  const int32_t id = free_.back();
  free_.pop_back();
  taken_[static_cast<size_t>(id)] = true;
  return id;
}

void IdPool::give(int32_t id) {
  MM_CHECK(0 <= id && id < size() && is_taken(id), "id {} of {} is not taken", id, size());
  taken_[static_cast<size_t>(id)] = false;
  free_.push_back(id);
}

}  // namespace mm
