/// Which of a fixed number of equal things (KV pages, state slots) are free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mm {

/// Ids [0, size). Low ids are handed out first, so that memory which was never needed is never
/// touched. Knows nothing of what the ids stand for.
class IdPool {
 public:
  explicit IdPool(int64_t size);

  /// A free id, or -1 when there is none.
  int32_t take();
  /// Gives an id back. Throws kInternal if it is not taken.
  void give(int32_t id);

  bool is_taken(int32_t id) const { return taken_[static_cast<size_t>(id)]; }
  int64_t size() const { return static_cast<int64_t>(taken_.size()); }
  int64_t free() const { return static_cast<int64_t>(free_.size()); }

 private:
  std::vector<int32_t> free_;  // a stack
  std::vector<bool> taken_;
};

}  // namespace mm
