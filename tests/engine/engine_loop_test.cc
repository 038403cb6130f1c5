#include "engine/engine_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "model/weights.h"
#include "tests/engine/golden.h"

namespace mm {
namespace {

using Ids = std::vector<int32_t>;

/// What one request was told; filled on the engine's thread, read after `ended`.
struct Told {
  Ids ids;
  std::string error;
  std::atomic<bool> ended{false};
};

EngineRequest make_request(Ids prompt, int64_t tokens, Told& told) {
  EngineRequest request{.prompt = std::move(prompt), .max_tokens = tokens};
  request.on_event = [&told](const Event& event) {
    if (event.kind == Event::Kind::kToken) {
      told.ids.push_back(event.token);
    } else if (event.kind != Event::Kind::kProgress) {
      told.error = event.error;
      told.ended = true;
    }
  };
  return request;
}

Ids prompt_of(uint64_t seed) {
  Ids ids(20 + seed % 120, 7);
  for (size_t i = ids.size() / 2; i < ids.size(); ++i) {
    ids[i] = static_cast<int32_t>(philox(seed, 1, i)[0] % 96);
  }
  return ids;
}

class EngineLoopTest : public ::testing::Test {
 protected:
  EngineOptions options(int sequences) const {
    EngineOptions options;
    options.threads = 2;
    options.context_size = 256;
    options.max_sequences = sequences;
    options.step_tokens = 256;
    return options;
  }
  Model model_ = load_model(testing::golden_folder("tiny-hd64"));
};

// The run that the thread sanitizer watches: 64 sequences at once, from four threads.
TEST_F(EngineLoopTest, SixtyFourSequencesFromManyThreads) {
  constexpr size_t kRequests = 128;
  std::vector<Told> told(kRequests);
  Engine engine(model_, options(64));
  {
    EngineLoop loop(engine);
    std::vector<std::thread> clients;
    for (size_t client = 0; client < 4; ++client) {
      clients.emplace_back([&, client] {
        for (size_t i = client; i < kRequests; i += 4) {
          const RequestId id = loop.submit(make_request(prompt_of(i), 12, told[i]));
          if (i % 16 == 5) {
            loop.cancel(id);
          }
          if (i % 16 == 7) {
            EXPECT_LE(loop.stats().running, 64);
          }
        }
      });
    }
    for (std::thread& client : clients) {
      client.join();
    }
    loop.drain();
    Told late;
    EXPECT_THROW(loop.submit(make_request({1}, 1, late)), Error);
  }
  engine.check_integrity();
  EXPECT_TRUE(engine.idle());
  Engine alone(model_, options(1));
  for (size_t i = 0; i < kRequests; ++i) {
    EXPECT_TRUE(told[i].ended);
    if (i % 16 == 5) {
      continue;
    }
    Told want;
    alone.submit(make_request(prompt_of(i), 12, want));
    while (alone.step()) {
    }
    EXPECT_EQ(told[i].ids, want.ids) << i;
  }
}

TEST_F(EngineLoopTest, ErrorsReachTheirCaller) {
  Engine engine(model_, options(2));
  EngineLoop loop(engine);
  Told told;
  EXPECT_THROW(loop.submit(make_request({}, 1, told)), Error);
  EXPECT_THROW(loop.run([](Engine&) { bad_input("no"); }), Error);
  loop.cancel(12345);
  EXPECT_EQ(loop.stats().waiting, 0);
}

TEST_F(EngineLoopTest, PostedWorkRunsInOrderAndKeepsItsErrors) {
  Engine engine(model_, options(1));
  std::vector<int> order;
  std::future<void> failed;
  {
    EngineLoop loop(engine);
    loop.post([&](Engine&) { order.push_back(1); });
    failed = loop.post([&](Engine&) {
      order.push_back(2);
      bad_input("no");
    });
    loop.run([&](Engine&) { order.push_back(3); });
  }
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_THROW(failed.get(), Error);
}

TEST_F(EngineLoopTest, DestructionCancelsWhatRuns) {
  Engine engine(model_, options(2));
  std::vector<Told> told(5);
  {
    EngineLoop loop(engine);
    for (size_t i = 0; i < told.size(); ++i) {
      loop.submit(make_request(prompt_of(i), -1, told[i]));
    }
  }
  for (const Told& t : told) {
    EXPECT_TRUE(t.ended);
  }
  EXPECT_TRUE(engine.idle());
  engine.check_integrity();
}

TEST_F(EngineLoopTest, AfterwardsComesOnceBehindAllEventsOfAStep) {
  Engine engine(model_, options(2));
  std::vector<std::string> order;  // of the engine's thread
  Told told[2];
  {
    EngineLoop loop(engine);
    // Both begin in the same step, since they are queued by one posted work.
    loop.run([&](Engine& inner) {
      for (Told& each : told) {
        EngineRequest request = make_request(prompt_of(1), 3, each);
        const auto on_event = request.on_event;
        request.on_event = [&, on_event](const Event& event) {
          if (event.kind == Event::Kind::kToken) {
            order.emplace_back("token");
            if (&each == &told[0]) {
              loop.afterwards([&order] { order.emplace_back("after"); });
            }
          }
          on_event(event);
        };
        inner.submit(std::move(request));
      }
      loop.afterwards([&] {
        order.emplace_back("posted");
        loop.afterwards([&order] { order.emplace_back("again"); });
      });
    });
    loop.drain();
  }
  const std::vector<std::string> step = {"token", "token", "after"};
  std::vector<std::string> expected = {"posted", "again"};
  for (int i = 0; i < 3; ++i) {
    expected.insert(expected.end(), step.begin(), step.end());
  }
  EXPECT_EQ(order, expected);
}

}  // namespace
}  // namespace mm
