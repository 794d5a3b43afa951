#include "device/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace skerry::agent {

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (value_ >= 0) {
      close(value_);
    }
    value_ = std::exchange(other.value_, -1);
  }
  return *this;
}

Descriptor::~Descriptor() {
  if (value_ >= 0) {
    close(value_);
  }
}

void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::optional<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file) {
    return std::nullopt;
  }
  // Files of /proc tell no size, so it is read until the end.
  std::string content;
  std::size_t used = 0;
  while (used <= bytes_max) {
    content.resize(used + 4096);
    const ssize_t count = read(file.get(), content.data() + used, content.size() - used);
    if (count < 0) {
      return std::nullopt;
    }
    if (count == 0) {
      content.resize(used);
      return used <= bytes_max ? std::optional{std::move(content)} : std::nullopt;
    }
    used += static_cast<std::size_t>(count);
  }
  return std::nullopt;
}

bool write_at(int descriptor, std::string_view content, std::size_t offset) noexcept {
  while (!content.empty()) {
    const ssize_t count =
        pwrite(descriptor, content.data(), content.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      errno = count == 0 ? ENOSPC : errno;
      return false;
    }
    content.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::size_t>(count);
  }
  return true;
}

void sync_directory(const std::string& path) noexcept {
  const Descriptor directory{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory) {
    fsync(directory.get());
  }
}

void replace_file(const std::string& path, std::string_view content, unsigned mode) {
  const std::string fresh = path + ".new";
  {
    const Descriptor file{
        open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)};
    if (!file || fchmod(file.get(), mode) != 0 || !write_at(file.get(), content, 0) ||
        fsync(file.get()) != 0) {
      const int reason = errno;
      unlink(fresh.c_str());
      errno = reason;
      throw_errno("cannot write " + fresh);
    }
  }
  if (std::rename(fresh.c_str(), path.c_str()) != 0) {
    throw_errno("cannot write " + path);
  }
  sync_directory(std::filesystem::path{path}.parent_path().string());
}

void make_directory(const std::string& path) {
  const std::filesystem::path wanted{path};
  if (std::filesystem::is_directory(wanted)) {
    return;
  }
  if (wanted.has_parent_path() && wanted.parent_path() != wanted) {
    make_directory(wanted.parent_path().string());
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw_errno("cannot make the directory " + path);
  }
}

}  // namespace skerry::agent
