/// Reading a durable context against reading its files: mm_context_read_bench [FOLDER] [MIB]
/// [PAIRS].
///
/// Makes a context of about MIB in FOLDER (a real disk, or the numbers mean nothing), and then in
/// turns, each time with nothing of it in the page cache, reads the bytes of its files with read()
/// and copies all of its pages out of a ContextReader, checksums verified. Prints GB/s and the
/// median of the ratios of each pair.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "cache/context_store.h"

namespace mm {
namespace {

constexpr int64_t kSegmentTokens = 1024;
constexpr size_t kReadBytes = size_t{1} << 20;
constexpr const char* kName = "read-bench";

// Ten softmax layers as in MiniMax-01: 40 KiB a token in bf16.
ContextBinding binding() {
  return {"bench", "bench", std::vector<CacheLayerSpec>(10, {false, 8, 128}), DType::kBf16};
}

template <typename Work>
double seconds_of(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void make(const ContextStore& store, int64_t bytes) {
  ContextWriter writer = store.create(kName, {binding(), "", {}, {}});
  const Tensor page(DType::kBf16, {8, 2, kContextBlock, 128});
  const std::vector<int32_t> tokens(kSegmentTokens, 1);
  uint64_t counter = 0;
  while (writer.manifest().bytes() < bytes) {
    writer.append_segment(tokens, [&](int, int64_t) -> ContextPage {
      auto* words = static_cast<uint32_t*>(page.view().data);
      for (int64_t i = 0; i < page.view().bytes() / 4; i += 4) {
        const auto random = philox(1, 2, counter++);
        std::copy(random.begin(), random.end(), words + i);
      }
      return {page.view(), {}};
    });
  }
  writer.commit();
}

std::vector<std::string> files_of(const ContextStore& store) {
  std::vector<std::string> files;
  for (const SegmentEntry& segment : store.show(kName).segments)
    files.push_back(fmt::format("{}/{}/{}", store.root(), kName, segment.file));
  return files;
}

int open_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    raise(ErrorKind::kIo, "{}: cannot open: {}", path, std::strerror(errno));
  return file;
}

void forget(const std::vector<std::string>& files) {
  for (const std::string& path : files) {
    const int file = open_file(path);
    ::fsync(file);
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
  }
}

int64_t read_plainly(const std::vector<std::string>& files) {
  std::vector<char> buffer(kReadBytes);
  int64_t bytes = 0;
  for (const std::string& path : files) {
    const int file = open_file(path);
    ssize_t size = 0;
    while ((size = ::read(file, buffer.data(), buffer.size())) > 0) bytes += size;
    ::close(file);
  }
  return bytes;
}

int64_t read_pages(const ContextStore& store, bool verify) {
  const ContextReader reader = store.open_reader(kName, binding(), {.verify = verify});
  const int layers = static_cast<int>(reader.manifest().binding.layers.size());
  std::vector<char> buffer;
  int64_t bytes = 0;
  for (int64_t block = 0; block < reader.blocks(); ++block) {
    for (int layer = 0; layer < layers; ++layer) {
      const TensorView page = reader.page(layer, block).data;
      buffer.resize(static_cast<size_t>(page.bytes()));
      std::memcpy(buffer.data(), page.data, buffer.size());
      bytes += page.bytes();
    }
  }
  return bytes;
}

void measure(const std::string& folder, int64_t mib, int pairs) {
  const ContextStore store(folder);
  if (!store.exists(kName))
    make(store, mib << 20);
  const std::vector<std::string> files = files_of(store);
  std::vector<double> plain;
  std::vector<double> verified;
  std::vector<double> ratios;
  const auto measure_plain = [&] {
    forget(files);
    int64_t bytes = 0;
    const double seconds = seconds_of([&] { bytes = read_plainly(files); });
    plain.push_back(static_cast<double>(bytes) / seconds * 1e-9);
  };
  const auto measure_pages = [&] {
    forget(files);
    int64_t bytes = 0;
    const double seconds = seconds_of([&] { bytes = read_pages(store, true); });
    verified.push_back(static_cast<double>(bytes) / seconds * 1e-9);
  };
  for (int pair = 0; pair < pairs; ++pair) {
    if (pair % 2 == 0) {  // neither always has the other's luck
      measure_plain();
      measure_pages();
    } else {
      measure_pages();
      measure_plain();
    }
    ratios.push_back(100 * verified.back() / plain.back());
    fmt::print("read() {:.2f} GB/s, pages {:.2f} GB/s, {:.1f} %\n", plain.back(), verified.back(),
               ratios.back());
  }
  const double warm = seconds_of([&] { read_pages(store, true); });
  const double unchecked = seconds_of([&] { read_pages(store, false); });
  fmt::print("median: read() {:.2f} GB/s, pages {:.2f} GB/s, ratio {:.1f} %\n", median(plain),
             median(verified), median(ratios));
  fmt::print("from the page cache: checked {:.2f} s, unchecked {:.2f} s\n", warm, unchecked);
  store.remove(kName);
}

}  // namespace
}  // namespace mm

int main(int argc, char** argv) {
  try {
    mm::measure(argc > 1 ? argv[1] : "build/bench-contexts", argc > 2 ? std::atoi(argv[2]) : 1024,
                argc > 3 ? std::atoi(argv[3]) : 5);
  } catch (const std::exception& error) {
    fmt::print(stderr, "mm_context_read_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
