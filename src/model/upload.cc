#include "model/upload.h"

#include "base/check.h"
#include "model/weight_table.h"

namespace mm {
namespace {

constexpr int64_t kAlignment = 256;  // what kernels may expect of a matrix

int64_t padded(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

int64_t padded_bytes(const Weight& weight) {
  return padded(weight.data.bytes()) + (weight.scales.empty() ? 0 : padded(weight.scales.bytes()));
}

/// Copies matrices one after the other into one block of device memory.
class Uploader {
 public:
  Uploader(int64_t bytes, Device device, const UploadProgress& progress)
      : device_(device),
        block_(std::make_shared<Buffer>(bytes, device)),
        upload_(device),
        progress_(progress) {}

  Weight copy(const Weight& from) {
    Weight to = from;
    to.data = copy(from.data);
    if (!from.scales.empty())
      to.scales = copy(from.scales);
    return to;
  }

  std::shared_ptr<const void> finish() {
    upload_.finish();
    return block_;
  }

 private:
  TensorView copy(const TensorView& from) {
    MM_CHECK(from.is_contiguous(), "{} is not contiguous", to_string(from));
    TensorView to = from;
    to.data = static_cast<char*>(block_->data()) + used_;
    to.device = device_;
    upload_.add(to.data, from.data, from.bytes());
    used_ += padded(from.bytes());
    MM_CHECK(used_ <= block_->size());
    if (progress_)
      progress_(used_, block_->size());
    return to;
  }

  Device device_;
  std::shared_ptr<Buffer> block_;
  StagedUpload upload_;
  const UploadProgress& progress_;
  int64_t used_ = 0;
};

Tensor copy_vector(const Tensor& from, Device device) {
  Tensor to(from.view().dtype, {from.view().dim(0)}, device);
  copy(from, to);
  return to;
}

void copy_slopes(const Layer& from, Layer& to, Device device) {
  if (const auto* lightning = std::get_if<LightningAttention>(&from.attention))
    std::get<LightningAttention>(to.attention).slopes = copy_vector(lightning->slopes, device);
}

}  // namespace

Model copy_to_device(const Model& model, Device device, const UploadProgress& progress) {
  // The table's accessors take a model to fill; reading through them changes nothing.
  auto& source = const_cast<Model&>(model);
  const std::vector<WeightSlot> slots = weight_slots(model.config);
  int64_t bytes = 0;
  for (const WeightSlot& slot : slots) {
    if (!slot.is_vector())
      bytes += padded_bytes(slot.matrix(source));
  }
  Model result = make_empty_model(model.config);
  result.quantization = model.quantization;
  result.zero_rows = model.zero_rows;
  Uploader uploader(bytes, device, progress);
  for (const WeightSlot& slot : slots) {
    if (slot.is_vector()) {
      slot.vector(result) = copy_vector(slot.vector(source), device);
    } else {
      slot.matrix(result) = uploader.copy(slot.matrix(source));
    }
  }
  for (size_t l = 0; l < model.layers.size(); ++l)
    copy_slopes(model.layers[l], result.layers[l], device);
  if (model.config.tied_embeddings)
    result.head = result.embedding;
  result.storage.owners.push_back(uploader.finish());
  return result;
}

}  // namespace mm
