// Small files: reading under a cap, writing so that nobody else can read or see half of it.
#include "cli/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/failure.hpp"

namespace skerry::cli {
namespace {

constexpr std::size_t file_bytes_max = 1024 * 1024;

void make_directory_of(const std::string& path) {
  const std::filesystem::path directory = std::filesystem::path{path}.parent_path();
  if (directory.empty() || std::filesystem::exists(directory)) {
    return;
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw Failure("cannot make the directory " + directory.string() + ": " + error.message());
  }
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
}

void create(const std::string& path, const std::string& content, int flags, unsigned mode) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, mode);
  if (file < 0) {
    throw Failure("cannot write " + path + ": " + std::strerror(errno));
  }
  std::size_t written = 0;
  bool good = fchmod(file, mode) == 0;
  while (good && written < content.size()) {
    const ssize_t count = write(file, content.data() + written, content.size() - written);
    good = count > 0;
    written += good ? static_cast<std::size_t>(count) : 0;
  }
  good = fsync(file) == 0 && good;
  const int reason = errno;
  close(file);
  if (!good) {
    unlink(path.c_str());
    throw Failure("cannot write " + path + ": " + std::strerror(reason));
  }
}

}  // namespace

std::string read_file(const std::string& path, const std::string& what) {
  std::ifstream file{path, std::ios::binary};
  if (!file) {
    throw Failure("cannot read " + what + " " + path + ": " + std::strerror(errno));
  }
  std::string content(file_bytes_max + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad() || content.empty()) {
    throw Failure("cannot read " + what + " " + path + ": it is empty or no file");
  }
  if (content.size() > file_bytes_max) {
    throw Failure(what + " " + path + " is too large to be one");
  }
  return content;
}

void write_file(const std::string& path, const std::string& content, unsigned mode) {
  make_directory_of(path);
  const std::string fresh = path + ".new";
  create(fresh, content, O_TRUNC | O_NOFOLLOW, mode);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    unlink(fresh.c_str());
    throw Failure("cannot write " + path + ": " + std::strerror(reason));
  }
}

void create_private_file(const std::string& path, const std::string& content) {
  make_directory_of(path);
  create(path, content, O_EXCL, 0600);
}

}  // namespace skerry::cli
