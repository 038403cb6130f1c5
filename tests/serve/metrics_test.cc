#include "serve/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mm {
namespace {

using testing::HasSubstr;

TEST(Metrics, BucketsAreCumulativeAndBoundsInclusive) {
  Histogram histogram;
  histogram.add(0.001);
  histogram.add(0.002);
  histogram.add(1000);
  std::string text;
  histogram.write(text, "h", "Help.");
  EXPECT_THAT(text, HasSubstr("# TYPE h histogram\n"));
  EXPECT_THAT(text, HasSubstr("h_bucket{le=\"0.001\"} 1\nh_bucket{le=\"0.0025\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("h_bucket{le=\"600\"} 2\nh_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("h_count 3\n"));
}

TEST(Metrics, GenerationsAddUp) {
  Metrics metrics;
  Usage usage;
  usage.prompt_tokens = 100;
  usage.cached_tokens = 64;
  usage.replayed_tokens = 6;
  usage.generated_tokens = 5;
  metrics.count_request("/v1/completions");
  metrics.count_refusal("queue_full");
  metrics.count_generation(usage, "stop", 0.2, 0.004, 0.3);
  usage.cached_tokens = 0;
  metrics.count_generation(usage, "cancelled", -1, -1, 0.1);
  EngineStats engine;
  engine.pages = 7;
  engine.free_pages = 3;
  engine.used_pages = 4;
  engine.decode = {.steps = 3, .rows = 5, .seconds = 0.5, .flops = 1e22, .bytes = 6e9};
  metrics.count_token_gap(0.004);
  metrics.count_token_gap(0.3);
  const std::string text = metrics.render(engine, {.connections = 2, .generations = 3});
  for (const char* line : {"minimax_requests_total{endpoint=\"/v1/completions\"} 1\n",
                           "minimax_refusals_total{reason=\"queue_full\"} 1\n",
                           "minimax_generations_total{reason=\"cancelled\"} 1\n",
                           "\nminimax_prompt_tokens_total 200\n",
                           "\nminimax_cached_tokens_total 64\n",
                           "\nminimax_replayed_tokens_total 12\n",
                           "\nminimax_generated_tokens_total 10\n",
                           "\nminimax_prefix_hits_total 1\n",
                           "minimax_time_to_first_token_seconds_count 1\n",
                           "minimax_generation_seconds_count 2\n",
                           "\nminimax_connections 2\n",
                           "\nminimax_generations_active 3\n",
                           "minimax_inter_token_seconds_count 2\n",
                           "minimax_inter_token_seconds_bucket{le=\"0.25\"} 1\n",
                           "\nminimax_kv_pages 7\n",
                           "\nminimax_kv_pages_free 3\n",
                           "\nminimax_kv_pages_used 4\n",
                           "minimax_phase_steps_total{phase=\"prefill\"} 0\n",
                           "minimax_phase_rows_total{phase=\"decode\"} 5\n",
                           "minimax_phase_seconds_total{phase=\"decode\"} 0.5\n",
                           "minimax_phase_flops_total{phase=\"decode\"} 1e+22\n",
                           "minimax_phase_read_bytes_total{phase=\"decode\"} 6000000000\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, testing::Not(HasSubstr("gpu")));
  engine.free_device_bytes = 5;
  EXPECT_THAT(metrics.render(engine, {}), HasSubstr("\nminimax_gpu_memory_free_bytes 5\n"));
}

}  // namespace
}  // namespace mm
