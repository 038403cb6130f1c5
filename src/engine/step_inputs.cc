#include "engine/step_inputs.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace mm {
namespace {

constexpr int64_t kAlignment = 64;  // in elements: 256 bytes, what kernels may expect of an array

/// Columns of a block table for `blocks` blocks. A device likes few different widths: work that
/// depends on it can be played back. The rest is never read.
int64_t table_width(size_t blocks, Device device) {
  constexpr size_t kLeast = 8;
  return static_cast<int64_t>(device.is_host() ? blocks : std::bit_ceil(std::max(blocks, kLeast)));
}

}  // namespace

StepInputs::StepInputs(const ExecutorOptions& o, int64_t pages)
    : device_(o.device),
      ids_(add_field(o.max_rows)),
      positions_(add_field(o.max_rows)),
      offsets_(add_field(o.max_sequences + 1)),
      starts_(add_field(o.max_sequences)),
      slots_(add_field(o.max_sequences)),
      logit_rows_(add_field(o.max_logit_rows)),
      block_table_(add_field(o.max_sequences * table_width(static_cast<size_t>(pages), o.device))),
      host_(Tensor::for_copies(DType::kI32, {end_}, device_)) {
  if (!device_.is_host()) {
    there_ = Tensor(DType::kI32, {end_}, device_);
  }
}

StepInputs::Field StepInputs::add_field(int64_t size) {
  const Field field{end_, size};
  end_ += (size + kAlignment - 1) / kAlignment * kAlignment;
  return field;
}

TensorView StepInputs::view(const Field& field, int64_t size) const {
  const TensorView& block = device_.is_host() ? host_.view() : there_.view();
  return block.slice(field.begin, field.begin + size);
}

// The table is about as wide as the longest sequence of the step; entries past a sequence's own
// blocks are never read.
TensorView StepInputs::write_block_table(std::span<const StepRows> parts) const {
  size_t blocks = 0;
  for (const StepRows& part : parts) {
    blocks = std::max(blocks, part.pages.size());
  }
  const int64_t rows = static_cast<int64_t>(parts.size());
  const int64_t columns = table_width(blocks, device_);
  MM_CHECK(rows * columns <= block_table_.size, "{} blocks of {} sequences", columns, rows);
  int32_t* row = host(block_table_);
  for (const StepRows& part : parts) {
    std::copy(part.pages.begin(), part.pages.end(), row);
    row += columns;
  }
  return view(block_table_, rows * columns).reshape({rows, columns});
}

Batch StepInputs::write(std::span<const StepRows> parts, CacheViews& views) {
  const int64_t sequences = static_cast<int64_t>(parts.size());
  MM_CHECK(sequences > 0 && sequences <= starts_.size);
  int64_t row = 0;
  int64_t wanted = 0;
  for (size_t n = 0; n < parts.size(); ++n) {
    const StepRows& part = parts[n];
    const int64_t count = static_cast<int64_t>(part.tokens.size());
    MM_CHECK(row + count <= ids_.size && part.logits <= count &&
             wanted + part.logits <= logit_rows_.size);
    std::copy(part.tokens.begin(), part.tokens.end(), host(ids_) + row);
    for (int64_t i = 0; i < count; ++i) {
      host(positions_)[row + i] = static_cast<int32_t>(part.start + i);
    }
    host(offsets_)[n] = static_cast<int32_t>(row);
    host(starts_)[n] = static_cast<int32_t>(part.start);
    host(slots_)[n] = part.slot;
    row += count;
    for (int64_t i = row - part.logits; i < row; ++i) {
      host(logit_rows_)[wanted++] = static_cast<int32_t>(i);
    }
  }
  host(offsets_)[sequences] = static_cast<int32_t>(row);
  views.slots = view(slots_, sequences);
  views.block_table = write_block_table(parts);
  if (!device_.is_host()) {
    const int64_t used = block_table_.begin + views.block_table.numel();
    queue_copy(there_.view().data, device_, host_.view().data, Device{},
               used * size_of(DType::kI32));
  }
  return {.ids = view(ids_, row),
          .positions = view(positions_, row),
          .rows = {.offsets = view(offsets_, sequences + 1), .starts = view(starts_, sequences)},
          .logit_rows = view(logit_rows_, wanted)};
}

}  // namespace mm
