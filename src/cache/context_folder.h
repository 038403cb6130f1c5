/// The folder of one durable context: which files are in it, and keeping it free of others.
#pragma once

#include <string>

#include "cache/context_manifest.h"

namespace mm {

std::string manifest_path(const std::string& folder);

/// The text of the manifest. Throws kNotFound if there is no context `name` in this folder, kIo.
std::string read_manifest_text(const std::string& folder, const std::string& name);
/// The same, parsed. Throws besides what parse_context_manifest throws.
ContextManifest read_manifest(const std::string& folder, const std::string& name);

/// Deletes segments that `manifest` does not name, and temporaries: what a writer that was killed
/// or changed its mind left behind. Only for who holds the lock. Failures do no harm, so there are
/// none: what stays is deleted the next time.
void remove_unnamed_files(const std::string& folder, const ContextManifest& manifest) noexcept;

/// Makes `to` the same immutable file as `from`: a hard link, or where that cannot be, a copy,
/// whose checksum must be `checksum`. Throws kNotFound, kBadInput if the copy differs, kIo.
void share_file(const std::string& from, const std::string& to, const Hash128& checksum);

}  // namespace mm
