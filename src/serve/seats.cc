#include "serve/seats.h"

#include <fmt/format.h>

#include <utility>

#include "serve/api_error.h"

namespace mm {

Seats::Seats(std::shared_ptr<ServerState> state, const ServedModel& model, int count)
    : state_(std::move(state)), count_(count) {
  const int most = model.max_sequences + state_->max_queue;
  if (state_->active.fetch_add(count_) + count_ > most) {
    state_->active -= count_;
    state_->metrics.count_refusal("queue_full");
    ApiError error(
        429, "rate_limit_error",
        fmt::format("the queue is full: {} generations run or wait, {} more do not fit "
                    "(--parallel {}, --max-queue {})",
                    state_->active.load(), count_, model.max_sequences, state_->max_queue),
        "", "queue_full");
    error.retry_after = 1;
    throw error;
  }
}

Seats::~Seats() {
  state_->active -= count_;
}

}  // namespace mm
