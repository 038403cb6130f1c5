#include "engine/host_cache.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace mm {
namespace {

// Of each of the two stages of an import: one is filled while the other is sent.
constexpr int64_t kStageBytes = int64_t{16} << 20;
constexpr int64_t kPagesPerTask = 16;  // consecutive blocks lie one after another in a file

TensorView at_or_empty(const Tensor& tensor, int64_t index) {
  return tensor.view().empty() ? TensorView() : tensor.view().at(index);
}

/// Pinned memory for `count` elements like those of axis 0 of `like`.
Tensor stage_for(const TensorView& like, int64_t count, Device device) {
  if (like.empty()) {
    return {};
  }
  switch (like.rank) {
    case 3:
      return Tensor::for_copies(like.dtype, {count, like.dim(1), like.dim(2)}, device);
    case 4:
      return Tensor::for_copies(like.dtype, {count, like.dim(1), like.dim(2), like.dim(3)}, device);
    default:
      return Tensor::for_copies(
          like.dtype, {count, like.dim(1), like.dim(2), like.dim(3), like.dim(4)}, device);
  }
}

}  // namespace

TensorView HostCache::fetch(const TensorView& there, Tensor& stage) const {
  queue_copy(stage.view().data, Device{}, there.data, there.device, there.bytes());
  wait_for(there.device);
  TensorView here = there;
  here.data = stage.view().data;
  here.device = Device{};
  return here;
}

TensorView HostCache::page(size_t layer, int32_t page) {
  const TensorView& pages = storage_.layers()[layer].pages;
  if (in_place()) {
    return pages.at(page);
  }
  if (page_.view().bytes() < pages.at(page).bytes()) {
    page_ = stage_for(pages, 1, storage_.device());
  }
  return fetch(pages.at(page), page_);
}

TensorView HostCache::page_scales(size_t layer, int32_t page) {
  const TensorView& scales = storage_.layers()[layer].page_scales;
  if (scales.empty()) {
    return {};
  }
  if (in_place()) {
    return scales.at(page);
  }
  if (page_scales_.view().bytes() < scales.at(page).bytes()) {
    page_scales_ = stage_for(scales, 1, storage_.device());
  }
  return fetch(scales.at(page), page_scales_);
}

TensorView HostCache::live_state(size_t layer, int64_t live) {
  const TensorView there = storage_.live_state(layer, live);
  return in_place() ? there : fetch(there, state_stage(layer));
}

Tensor& HostCache::state_stage(size_t layer) {
  states_.resize(storage_.layers().size());
  Tensor& stage = states_[layer];
  if (stage.view().empty()) {
    stage = stage_for(storage_.layers()[layer].states, 1, storage_.device());
  }
  return stage;
}

void HostCache::fill_pages(std::span<const PageToFill> pages, ThreadPool& pool,
                           const FillPage& fill) {
  if (in_place()) {
    fill_in_place(pages, pool, fill);
    return;
  }
  for (size_t layer = 0; layer < storage_.layers().size(); ++layer) {
    if (!storage_.layers()[layer].pages.view().empty()) {
      fill_staged(layer, pages, pool, fill);
    }
  }
}

void HostCache::fill_in_place(std::span<const PageToFill> pages, ThreadPool& pool,
                              const FillPage& fill) {
  const auto& layers = storage_.layers();
  const auto fill_some = [&](int64_t begin, int64_t end, int) {
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      for (int64_t i = begin; i < end && !layers[layer].pages.view().empty(); ++i) {
        const PageToFill& to = pages[static_cast<size_t>(i)];
        fill(layer, to.block, layers[layer].pages.view().at(to.page),
             at_or_empty(layers[layer].page_scales, to.page));
      }
    }
  };
  pool.parallel_for(static_cast<int64_t>(pages.size()), kPagesPerTask, fill_some);
}

void HostCache::fill_staged(size_t layer, std::span<const PageToFill> pages, ThreadPool& pool,
                            const FillPage& fill) {
  const CacheLayer& there = storage_.layers()[layer];
  const Device device = storage_.device();
  const int64_t room = std::max<int64_t>(1, kStageBytes / there.pages.view().at(0).bytes());
  const size_t part = std::min(pages.size(), static_cast<size_t>(room));
  std::array<PageStage, 2> stages;
  for (size_t begin = 0, turn = 0; begin < pages.size(); begin += part, ++turn) {
    PageStage& stage = stages[turn % 2];
    if (stage.pages.view().empty()) {
      stage.pages = stage_for(there.pages, static_cast<int64_t>(part), device);
      stage.scales = stage_for(there.page_scales, static_cast<int64_t>(part), device);
    }
    const auto now = pages.subspan(begin, std::min(part, pages.size() - begin));
    const auto fill_some = [&](int64_t first, int64_t last, int) {
      for (int64_t i = first; i < last; ++i) {
        fill(layer, now[static_cast<size_t>(i)].block, stage.pages.view().at(i),
             at_or_empty(stage.scales, i));
      }
    };
    pool.parallel_for(static_cast<int64_t>(now.size()), kPagesPerTask, fill_some);
    wait_for(device);  // for the other stage, which the next turn fills
    send(layer, now, stage);
  }
  wait_for(device);
}

// Pages that follow each other go in one copy.
void HostCache::send(size_t layer, std::span<const PageToFill> pages,
                     const PageStage& stage) const {
  const CacheLayer& there = storage_.layers()[layer];
  const auto copy_run = [&](const Tensor& from, const Tensor& to, size_t begin, size_t end) {
    if (to.view().empty()) {
      return;
    }
    const TensorView source =
        from.view().slice(static_cast<int64_t>(begin), static_cast<int64_t>(end));
    queue_copy(to.view().at(pages[begin].page).data, storage_.device(), source.data, Device{},
               source.bytes());
  };
  for (size_t begin = 0, end = 0; begin < pages.size(); begin = end) {
    for (end = begin + 1; end < pages.size() && pages[end].page == pages[end - 1].page + 1;) {
      ++end;
    }
    copy_run(stage.pages, there.pages, begin, end);
    copy_run(stage.scales, there.page_scales, begin, end);
  }
}

void HostCache::fill_states(int64_t checkpoint, const FillStates& fill) {
  std::vector<TensorView> views(storage_.layers().size());
  for (size_t layer = 0; layer < views.size(); ++layer) {
    if (storage_.shape().layers[layer].recurrent) {
      views[layer] = in_place() ? storage_.checkpoint_state(layer, checkpoint)
                                : state_stage(layer).view().at(0);
    }
  }
  fill(views);
  if (in_place()) {
    return;
  }
  for (size_t layer = 0; layer < views.size(); ++layer) {
    if (!views[layer].empty()) {
      const TensorView there = storage_.checkpoint_state(layer, checkpoint);
      queue_copy(there.data, there.device, views[layer].data, Device{}, there.bytes());
    }
  }
  wait_for(storage_.device());
}

}  // namespace mm
