/// Places in the queue of the engine, so that what waits stays bounded.
#pragma once

#include <memory>

#include "serve/served_model.h"

namespace mm {

/// `count` places, given back by the destructor.
class Seats {
 public:
  /// Throws ApiError 429 when so many are not free.
  Seats(std::shared_ptr<ServerState> state, const ServedModel& model, int count);
  ~Seats();
  Seats(const Seats&) = delete;
  Seats& operator=(const Seats&) = delete;

 private:
  std::shared_ptr<ServerState> state_;
  int count_;
};

}  // namespace mm
