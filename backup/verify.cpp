#include "backup/verify.hpp"

#include <algorithm>
#include <filesystem>

#include "backup/content.hpp"
#include "base/backup_limits.hpp"
#include "crypto/hash.hpp"

namespace skerry::backup {

namespace {

constexpr std::size_t hash_file_bytes_max = 256;

class Problems {
 public:
  explicit Problems(Verified& verified) : verified_(verified) {}

  void add(Outcome outcome) {
    if (outcome.ok()) {
      return;
    }
    if (verified_.problems.size() < problems_max) {
      verified_.problems.push_back(outcome.detail);
    }
    if (verified_.outcome.ok()) {
      verified_.outcome = std::move(outcome);
    }
  }

 private:
  Verified& verified_;
};

Outcome damaged(std::string sentence) {
  return {Code::damaged, std::move(sentence)};
}

/// One file of the manifest that is there.
Outcome check_file(const std::string& root, const FileEntry& file, const Attention& attention) {
  Digest digest;
  if (Outcome outcome = digest_file(root + "/" + file.path, digest, attention); !outcome.ok()) {
    return outcome;
  }
  if (digest.bytes != file.bytes) {
    return damaged(file.path + " has " + std::to_string(digest.bytes) + " bytes instead of " +
                   std::to_string(file.bytes));
  }
  if (digest.sha256 != file.sha256) {
    return damaged(file.path + " is damaged: its SHA-256 is not that of the manifest");
  }
  return {};
}

/// Both lists are in the order of paths.
void check_files(const std::string& root, const Attention& attention, Verified& verified) {
  Problems problems(verified);
  std::vector<std::string> present;
  if (Outcome outcome = list_files(root, present); !outcome.ok()) {
    problems.add(std::move(outcome));
    return;
  }
  std::erase_if(present, [](const std::string& path) {
    return path == manifest_name || path == manifest_hash_name;
  });
  const std::vector<FileEntry>& files = verified.manifest.files;
  auto at = present.begin();
  for (const FileEntry& file : files) {
    for (; at != present.end() && *at < file.path; ++at) {
      problems.add(damaged(*at + " is not in the manifest"));
    }
    if (at == present.end() || *at != file.path) {
      problems.add(damaged(file.path + " is missing"));
      continue;
    }
    ++at;
    problems.add(check_file(root, file, attention));
    if (verified.outcome.code == Code::stopped) {
      return;
    }
  }
  for (; at != present.end(); ++at) {
    problems.add(damaged(*at + " is not in the manifest"));
  }
}

}  // namespace

Outcome read_manifest(const std::string& directory, Manifest& manifest) {
  const std::string name{manifest_name};
  std::string text;
  std::string line;
  Outcome outcome = read_small_file(directory + "/" + name, backup_manifest_bytes_max, text);
  if (outcome.code == Code::not_found) {
    return {Code::not_found, directory + " is no backup: it has no " + name};
  }
  if (outcome.ok()) {
    outcome = read_small_file(directory + "/" + std::string{manifest_hash_name},
                              hash_file_bytes_max, line);
  }
  if (outcome.code == Code::not_found) {
    return damaged(std::string{manifest_hash_name} + " is missing");
  }
  if (!outcome.ok()) {
    return outcome;
  }
  if (line != crypto::sha256_hex(text) + "  " + name + "\n") {
    return damaged(name + " is damaged: its SHA-256 is not that in " +
                   std::string{manifest_hash_name});
  }
  auto decoded = decode_manifest(text);
  if (!decoded) {
    return decoded.error();
  }
  manifest = *std::move(decoded);
  return {};
}

Outcome verify_content(const std::string& root, const Manifest& manifest,
                       const Attention& attention) {
  Content content;
  if (Outcome outcome = read_content(root + "/store", content, attention); !outcome.ok()) {
    return outcome;
  }
  if (content.sequence != manifest.sequence) {
    return damaged("the store ends with write " + std::to_string(content.sequence) +
                   " instead of " + std::to_string(manifest.sequence));
  }
  for (const FamilyEntry& expected : manifest.families) {
    const auto found =
        std::find_if(content.families.begin(), content.families.end(),
                     [&](const FamilyEntry& entry) { return entry.name == expected.name; });
    if (found == content.families.end()) {
      return {Code::newer,
              "the backup has a family \"" + expected.name + "\" that this program does not know"};
    }
    if (*found != expected) {
      return damaged("the family " + expected.name + " holds " + std::to_string(found->records) +
                     " records with another checksum than the " + std::to_string(expected.records) +
                     " of the manifest");
    }
  }
  return {};
}

Verified verify(const std::string& directory, const Attention& attention) {
  Verified verified;
  Problems problems(verified);
  problems.add(read_manifest(directory, verified.manifest));
  if (!verified.outcome.ok()) {
    return verified;
  }
  check_files(directory, attention, verified);
  if (verified.outcome.ok()) {  // a store of damaged files is not worth opening
    problems.add(verify_content(directory, verified.manifest, attention));
  }
  return verified;
}

}  // namespace skerry::backup
