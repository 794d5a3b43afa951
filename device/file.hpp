// Files of the agent: reading under a cap, replacing as a whole, descriptors that close themselves.
// Errors are std::system_error with the path in the message.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace skerry::agent {

/// Owns a file descriptor; -1 is none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int opened) : value_(opened) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const noexcept { return value_; }
  explicit operator bool() const noexcept { return value_ >= 0; }

 private:
  int value_ = -1;
};

/// The whole file; nullopt when it is missing, unreadable or has more than `bytes_max`.
std::optional<std::string> read_file(const std::string& path, std::size_t bytes_max);

/// Replaces the file as a whole, durably: written beside it, synced, renamed, directory synced.
/// Throws std::system_error; the old file is then untouched.
void replace_file(const std::string& path, std::string_view content, unsigned mode);

/// Makes the directory, 0700, and those above it. Throws std::system_error.
void make_directory(const std::string& path);

/// Writes all of it at `offset`. False with errno set; some of it may have been written.
bool write_at(int descriptor, std::string_view content, std::size_t offset) noexcept;

/// Makes names of files in it durable. Best effort.
void sync_directory(const std::string& path) noexcept;

[[noreturn]] void throw_errno(const std::string& what);

}  // namespace skerry::agent
