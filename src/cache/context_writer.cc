#include "cache/context_writer.h"

#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "base/output_file.h"
#include "cache/context_folder.h"

namespace mm {

ContextWriter::ContextWriter(std::string folder, std::string name, ContextLock lock,
                             ContextManifest manifest)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      lock_(std::move(lock)),
      manifest_(std::move(manifest)),
      committed_(manifest_) {
  remove_unnamed_files(folder_, committed_);
}

ContextWriter::~ContextWriter() {
  if (!lock_.held())  // moved from
    return;
  remove_unnamed_files(folder_, committed_);
  // A context that never was committed leaves nothing. rmdir() spares a folder with anything in it.
  if (::access(manifest_path(folder_).c_str(), F_OK) != 0) {
    ::unlink(ContextLock::path_in(folder_).c_str());
    ::rmdir(folder_.c_str());
  }
}

void ContextWriter::append_segment(std::span<const int32_t> tokens, PageSource page,
                                   std::span<const TensorView> states) {
  MM_CHECK(!tokens.empty() && tokens.size() % kContextBlock == 0, "{} tokens", tokens.size());
  MM_CHECK(std::equal(manifest_.tail.begin(), manifest_.tail.end(), tokens.begin()),
           "context {}: a segment must begin with the open tail", name_);
  write({manifest_.stored_tokens(), tokens, states}, page);
  manifest_.tail.clear();
}

void ContextWriter::write(const SegmentData& data, PageSource page) {
  manifest_.segments.push_back(write_segment(folder_, manifest_, data, page));
  ++manifest_.next_segment;
}

void ContextWriter::add_states(std::span<const TensorView> states) {
  MM_CHECK(!manifest_.ends_in_state() && !states.empty());
  const SegmentFile segment(folder_, manifest_, manifest_.segments.back());
  segment.verify();
  ContextManifest changed = manifest_;
  changed.segments.back() =
      write_segment(folder_, manifest_, {segment.entry().begin, segment.tokens(), states},
                    [&](int layer, int64_t block) { return segment.page(layer, block); });
  ++changed.next_segment;
  manifest_ = std::move(changed);
}

void ContextWriter::set_tail(std::span<const int32_t> ids) {
  MM_CHECK(ids.size() < kContextBlock, "{} ids", ids.size());
  manifest_.tail.assign(ids.begin(), ids.end());
}

void ContextWriter::set_metadata(ContextMetadata metadata) {
  manifest_.metadata = std::move(metadata);
}

void ContextWriter::truncate(int64_t token_count) {
  keep_prefix(folder_, manifest_, token_count);
}

void ContextWriter::keep_prefix(const std::string& source_folder, const ContextManifest& source,
                                int64_t token_count) {
  if (token_count < 0 || token_count > source.token_count())
    bad_input("context {} cannot be cut at token {}: it has {}", name_, token_count,
              source.token_count());
  ContextManifest kept = source;
  if (token_count >= source.stored_tokens()) {
    kept.tail.resize(static_cast<size_t>(token_count - source.stored_tokens()));
    manifest_ = std::move(kept);
    return;
  }
  const auto cut = std::find_if(source.segments.begin(), source.segments.end(),
                                [&](const SegmentEntry& s) { return token_count < s.end; });
  kept.segments.assign(source.segments.begin(), cut);
  kept.tail.clear();
  if (token_count > cut->begin)
    keep_prefix_of(SegmentFile(source_folder, source, *cut), token_count - cut->begin, &kept);
  manifest_ = std::move(kept);
}

void ContextWriter::keep_prefix_of(const SegmentFile& segment, int64_t count,
                                   ContextManifest* kept) const {
  const std::span<const int32_t> tokens = segment.tokens().first(static_cast<size_t>(count));
  const size_t whole = tokens.size() - tokens.size() % kContextBlock;
  if (whole > 0) {
    segment.verify();
    kept->segments.push_back(
        write_segment(folder_, *kept, {segment.entry().begin, tokens.first(whole), {}},
                      [&](int layer, int64_t block) { return segment.page(layer, block); }));
    ++kept->next_segment;
  }
  kept->tail.assign(tokens.begin() + static_cast<std::ptrdiff_t>(whole), tokens.end());
}

void ContextWriter::commit() {
  write_text_file(manifest_path(folder_), dump_context_manifest(manifest_));
  committed_ = manifest_;
  // Readers that opened these files keep them; others find the new manifest.
  remove_unnamed_files(folder_, committed_);
}

}  // namespace mm
