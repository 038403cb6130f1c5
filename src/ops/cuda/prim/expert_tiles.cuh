/// From a tile's number to the expert and the rows it covers, from offsets that only the device
/// knows.
#pragma once

#include <cstdint>

namespace mm::cuda {

struct ExpertTile {
  int expert = -1;    ///< -1: there is no such tile
  int64_t first = 0;  ///< first row
  int64_t end = 0;    ///< end of the expert's rows; the tile may end before
};

/// Tile `index` of the rows of all experts cut into tiles of `height` rows. `offsets` null: one
/// expert has all `rows`.
__device__ inline ExpertTile find_expert_tile(const int32_t* offsets, int experts, int64_t rows,
                                              int height, int64_t index) {
  if (offsets == nullptr)
    return {0, index * height, rows};
  for (int e = 0; e < experts; ++e) {
    const int64_t begin = offsets[e];
    const int64_t end = offsets[e + 1];
    const int64_t tiles = (end - begin + height - 1) / height;
    if (index < tiles)
      return {e, begin + index * height, end};
    index -= tiles;
  }
  return {};
}

/// No step has more tiles than this.
inline int64_t most_expert_tiles(int64_t rows, int experts, int height) {
  const int64_t full = (rows + height - 1) / height;
  return experts == 1 ? full : full + experts;
}

}  // namespace mm::cuda
