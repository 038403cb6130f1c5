// What is on disk after a crash or a failed write: the old library or the new one, and sound.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>

#include "tests/cache/context_fixture.h"
#include "tests/cache/file_faults.h"

namespace mm {
namespace {

// Forking a process with the address sanitizer's shadow memory is slow, and it finds its errors in
// a few rounds as well as in many.
#ifdef __SANITIZE_ADDRESS__
constexpr int kKills = 20;
constexpr int64_t kStride = 11;
#else
constexpr int kKills = 200;
constexpr int64_t kStride = 1;
#endif

const Tokens kTokens = random_tokens(700, 1);

/// Changes one after another, and the library after each of them.
class Script {
 public:
  Script() = default;
  Script(const Script&) = delete;  // the steps point to it
  Script& operator=(const Script&) = delete;

  int size() const { return static_cast<int>(steps_.size()); }
  void run(int step, const ContextStore& store) const { steps_[static_cast<size_t>(step)](store); }
  const Library& after(int steps) const { return libraries_[static_cast<size_t>(steps)]; }
  const ContextBinding& binding() const { return context_.binding; }

 private:
  void append(ContextWriter writer, int64_t segments_end, int64_t end) const {
    FakeModel model(context_.binding);
    model.append(writer, kTokens, segments_end - 64);
    model.append(writer, kTokens, segments_end, false);
    writer.set_tail(std::span(kTokens)
                        .first(static_cast<size_t>(end))
                        .subspan(static_cast<size_t>(segments_end)));
    writer.commit();
  }

  NewContext context_ = small_context(DType::kI8);
  std::vector<std::function<void(const ContextStore&)>> steps_ = {
      [this](const ContextStore& s) { append(s.create("a", context_), 256, 260); },
      [this](const ContextStore& s) { append(s.open_writer("a", binding()), 512, 575); },
      [](const ContextStore& s) { s.fork("a", "b", 500); },
      [this](const ContextStore& s) {
        ContextWriter writer = s.open_writer("a", binding());
        writer.truncate(400);
        writer.commit();
      },
      [this](const ContextStore& s) { append(s.open_writer("a", binding()), 640, 700); },
      [](const ContextStore& s) { s.fork("b", "c"); },
      [](const ContextStore& s) { s.remove("b"); }};
  std::vector<Library> libraries_ = {
      {},
      {{"a", prefix(kTokens, 260)}},
      {{"a", prefix(kTokens, 575)}},
      {{"a", prefix(kTokens, 575)}, {"b", prefix(kTokens, 500)}},
      {{"a", prefix(kTokens, 400)}, {"b", prefix(kTokens, 500)}},
      {{"a", prefix(kTokens, 700)}, {"b", prefix(kTokens, 500)}},
      {{"a", prefix(kTokens, 700)}, {"b", prefix(kTokens, 500)}, {"c", prefix(kTokens, 500)}},
      {{"a", prefix(kTokens, 700)}, {"c", prefix(kTokens, 500)}}};
};

/// Files in the folders of contexts, besides what their manifests name, manifest and lock.
int leftovers(const ContextStore& store) {
  int count = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(store.root()))
    count += file.is_regular_file() ? 1 : 0;
  for (const ContextEntry& entry : store.list())
    count -= static_cast<int>(entry.manifest.segments.size()) + 2;
  return count;
}

/// Checks what a process that was killed during `step` left, and goes on from there.
void check_and_go_on(const Script& script, int step, const ContextStore& store) {
  const Library found = read_library(store, script.binding());
  ASSERT_TRUE(found == script.after(step) || found == script.after(step + 1))
      << "neither before nor after step " << step;
  if (found == script.after(step))
    script.run(step, store);
  for (int next = step + 1; next < script.size(); ++next) script.run(next, store);
  EXPECT_EQ(read_library(store, script.binding()), script.after(script.size()));
  for (const ContextEntry& entry : store.list())  // the next writer of each tidies up
    store.open_writer(entry.name, script.binding());
  EXPECT_EQ(leftovers(store), 0);
}

/// Runs the script in a child process, which may be killed. Returns the steps it finished.
class Child {
 public:
  Child(const Script& script, const ContextStore& store, const std::function<void()>& prepare)
      : finished_(static_cast<int*>(::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE,
                                           MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    id_ = ::fork();
    if (id_ != 0)
      return;
    prepare();
    try {
      for (int step = 0; step < script.size(); ++step) {
        script.run(step, store);
        __atomic_store_n(finished_, step + 1, __ATOMIC_SEQ_CST);
      }
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  ~Child() { ::munmap(finished_, sizeof(int)); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t id() const { return id_; }
  /// Waits for its end. Returns the steps it finished.
  int wait() {
    int status = 0;
    ::waitpid(id_, &status, 0);
    EXPECT_TRUE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || status == 0) << status;
    return __atomic_load_n(finished_, __ATOMIC_SEQ_CST);
  }

 private:
  pid_t id_ = 0;
  int* finished_;
};

class ContextCrashTest : public testing::Test {
 protected:
  ~ContextCrashTest() override { plan_fault(Fault::kNone, 0); }

  /// File operations of the whole script.
  int64_t count_operations() const {
    const TemporaryFolder folder;
    plan_fault(Fault::kNone, 0);
    for (int step = 0; step < script_.size(); ++step)
      script_.run(step, ContextStore(folder.path()));
    return operation_count();
  }

  /// Lets operation `index` of a step fail. Returns false if the step has fewer operations.
  bool fail(int step, int64_t index, int error, int* failures) const {
    const TemporaryFolder folder;
    const ContextStore store(folder.path());
    plan_fault(Fault::kNone, 0);
    for (int before = 0; before < step; ++before) script_.run(before, store);
    bool refused = false;
    plan_fault(Fault::kFail, index, error);
    try {
      script_.run(step, store);
    } catch (const Error& thrown) {
      refused = true;
      EXPECT_EQ(thrown.kind(), ErrorKind::kIo) << thrown.what();
    }
    const bool reached = operation_count() > index;
    plan_fault(Fault::kNone, 0);
    EXPECT_EQ(read_library(store, script_.binding()), script_.after(refused ? step : step + 1))
        << "step " << step << ", operation " << index;
    if (refused) {
      ++*failures;
      script_.run(step, store);
      EXPECT_EQ(read_library(store, script_.binding()), script_.after(step + 1));
    }
    return reached;
  }

  Script script_;
};

TEST_F(ContextCrashTest, TheScriptItself) {
  const TemporaryFolder folder;
  const ContextStore store(folder.path());
  for (int step = 0; step < script_.size(); ++step) {
    script_.run(step, store);
    EXPECT_EQ(read_library(store, script_.binding()), script_.after(step + 1)) << step;
    EXPECT_EQ(leftovers(store), 0) << step;
  }
}

TEST_F(ContextCrashTest, KilledInEveryFileOperation) {
  const int64_t count = count_operations();
  EXPECT_GT(count, 100);
  for (int64_t index = 0; index < count; index += kStride) {
    const TemporaryFolder folder;
    const ContextStore store(folder.path());
    Child child(script_, store, [&] { plan_fault(Fault::kKill, index); });
    const int finished = child.wait();
    ASSERT_LT(finished, script_.size()) << index;
    check_and_go_on(script_, finished, store);
  }
}

TEST_F(ContextCrashTest, KilledAtRandomMoments) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  count_operations();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  int killed = 0;
  for (uint64_t round = 0; killed < kKills && round < 2000; ++round) {
    const TemporaryFolder folder;
    const ContextStore store(folder.path());
    Child child(script_, store, [] {});
    ::usleep(static_cast<useconds_t>(1e6 * seconds * philox_uniform(1, 2, round)));
    ::kill(child.id(), SIGKILL);
    const int finished = child.wait();
    if (finished == script_.size())
      continue;
    ++killed;
    check_and_go_on(script_, finished, store);
  }
  EXPECT_EQ(killed, kKills);
}

// Each operation of each step fails once, as a full and as a broken disk let it.
TEST_F(ContextCrashTest, EveryFailedOperationLeavesTheOldLibrary) {
  int failures = 0;
  for (const int error : {ENOSPC, EIO}) {
    for (int step = 0; step < script_.size(); ++step) {
      for (int64_t index = 0; fail(step, index, error, &failures); ++index) {
      }
    }
  }
  EXPECT_GT(failures, 100);
}

// The same with a limit on file sizes, which the system itself enforces: every file that the script
// makes is over it in turn.
TEST_F(ContextCrashTest, AFullDiskLeavesTheOldLibrary) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t limit : {0U, 1U, 1000U, 3000U, 10000U, 20000U, 30000U, 50000U}) {
    const TemporaryFolder folder;
    const ContextStore store(folder.path());
    const rlimit small{limit, before.rlim_max};
    int step = 0;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    try {
      for (; step < script_.size(); ++step) script_.run(step, store);
    } catch (const Error& refused) {
      EXPECT_EQ(refused.kind(), ErrorKind::kIo) << refused.what();
      EXPECT_NE(std::string(refused.what()).find("cannot write"), std::string::npos);
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(read_library(store, script_.binding()), script_.after(step)) << limit;
    EXPECT_EQ(leftovers(store), 0) << limit;
  }
  std::signal(SIGXFSZ, handler);
}

TEST_F(ContextCrashTest, ForksAcrossFileSystemsCopy) {
  forbid_links(true);
  const TemporaryFolder folder;
  const ContextStore store(folder.path());
  for (int step = 0; step < script_.size(); ++step) script_.run(step, store);
  forbid_links(false);
  EXPECT_EQ(read_library(store, script_.binding()), script_.after(script_.size()));
  for (const SegmentEntry& segment : store.show("c").segments)
    EXPECT_EQ(std::filesystem::hard_link_count(store.root() + "/c/" + segment.file), 1u);
}

}  // namespace
}  // namespace mm
