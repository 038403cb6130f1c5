#include "ops/cpu/softmax_task.h"

#include "ops/ragged.h"

namespace mm::cpu {

SoftmaxPageKernel choose_page_kernel(const SoftmaxArgs& args, LinearIsa isa) {
#if defined(__x86_64__)
  const bool is_bf16 = args.out.dtype == DType::kBf16 && args.kv.pages.dtype == DType::kBf16;
  if (isa == LinearIsa::kAvx512Bf16 && is_bf16)
    return softmax_page_bf16;
#else
  (void)args;
  (void)isa;
#endif
  return nullptr;
}

std::vector<SoftmaxTask> plan_softmax(const SoftmaxArgs& args, const SoftmaxShape& shape) {
  std::vector<SoftmaxTask> tasks;
  for (int64_t n = 0; n < num_sequences(args.rows); ++n) {
    const SequenceRows sequence = sequence_rows(args.rows, n, args.q.dim(0));
    const int64_t end = sequence.start + sequence.count;
    for (int64_t position = 0; sequence.count > 0 && position < end; position += kBlockTokens)
      page_of(args.kv, n, position);
    for (int64_t i = 0; i < sequence.count; i += shape.rows_per_task) {
      const int64_t rows = std::min(shape.rows_per_task, sequence.count - i);
      for (int64_t g = 0; g < args.kv.pages.dim(1); ++g)
        tasks.push_back({n, g, sequence.first + i, sequence.start + i, rows});
    }
  }
  std::stable_sort(tasks.begin(), tasks.end(), [](const SoftmaxTask& a, const SoftmaxTask& b) {
    return a.rows * a.last_position() > b.rows * b.last_position();
  });
  return tasks;
}

}  // namespace mm::cpu
