// Drawing on the device: the ids that HostTokenDrawer draws, whatever the logits and the options.
#include "ops/token_draw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "ops/cuda/backend.h"

namespace mm {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int64_t kFullVocabulary = 200'064;

using Logits = std::vector<float>;

/// A draw and what it points to.
struct OwnedDraw {
  TokenDraw draw;
  std::vector<uint64_t> allowed;
  std::vector<std::pair<int32_t, float>> biases;
  std::vector<int32_t> repeated;
  std::vector<std::pair<int32_t, int32_t>> drawn;
  std::vector<int32_t> banned;

  TokenDraw view() const {
    TokenDraw result = draw;
    result.allowed = allowed;
    result.biases = biases;
    result.repeated = repeated;
    result.drawn = drawn;
    result.banned = banned;
    return result;
  }
};

std::vector<uint64_t> mask_of(const std::vector<int32_t>& ids, int64_t vocab) {
  std::vector<uint64_t> words(static_cast<size_t>((vocab + 63) / 64));
  for (const int32_t id : ids) words[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  return words;
}

class Source {
 public:
  Source(int64_t vocab, uint64_t seed) : vocab_(vocab), random_(seed) {}

  double uniform() { return std::uniform_real_distribution<double>()(random_); }
  bool chance(double p) { return uniform() < p; }
  template <typename T>
  T one_of(const std::vector<T>& values) {
    return values[random_() % values.size()];
  }

  /// Normal, of a spread between flat and steep, now and then of few distinct values, with holes.
  Logits logits() {
    Logits row(static_cast<size_t>(vocab_));
    std::normal_distribution<float> normal(0, one_of<float>({0.3F, 2, 5, 30}));
    const bool ties = chance(0.25);
    for (float& x : row) {
      x = normal(random_);
      if (ties)
        x = std::round(2 * x) / 2;
    }
    if (chance(0.3)) {
      for (int i = 0; i < 5; ++i)
        row[random_() % row.size()] = one_of<float>({kNan, kInf, -kInf, -0.0F, 3e38F});
    }
    return row;
  }

  /// Distinct ids, about so many.
  std::vector<int32_t> ids(int64_t about) {
    std::vector<int32_t> result;
    const int64_t count = std::min(about, vocab_);
    for (int64_t i = 0; i < count; ++i)
      result.push_back(static_cast<int32_t>(random_() % static_cast<uint64_t>(vocab_)));
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    std::shuffle(result.begin(), result.end(), random_);
    return result;
  }

  std::vector<uint64_t> mask() {
    if (chance(0.5))
      return mask_of(ids(one_of<int64_t>({1, 5, 300})), vocab_);
    std::vector<uint64_t> words(static_cast<size_t>((vocab_ + 63) / 64), ~uint64_t{0});
    for (const int32_t id : ids(1000))
      words[static_cast<size_t>(id) / 64] &= ~(uint64_t{1} << (id % 64));
    return words;
  }

  void add_changes(OwnedDraw& owned) {
    if (chance(0.3))
      owned.allowed = mask();
    if (chance(0.4)) {
      for (const int32_t id : ids(300))
        owned.biases.emplace_back(id, one_of<float>({-kInf, -3, 0.5F, 4, 100}));
    }
    if (chance(0.5)) {
      owned.repeated = ids(one_of<int64_t>({3, 700, 5000}));
      owned.draw.repetition_penalty = one_of<float>({0.7F, 1.1F, 1.5F});
    }
    if (chance(0.5)) {
      for (const int32_t id : ids(200)) owned.drawn.emplace_back(id, one_of<int32_t>({1, 2, 17}));
      owned.draw.presence_penalty = one_of<float>({0, 0.3F});
      owned.draw.frequency_penalty = one_of<float>({0, 0.17F, -0.2F});
    }
    if (chance(0.3))
      owned.banned = ids(20);
  }

  OwnedDraw draw() {
    OwnedDraw owned;
    TokenDraw& draw = owned.draw;
    draw.temperature = one_of<float>({0, 0.1F, 0.7F, 1, 1.3F, 10});
    draw.top_k = one_of<int>({0, 0, 1, 40, 700, 1 << 30});
    draw.top_p = one_of<float>({1, 1, 0.01F, 0.5F, 0.95F, 0.999F});
    draw.min_p = one_of<float>({0, 0, 0.001F, 0.05F, 1});
    draw.uniform = one_of<double>({uniform(), uniform(), uniform(), 0, std::nextafter(1.0, 0.0)});
    add_changes(owned);
    return owned;
  }

 private:
  int64_t vocab_;
  std::mt19937_64 random_;
};

class CudaTokenDraw : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
    backend_ = make_cuda_backend({});
    drawer_ = dynamic_cast<TokenDrawer*>(backend_.get());
    ASSERT_NE(drawer_, nullptr);
  }

  static Tensor on_device(const std::vector<Logits>& rows) {
    const auto vocab = static_cast<int64_t>(rows[0].size());
    Tensor result(DType::kF32, {static_cast<int64_t>(rows.size()), vocab}, cuda_device());
    for (size_t i = 0; i < rows.size(); ++i)
      copy_bytes(result.view().at(static_cast<int64_t>(i)).data, cuda_device(), rows[i].data(),
                 Device{}, vocab * int64_t{sizeof(float)});
    return result;
  }

  static std::vector<int32_t> to_host(const TensorView& ids) {
    std::vector<int32_t> result(static_cast<size_t>(ids.numel()));
    copy_bytes(result.data(), Device{}, ids.data, cuda_device(), ids.bytes());
    return result;
  }

  std::vector<int32_t> draw(const std::vector<Logits>& rows, const std::vector<OwnedDraw>& owned) {
    const Tensor logits = on_device(rows);
    const Tensor ids(DType::kI32, {static_cast<int64_t>(rows.size())}, cuda_device());
    std::vector<TokenDraw> draws;
    for (const OwnedDraw& one : owned) draws.push_back(one.view());
    drawer_->draw_tokens(logits, draws, ids);
    return to_host(ids);
  }

  int32_t draw(const Logits& row, const OwnedDraw& owned) {
    return draw(std::vector<Logits>{row}, std::vector<OwnedDraw>{owned})[0];
  }

  static int32_t host_draw(const Logits& row, const OwnedDraw& owned) {
    return HostTokenDrawer(static_cast<int64_t>(row.size())).draw(row, owned.view());
  }

  /// Random rows in one launch; returns how many were left to the host.
  int compare(int64_t vocab, int count, uint64_t seed) {
    SCOPED_TRACE("V=" + std::to_string(vocab) + " seed=" + std::to_string(seed));
    Source source(vocab, seed);
    std::vector<Logits> rows;
    std::vector<OwnedDraw> draws;
    for (int i = 0; i < count; ++i) {
      rows.push_back(source.logits());
      draws.push_back(source.draw());
    }
    const std::vector<int32_t> ids = draw(rows, draws);
    int left = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const TokenDraw& one = draws[i].draw;
      left += ids[i] == kTooManyCandidates ? 1 : 0;
      if (ids[i] != kTooManyCandidates) {
        EXPECT_EQ(ids[i], host_draw(rows[i], draws[i]))
            << "row " << i << " T=" << one.temperature << " top_k=" << one.top_k
            << " top_p=" << one.top_p << " min_p=" << one.min_p << " u=" << one.uniform;
      }
    }
    return left;
  }

  std::unique_ptr<Backend> backend_;
  TokenDrawer* drawer_ = nullptr;
};

OwnedDraw warm(float top_p = 1, int top_k = 0) {
  OwnedDraw owned;
  owned.draw.temperature = 1;
  owned.draw.top_p = top_p;
  owned.draw.top_k = top_k;
  owned.draw.uniform = 0.6180339887;
  return owned;
}

// Blocks without ids, rows that are not aligned, part of a mask's last word; few enough ids that
// all may be candidates.
TEST_F(CudaTokenDraw, SmallVocabulariesAreThoseOfTheHost) {
  for (const int64_t vocab : {1, 2, 7, 33, 64, 65, 1000, 1531, 1792})
    EXPECT_EQ(compare(vocab, 24, static_cast<uint64_t>(vocab)), 0);
}

TEST_F(CudaTokenDraw, MiddlingVocabulariesAreThoseOfTheHost) {
  for (const int64_t vocab : {4099, 32'000, 50'257, 151'936})
    compare(vocab, 64, static_cast<uint64_t>(vocab));
}

TEST_F(CudaTokenDraw, TheFullVocabularyIsThatOfTheHost) {
  for (uint64_t seed = 0; seed < 4; ++seed)
    EXPECT_LE(compare(kFullVocabulary, 64, seed), 16);  // a quarter has ties, which may be left
}

// From rows of a model to rows whose ids are all nearly as good: without many equal logits nothing
// may be left.
TEST_F(CudaTokenDraw, DistinctLogitsStayOnTheDevice) {
  std::mt19937_64 random(5);
  for (const float spread : {0.003F, 0.3F, 2.5F, 6.0F}) {
    std::normal_distribution<float> normal(0, spread);
    for (const auto& [temperature, top_k, top_p] :
         {std::tuple{1.0F, 40, 0.95F}, {1.0F, 0, 0.95F}, {0.7F, 0, 0.9F}, {1.0F, 1700, 1.0F}}) {
      Logits row(kFullVocabulary);
      for (float& x : row) x = normal(random);
      OwnedDraw owned = warm(top_p, top_k);
      owned.draw.temperature = temperature;
      EXPECT_EQ(draw(row, owned), host_draw(row, owned))
          << spread << " " << temperature << " " << top_k << " " << top_p;
    }
  }
}

TEST_F(CudaTokenDraw, SmallEqualLogitsRankById) {
  const Logits row(1500, 2.5F);
  OwnedDraw greedy;
  EXPECT_EQ(draw(row, greedy), 0);
  greedy.banned = {0, 1, 3};
  EXPECT_EQ(draw(row, greedy), 2);
  for (const OwnedDraw& owned :
       {warm(), warm(0.5F), warm(0.3F, 700), warm(1, 1), warm(0.001F), warm(1, 1499)})
    EXPECT_EQ(draw(row, owned), host_draw(row, owned));
}

TEST_F(CudaTokenDraw, TooManyCandidatesAreLeftToTheHost) {
  const Logits row(kFullVocabulary, -1.0F);
  EXPECT_EQ(draw(row, OwnedDraw{}), 0);
  EXPECT_EQ(draw(row, warm()), host_draw(row, warm()));
  EXPECT_EQ(draw(row, warm(0.5F)), kTooManyCandidates);
  EXPECT_EQ(draw(row, warm(1, 40)), kTooManyCandidates);
  // Each row has its own fate.
  Logits steep = row;
  steep[77'777] = 30;
  EXPECT_EQ(draw({row, steep, row}, {warm(0.5F), warm(0.5F), warm()}),
            (std::vector<int32_t>{kTooManyCandidates, 77'777, host_draw(row, warm())}));
}

TEST_F(CudaTokenDraw, AMaskOfOneIdLeavesThatId) {
  Source source(kFullVocabulary, 9);
  const Logits row(source.logits().size(), 1.0F);
  for (const int32_t id : {0, 31, 32, 25'007, 25'008, 123'456, 200'063}) {
    for (OwnedDraw owned : {OwnedDraw{}, warm(), warm(0.9F), warm(0.9F, 50)}) {
      owned.allowed = mask_of({id}, kFullVocabulary);
      EXPECT_EQ(draw(row, owned), id);
    }
  }
}

TEST_F(CudaTokenDraw, SmallRowsWithoutAFiniteLogitHaveNoToken) {
  const Logits none = {kNan, kInf, -kInf};
  const Logits some = {kNan, -5, kInf};
  OwnedDraw masked = warm();
  masked.allowed = {0b101};
  OwnedDraw banned = warm(0.5F);
  banned.banned = {1};
  OwnedDraw biased;
  biased.biases = {{1, -kInf}, {0, 100}};
  EXPECT_EQ(draw({none, none, some, some, some, some, some},
                 {OwnedDraw{}, warm(0.9F, 2), warm(), OwnedDraw{}, masked, banned, biased}),
            (std::vector<int32_t>{kNoToken, kNoToken, 1, 1, kNoToken, kNoToken, kNoToken}));
}

TEST_F(CudaTokenDraw, ExtremesAreThoseOfTheHost) {
  Source source(5000, 3);
  for (const float temperature : {1e-38F, 1e-30F, 1e-3F, 1e3F, 1e30F, 3e38F}) {
    for (const auto& [top_p, top_k] : {std::pair{1.0F, 0}, {0.9F, 0}, {1.0F, 30}}) {
      Logits row = source.logits();
      row[17] = 3e38F;
      row[18] = -3e38F;
      OwnedDraw owned = warm(top_p, top_k);
      owned.draw.temperature = temperature;
      owned.biases = {{17, 3e38F}, {18, -3e38F}, {19, 4}};
      const int32_t id = draw(row, owned);
      if (id != kTooManyCandidates) {
        EXPECT_EQ(id, host_draw(row, owned)) << temperature << " " << top_p << " " << top_k;
      }
    }
  }
}

TEST_F(CudaTokenDraw, LogitsStayAsTheyAre) {
  Source source(4099, 8);
  const Logits row = source.logits();
  OwnedDraw owned = warm(0.9F);
  source.add_changes(owned);
  owned.banned = {1, 2, 3};
  const Tensor logits = on_device({row});
  const Tensor ids(DType::kI32, {1}, cuda_device());
  drawer_->draw_tokens(logits, std::vector<TokenDraw>{owned.view()}, ids);
  Logits after(row.size());
  copy_bytes(after.data(), Device{}, logits.view().data, cuda_device(), logits.view().bytes());
  EXPECT_EQ(std::memcmp(after.data(), row.data(), row.size() * sizeof(float)), 0);
}

// Nobody waits between these: what one is drawn with must not become the next one's.
TEST_F(CudaTokenDraw, DrawsMayFollowEachOtherAtOnce) {
  Source source(kFullVocabulary, 4);
  const Logits row = source.logits();
  const Tensor logits = on_device({row});
  constexpr int kDraws = 30;
  const Tensor ids(DType::kI32, {kDraws}, cuda_device());
  std::vector<OwnedDraw> owned;
  for (int i = 0; i < kDraws; ++i) {
    owned.push_back(warm());
    owned[static_cast<size_t>(i)].draw.uniform = source.uniform();
    owned[static_cast<size_t>(i)].banned = source.ids(100 << (i / 3));  // the upload grows
  }
  for (int i = 0; i < kDraws; ++i)
    drawer_->draw_tokens(logits, std::vector<TokenDraw>{owned[static_cast<size_t>(i)].view()},
                         ids.view().slice(i, i + 1));
  const std::vector<int32_t> got = to_host(ids);
  for (size_t i = 0; i < owned.size(); ++i) EXPECT_EQ(got[i], host_draw(row, owned[i])) << i;
}

TEST_F(CudaTokenDraw, AVocabularyBeyondSharedMemoryIsLeftToTheHost) {
  const Logits row(500'000, 1.0F);
  EXPECT_EQ(draw({row, row}, {OwnedDraw{}, warm()}),
            (std::vector<int32_t>{kTooManyCandidates, kTooManyCandidates}));
}

TEST_F(CudaTokenDraw, WhatDoesNotFitIsAnError) {
  OwnedDraw owned;
  owned.allowed = {1, 0};
  EXPECT_THROW(draw(Logits{1, 2, 3}, owned), Error);
  EXPECT_THROW(draw({Logits{1, 2, 3}}, {OwnedDraw{}, OwnedDraw{}}), Error);
}

}  // namespace
}  // namespace mm
