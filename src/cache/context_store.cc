#include "cache/context_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "base/output_file.h"
#include "cache/context_folder.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxName = 100;
// No name begins with a dot, so these are never taken for contexts.
constexpr std::string_view kRemovedPrefix = ".removed-";

bool is_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxName && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

void make_folder(const std::string& root, const std::string& folder) {
  std::error_code error;
  fs::create_directories(root, error);
  if (error)
    raise(ErrorKind::kIo, "{}: cannot create: {}", root, error.message());
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
    raise(ErrorKind::kIo, "{}: cannot create: {}", folder, std::strerror(errno));
  sync_folder(root);
}

// Deletes what a removal that was interrupted left. Who else is at it finds files gone, no more.
void delete_removed(const std::string& root) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root, ignored)) {
    if (entry.path().filename().string().starts_with(kRemovedPrefix))
      fs::remove_all(entry.path(), ignored);
  }
}

SegmentReport check_segment(const std::string& folder, const ContextManifest& manifest,
                            const SegmentEntry& entry) {
  try {
    const SegmentFile segment(folder, manifest, entry);
    segment.verify();
    segment.tokens();
    return {entry, ""};
  } catch (const Error& error) {
    return {entry, error.what()};
  }
}

ContextReport check_context(const std::string& folder, const std::string& manifest_text) {
  ContextReport report;
  ContextManifest manifest;
  try {
    manifest = parse_context_manifest(manifest_text, manifest_path(folder));
  } catch (const Error& error) {
    report.problem = error.what();
    return report;
  }
  report.token_count = report.usable_tokens = manifest.token_count();
  for (const SegmentEntry& entry : manifest.segments) {
    report.segments.push_back(check_segment(folder, manifest, entry));
    if (!report.segments.back().problem.empty())
      report.usable_tokens = std::min(report.usable_tokens, entry.begin);
  }
  return report;
}

}  // namespace

std::string default_context_root() {
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data != nullptr && data[0] == '/')  // the XDG rules: a relative path counts as unset
    return std::string(data) + "/minimax/contexts";
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] == '\0')
    raise(ErrorKind::kNotFound,
          "no place for contexts: neither XDG_DATA_HOME nor HOME is set; name a folder");
  return std::string(home) + "/.local/share/minimax/contexts";
}

void check_context_name(std::string_view name) {
  if (is_name(name))
    return;
  std::string shown(name.substr(0, kMaxName + 1));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  bad_input(
      "\"{}\" cannot name a context; expected 1 to {} letters (A-Z, a-z), digits and . _ -, with "
      "no "
      "dot at the beginning",
      shown, kMaxName);
}

std::string ContextStore::folder(std::string_view name) const {
  check_context_name(name);
  return fmt::format("{}/{}", root_, name);
}

bool ContextStore::exists(std::string_view name) const {
  return ::access(manifest_path(folder(name)).c_str(), F_OK) == 0;
}

std::vector<ContextEntry> ContextStore::list() const {
  std::vector<ContextEntry> entries;
  std::error_code error;
  for (fs::directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (!is_name(name) || !exists(name))
      continue;
    ContextEntry entry{name, {}, ""};
    try {
      entry.manifest = show(name);
    } catch (const Error& problem) {
      if (problem.kind() == ErrorKind::kNotFound)  // removed meanwhile
        continue;
      entry.problem = problem.what();
    }
    entries.push_back(std::move(entry));
  }
  if (error && error != std::errc::no_such_file_or_directory)
    raise(ErrorKind::kIo, "{}: cannot list: {}", root_, error.message());
  std::sort(entries.begin(), entries.end(),
            [](const ContextEntry& a, const ContextEntry& b) { return a.name < b.name; });
  return entries;
}

ContextManifest ContextStore::show(std::string_view name) const {
  return read_manifest(folder(name), std::string(name));
}

ContextWriter ContextStore::create(std::string_view name, const NewContext& context) const {
  const std::string folder = this->folder(name);
  const auto refuse_existing = [&] {
    if (exists(name))
      throw ContextConflict(
          fmt::format("context {} exists; append to it, remove it, or choose another name", name));
  };
  refuse_existing();  // before a folder is made or a lock is taken
  make_folder(root_, folder);
  ContextLock lock(folder, std::string(name));
  refuse_existing();
  delete_removed(root_);
  ContextManifest manifest;
  manifest.binding = context.binding;
  manifest.backend = context.backend;
  manifest.codec = context.codec;
  manifest.metadata = context.metadata;
  MM_CHECK(manifest.codec.replay_tokens == 0 ||
           manifest.codec.kept_heads.size() == manifest.binding.layers.size());
  return {folder, std::string(name), std::move(lock), std::move(manifest)};
}

ContextWriter ContextStore::open_writer(std::string_view name,
                                        const ContextBinding& binding) const {
  const std::string folder = this->folder(name);
  show(name);  // fails before a lock file is made where there is no context
  ContextLock lock(folder, std::string(name));
  ContextManifest manifest = show(name);
  check_binding(name, manifest.binding, binding);
  delete_removed(root_);
  return {folder, std::string(name), std::move(lock), std::move(manifest)};
}

ContextReader ContextStore::open_reader(std::string_view name, const ContextBinding& binding,
                                        ContextReadOptions options) const {
  return {folder(name), std::string(name), binding, options};
}

void ContextStore::fork(std::string_view name, std::string_view new_name,
                        std::optional<int64_t> token_count,
                        const std::optional<ContextMetadata>& metadata) const {
  const ContextManifest source = show(name);
  ContextWriter writer = create(new_name, {source.binding, source.backend, source.codec, {}});
  const std::string from = folder(name);
  const std::string to = folder(new_name);
  const int64_t count = token_count.value_or(source.token_count());
  writer.keep_prefix(from, source, count);
  writer.set_metadata(metadata.value_or(source.metadata));
  for (const SegmentEntry& segment : source.segments) {
    if (segment.end <= count)
      share_file(from + "/" + segment.file, to + "/" + segment.file, segment.checksum);
  }
  sync_folder(to);  // the links, before a manifest names them
  writer.commit();
}

void ContextStore::remove(std::string_view name) const {
  const std::string folder = this->folder(name);
  // The folder of a writer that was killed before its first commit counts, to be got rid of.
  if (!exists(name) && ::access(ContextLock::path_in(folder).c_str(), F_OK) != 0)
    raise(ErrorKind::kNotFound, "context {} does not exist in {}", name, root_);
  const ContextLock lock(folder, std::string(name));
  delete_removed(root_);
  const std::string removed = fmt::format("{}/{}{}-{}", root_, kRemovedPrefix, name, ::getpid());
  if (::rename(folder.c_str(), removed.c_str()) != 0)
    raise(ErrorKind::kIo, "{}: cannot rename to {}: {}", folder, removed, std::strerror(errno));
  sync_folder(root_);
  delete_removed(root_);
}

ContextReport ContextStore::verify(std::string_view name) const {
  const std::string folder = this->folder(name);
  std::string text = read_manifest_text(folder, std::string(name));
  while (true) {
    ContextReport report = check_context(folder, text);
    if (report.ok())
      return report;
    // A writer may have replaced the manifest and deleted a segment of the old one meanwhile.
    std::string now = read_manifest_text(folder, std::string(name));
    if (now == text)
      return report;
    text = std::move(now);
  }
}

}  // namespace mm
