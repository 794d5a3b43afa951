#include "backup/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "base/backup_limits.hpp"
#include "crypto/sha256.hpp"

namespace skerry::backup {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t piece_bytes = 256 * 1024;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return number_; }
  bool is_open() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

/// Reads a file to its end, a piece at a time, and hashes it; `each` may fail.
template <typename Each>
Outcome read_pieces(const std::string& path, Digest& digest, const Attention& attention,
                    const Each& each) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.is_open()) {
    return failure("read", path, errno);
  }
  const auto piece = std::make_unique<char[]>(piece_bytes);
  crypto::Sha256 hash;
  digest.bytes = 0;
  for (;;) {
    if (attention.stop()) {
      return {Code::stopped, "given up at " + path};
    }
    const ssize_t count = ::read(file.get(), piece.get(), piece_bytes);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return failure("read", path, errno);
    }
    if (count == 0) {
      break;
    }
    const std::string_view read(piece.get(), static_cast<std::size_t>(count));
    hash.update(read);
    digest.bytes += read.size();
    attention.progress(read.size());
    if (Outcome outcome = each(read); !outcome.ok()) {
      return outcome;
    }
  }
  digest.sha256 = hash.finish_hex();
  return {};
}

Outcome write_all(int descriptor, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return failure("write", path, errno);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

int create(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/// Calls `each(entry)` for everything below `root` until one fails.
template <typename Each>
Outcome walk(const std::string& root, const Each& each) {
  std::error_code error;
  fs::recursive_directory_iterator at(root, error);
  for (const fs::recursive_directory_iterator end; !error && at != end; at.increment(error)) {
    if (Outcome outcome = each(*at); !outcome.ok()) {
      return outcome;
    }
  }
  return error ? failure("list", root, error.value()) : Outcome{};
}

}  // namespace

Outcome list_files(const std::string& root, std::vector<std::string>& paths) {
  paths.clear();
  Outcome outcome = walk(root, [&](const fs::directory_entry& entry) -> Outcome {
    std::error_code error;
    const fs::file_status status = entry.symlink_status(error);
    if (fs::is_directory(status)) {
      return {};
    }
    if (error || !fs::is_regular_file(status)) {
      return {Code::damaged, entry.path().string() + " is not a plain file"};
    }
    if (paths.size() == backup_files_max) {
      return {Code::damaged, root + " holds more files than a backup may have"};
    }
    paths.push_back(entry.path().lexically_relative(root).generic_string());
    return {};
  });
  std::sort(paths.begin(), paths.end());
  return outcome;
}

Outcome digest_file(const std::string& path, Digest& digest, const Attention& attention) {
  return read_pieces(path, digest, attention, [](std::string_view) { return Outcome{}; });
}

Outcome copy_file(const std::string& from, const std::string& to, Digest& digest,
                  const Attention& attention) {
  const Descriptor target(create(to));
  if (!target.is_open()) {
    return failure("create", to, errno);
  }
  Outcome outcome = read_pieces(from, digest, attention, [&](std::string_view piece) {
    return write_all(target.get(), piece, to);
  });
  if (outcome.ok() && ::fsync(target.get()) != 0) {
    return failure("sync", to, errno);
  }
  return outcome;
}

Outcome write_new_file(const std::string& path, std::string_view content) {
  const Descriptor file(create(path));
  if (!file.is_open()) {
    return failure("create", path, errno);
  }
  Outcome outcome = write_all(file.get(), content, path);
  if (outcome.ok() && ::fsync(file.get()) != 0) {
    return failure("sync", path, errno);
  }
  return outcome;
}

Outcome read_small_file(const std::string& path, std::size_t bytes_max, std::string& content) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.is_open()) {
    Outcome outcome = failure("read", path, errno);
    outcome.code = errno == ENOENT || errno == ENOTDIR ? Code::not_found : outcome.code;
    return outcome;
  }
  content.clear();
  const auto piece = std::make_unique<char[]>(piece_bytes);
  for (;;) {
    const ssize_t count = ::read(file.get(), piece.get(), piece_bytes);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return failure("read", path, errno);
    }
    if (count == 0) {
      return {};
    }
    content.append(piece.get(), static_cast<std::size_t>(count));
    if (content.size() > bytes_max) {
      return {Code::damaged, path + " is larger than it may be"};
    }
  }
}

Outcome make_directories(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  if (!parent.empty() && parent != path) {
    std::error_code error;
    fs::create_directories(parent, error);  // what stands in the way shows itself below
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return failure("create the directory", path, errno);
  }
  return {};
}

Outcome sync_path(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.is_open() || ::fsync(file.get()) != 0) {
    return failure("sync", path, errno);
  }
  return {};
}

Outcome sync_directories(const std::string& root) {
  Outcome outcome = walk(root, [](const fs::directory_entry& entry) {
    std::error_code error;
    return entry.is_directory(error) ? sync_path(entry.path().string()) : Outcome{};
  });
  return outcome.ok() ? sync_path(root) : outcome;
}

Outcome make_private(const std::string& root) {
  const auto restrict_to = [](const std::string& path, mode_t mode) {
    return ::chmod(path.c_str(), mode) == 0 ? Outcome{}
                                            : failure("change the mode of", path, errno);
  };
  Outcome outcome = walk(root, [&](const fs::directory_entry& entry) {
    std::error_code error;
    return restrict_to(entry.path().string(), entry.is_directory(error) ? 0700 : 0600);
  });
  return outcome.ok() ? restrict_to(root, 0700) : outcome;
}

Outcome remove_tree(const std::string& root) {
  std::error_code error;
  fs::remove_all(root, error);
  return error ? failure("remove", root, error.value()) : Outcome{};
}

}  // namespace skerry::backup
