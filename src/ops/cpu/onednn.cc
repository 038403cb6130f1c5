#include "ops/cpu/onednn.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <vector>

#include "base/error.h"
#include "tensor/buffer.h"

#if __has_include(<dnnl.h>)
#include <dnnl.h>

namespace mm::cpu {

/// The functions used, by the names of the library's C interface.
struct OneDnnApi {
  void* library = nullptr;
  void (*omp_set_num_threads)(int) = nullptr;
#define MM_ONEDNN_FUNCTIONS(X)          \
  X(dnnl_version)                       \
  X(dnnl_engine_create)                 \
  X(dnnl_engine_destroy)                \
  X(dnnl_stream_create)                 \
  X(dnnl_stream_destroy)                \
  X(dnnl_stream_wait)                   \
  X(dnnl_memory_desc_init_by_tag)       \
  X(dnnl_memory_desc_get_size)          \
  X(dnnl_memory_create)                 \
  X(dnnl_memory_destroy)                \
  X(dnnl_matmul_desc_init)              \
  X(dnnl_primitive_desc_create)         \
  X(dnnl_primitive_desc_query_md)       \
  X(dnnl_primitive_desc_destroy)        \
  X(dnnl_reorder_primitive_desc_create) \
  X(dnnl_primitive_create)              \
  X(dnnl_primitive_execute)             \
  X(dnnl_primitive_destroy)
// A name to declare cannot stand in parentheses.
#define MM_DECLARE(name) decltype(&::name) name = nullptr;  // NOLINT(bugprone-macro-parentheses)
  MM_ONEDNN_FUNCTIONS(MM_DECLARE)
#undef MM_DECLARE

  ~OneDnnApi() {
    // Left open: its threads may outlive the last product.
  }
};

namespace {

template <typename Function>
bool find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

void check(dnnl_status_t status, const char* what) {
  if (status != dnnl_success)
    raise(ErrorKind::kUnsupported,
          "oneDNN cannot {} here (status {}); use another processor or "
          "leave oneDNN out of the comparison",
          what, static_cast<int>(status));
}

}  // namespace

std::shared_ptr<const OneDnnApi> open_onednn(std::string* status) {
  auto api = std::make_shared<OneDnnApi>();
  api->library = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (api->library == nullptr) {
    *status = "oneDNN (libdnnl.so.2) is not installed";
    return nullptr;
  }
  bool complete = true;
#define MM_FIND(name) complete = find(api->library, #name, &api->name) && complete;
  MM_ONEDNN_FUNCTIONS(MM_FIND)
#undef MM_FIND
  find(api->library, "omp_set_num_threads", &api->omp_set_num_threads);
  if (!complete) {
    *status = "libdnnl.so.2 lacks functions of oneDNN 2";
    return nullptr;
  }
  const dnnl_version_t* version = api->dnnl_version();
  *status = fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
  return api;
}

struct OneDnnMatmul::Handles {
  std::shared_ptr<const OneDnnApi> api;
  dnnl_engine_t engine = nullptr;
  dnnl_stream_t stream = nullptr;
  dnnl_primitive_t matmul = nullptr;
  std::vector<dnnl_memory_t> memories;  // x, plain w, w as preferred, out
  std::vector<Buffer> buffers;

  ~Handles() {
    for (dnnl_memory_t memory : memories) api->dnnl_memory_destroy(memory);
    if (matmul != nullptr)
      api->dnnl_primitive_destroy(matmul);
    if (stream != nullptr)
      api->dnnl_stream_destroy(stream);
    if (engine != nullptr)
      api->dnnl_engine_destroy(engine);
  }

  dnnl_memory_desc_t describe(int64_t rows, int64_t cols, dnnl_data_type_t type,
                              dnnl_format_tag_t tag) const {
    const dnnl_dims_t dims = {rows, cols};
    dnnl_memory_desc_t desc;
    check(api->dnnl_memory_desc_init_by_tag(&desc, 2, dims, type, tag), "describe a matrix");
    return desc;
  }

  void add_memory(const dnnl_memory_desc_t& desc) {
    buffers.emplace_back(static_cast<int64_t>(api->dnnl_memory_desc_get_size(&desc)));
    // Small finite numbers in bf16 and in f32 alike.
    auto* words = static_cast<uint16_t*>(buffers.back().data());
    for (int64_t i = 0; i < buffers.back().size() / 2; ++i)
      words[i] = static_cast<uint16_t>(0x3c00 + i * 37 % 0x200);
    memories.push_back(nullptr);
    check(api->dnnl_memory_create(&memories.back(), &desc, engine, buffers.back().data()),
          "hold a matrix");
  }

  void execute(dnnl_primitive_t primitive, const std::vector<dnnl_exec_arg_t>& args) const {
    check(
        api->dnnl_primitive_execute(primitive, stream, static_cast<int>(args.size()), args.data()),
        "run a product");
    check(api->dnnl_stream_wait(stream), "finish a product");
  }

  void reorder(const dnnl_memory_desc_t& from, const dnnl_memory_desc_t& to) const {
    dnnl_primitive_desc_t desc = nullptr;
    check(api->dnnl_reorder_primitive_desc_create(&desc, &from, engine, &to, engine, nullptr),
          "reorder weights");
    dnnl_primitive_t primitive = nullptr;
    const dnnl_status_t status = api->dnnl_primitive_create(&primitive, desc);
    api->dnnl_primitive_desc_destroy(desc);
    check(status, "reorder weights");
    execute(primitive, {{DNNL_ARG_FROM, memories[1]}, {DNNL_ARG_TO, memories[2]}});
    api->dnnl_primitive_destroy(primitive);
  }
};

OneDnnMatmul::OneDnnMatmul(std::shared_ptr<const OneDnnApi> api, const Shape& shape)
    : handles_(std::make_unique<Handles>()) {
  Handles& h = *handles_;
  h.api = std::move(api);
  check(h.api->dnnl_engine_create(&h.engine, dnnl_cpu, 0), "make an engine");
  check(h.api->dnnl_stream_create(&h.stream, h.engine, dnnl_stream_default_flags), "make a stream");
  const dnnl_data_type_t type = shape.dtype == DType::kBf16 ? dnnl_bf16 : dnnl_f32;
  const char* what = shape.dtype == DType::kBf16 ? "multiply bf16 matrices" : "multiply matrices";
  const dnnl_memory_desc_t x = h.describe(shape.rows, shape.cols, type, dnnl_ab);
  const dnnl_memory_desc_t w = h.describe(shape.cols, shape.outputs, type, dnnl_ba);
  const dnnl_memory_desc_t any = h.describe(shape.cols, shape.outputs, type, dnnl_format_tag_any);
  const dnnl_memory_desc_t out = h.describe(shape.rows, shape.outputs, dnnl_f32, dnnl_ab);
  dnnl_matmul_desc_t matmul;
  check(h.api->dnnl_matmul_desc_init(&matmul, &x, &any, nullptr, &out), what);
  dnnl_primitive_desc_t desc = nullptr;
  check(h.api->dnnl_primitive_desc_create(&desc, &matmul, nullptr, h.engine, nullptr), what);
  const dnnl_memory_desc_t preferred =
      *h.api->dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
  const dnnl_status_t status = h.api->dnnl_primitive_create(&h.matmul, desc);
  h.api->dnnl_primitive_desc_destroy(desc);
  check(status, what);
  for (const dnnl_memory_desc_t& memory : {x, w, preferred, out}) h.add_memory(memory);
  h.reorder(w, preferred);
}

OneDnnMatmul::~OneDnnMatmul() = default;

void OneDnnMatmul::run(int threads) {
  const Handles& h = *handles_;
  if (h.api->omp_set_num_threads != nullptr)
    h.api->omp_set_num_threads(threads);
  h.execute(h.matmul, {{DNNL_ARG_SRC, h.memories[0]},
                       {DNNL_ARG_WEIGHTS, h.memories[2]},
                       {DNNL_ARG_DST, h.memories[3]}});
}

}  // namespace mm::cpu

#else  // built without its headers

namespace mm::cpu {

struct OneDnnApi {};
struct OneDnnMatmul::Handles {};

OneDnnMatmul::OneDnnMatmul(std::shared_ptr<const OneDnnApi>, const Shape&) {
  raise(ErrorKind::kUnsupported, "this program was built without oneDNN's headers");
}
OneDnnMatmul::~OneDnnMatmul() = default;
void OneDnnMatmul::run(int) {}

std::shared_ptr<const OneDnnApi> open_onednn(std::string* status) {
  *status = "this program was built without oneDNN's headers";
  return nullptr;
}

}  // namespace mm::cpu
#endif
