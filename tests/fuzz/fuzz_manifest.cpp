// Manifests of backups: whatever is taken as one says the same again when it is written, and no
// path or name in it leads out of the backup.
#include <string_view>

#include "backup/manifest.hpp"
#include "base/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace skerry::backup;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto manifest = decode_manifest(text);
  if (!manifest.has_value()) {
    SKERRY_ASSERT(!manifest.error().ok() && !manifest.error().detail.empty());
    return 0;
  }
  SKERRY_ASSERT(is_backup_name(manifest->name));
  SKERRY_ASSERT(manifest->name.find('/') == std::string::npos);
  for (const FileEntry& file : manifest->files) {
    SKERRY_ASSERT(file.path.find("..") != 0 && file.path.find("/.") == std::string::npos);
    SKERRY_ASSERT(file.path.front() != '/' && file.path.find('\0') == std::string::npos);
  }
  const auto again = decode_manifest(encode_manifest(*manifest));
  SKERRY_ASSERT(again.has_value() && *again == *manifest);
  return 0;
}
