#include "auth/secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace skerry::auth {

namespace {

[[noreturn]] void fail(const char* what, const std::string& path, int error) {
  throw std::runtime_error(std::string{"cannot "} + what + " " + path + ": " +
                           std::strerror(error));
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) {
      close(number_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return number_; }

 private:
  int number_;
};

void write_all(int descriptor, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      fail("write", path, errno);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

void sync_directory_of(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path{path}.parent_path();
  const std::filesystem::path directory = parent.empty() ? std::filesystem::path{"."} : parent;
  const Descriptor descriptor{open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (descriptor.get() < 0 || fsync(descriptor.get()) != 0) {
    fail("sync", directory.string(), errno);
  }
}

/// Without the sync of its parent a power loss takes a new directory with all that is synced in it.
void make_directory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0) {
    sync_directory_of(path);
  } else if (errno != EEXIST) {
    fail("create the directory", path, errno);
  }
}

void make_parents(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path parent = path.parent_path();
  if (!parent.empty() && parent != path && !std::filesystem::exists(parent, error)) {
    make_parents(parent);
    make_directory(parent.string(), 0777);
  }
}

}  // namespace

void make_private_directory(const std::string& path) {
  make_parents(path);
  make_directory(path, 0700);
}

std::optional<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor descriptor{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (descriptor.get() < 0) {
    if (errno == ENOENT) {
      return std::nullopt;
    }
    fail("read", path, errno);
  }
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(descriptor.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      fail("read", path, errno);
    }
    if (count == 0) {
      return content;
    }
    content.append(buffer, static_cast<std::size_t>(count));
    if (content.size() > bytes_max) {
      fail("read", path, EFBIG);
    }
  }
}

void write_file(const std::string& path, std::string_view content, FileMode mode) {
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());  // left by a crash; a fresh file gets the right mode from the start
  try {
    const Descriptor descriptor{open(temporary.c_str(),
                                     O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                                     mode == FileMode::secret ? 0600 : 0644)};
    if (descriptor.get() < 0) {
      fail("create", temporary, errno);
    }
    write_all(descriptor.get(), content, temporary);
    if (fsync(descriptor.get()) != 0) {
      fail("sync", temporary, errno);
    }
  } catch (const std::runtime_error&) {
    unlink(temporary.c_str());  // half a key is of no use, and the disk may be full
    throw;
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    fail("replace", path, errno);
  }
  sync_directory_of(path);
}

}  // namespace skerry::auth
