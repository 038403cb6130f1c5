// One writer, many readers, and whoever removes.
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "tests/cache/context_fixture.h"

namespace mm {
namespace {

using ContextConcurrencyTest = ContextStoreFixture;

TEST_F(ContextConcurrencyTest, ASecondWriterIsRefusedWithTheFirstOnesId) {
  make("a", random_tokens(390, 1));
  const ContextWriter first = store_.open_writer("a", context_.binding);
  const std::string text = fmt::format("context a is being written by process {}", ::getpid());
  expect_error(ErrorKind::kBadInput, text, [&] { store_.open_writer("a", context_.binding); });
  expect_error(ErrorKind::kBadInput, text, [&] { store_.remove("a"); });
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      store_.open_writer("a", context_.binding);
    } catch (const Error& error) {
      ::_exit(std::string(error.what()).find(text) == std::string::npos ? 2 : 0);
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(ContextConcurrencyTest, TwoCreatorsOfOneName) {
  ContextWriter first = store_.create("a", context_);
  expect_error(ErrorKind::kBadInput, "is being written", [&] { store_.create("a", context_); });
  first.commit();
  expect_error(ErrorKind::kBadInput, "context a exists", [&] { store_.create("a", context_); });
}

TEST_F(ContextConcurrencyTest, ReadersSeeSnapshotsWhileAWriterWorks) {
  const Tokens tokens = random_tokens(64 * 128, 1);
  {
    ContextWriter writer = store_.create("a", context_);
    model_.append(writer, tokens, 64);
    writer.commit();
  }
  std::atomic<bool> done = false;
  std::atomic<int> opened = 0;
  const auto read = [&] {
    for (bool last = false; !last;) {
      last = done;
      const ContextReader reader = store_.open_reader("a", context_.binding);
      EXPECT_EQ(difference(reader, prefix(tokens, reader.token_count())), "");
      ++opened;
    }
  };
  std::thread readers[] = {std::thread(read), std::thread(read)};
  ContextWriter writer = store_.open_writer("a", context_.binding);
  for (int64_t step = 0; step < 60; ++step) {
    if (step % 3 == 2)  // deletes segments under the readers' eyes
      writer.truncate(writer.token_count() - 100);
    model_.append(writer, tokens, (writer.token_count() / 64 + 2) * 64, step % 2 == 0);
    writer.commit();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(opened, 2);
}

TEST_F(ContextConcurrencyTest, AReaderKeepsItsSnapshotThroughRemoval) {
  const Tokens tokens = random_tokens(390, 1);
  make("a", tokens);
  const ContextReader reader = store_.open_reader("a", context_.binding);
  store_.remove("a");
  EXPECT_EQ(difference(reader, tokens), "");
  expect_error(ErrorKind::kNotFound, "context a does not exist",
               [&] { store_.open_reader("a", context_.binding); });
}

}  // namespace
}  // namespace mm
