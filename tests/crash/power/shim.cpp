// The power switch of the crash lab: a library for LD_PRELOAD that writes down, beside an unchanged
// server, what of its files would survive a power loss. After a kill -9 power.py reads that and
// takes away everything else: bytes that no fsync covered, and directory entries whose directory
// was never synced. It works below the whole process, so the engine's files and all others are
// alike.
//
// SKERRY_POWER_ROOT     the tree it watches, an absolute path without a link in it
// SKERRY_POWER_JOURNAL  where it writes: one line an event, fields between tabs
//     S inode size        that many bytes of the file are on disk
//     D path              the entries of the directory are on disk
//     C path              a file is about to be created       M path     a directory
//     L path              a hard link is about to be made
//     R from to inode kept   a rename; `kept` is what stood at `to` before, or -
//     U path kept         a file is about to be removed: it is moved to `kept`
//     X path              a directory is about to be removed
//     T inode size        a file is cut
//     ! text              something that this library cannot take back: the run does not count
// SKERRY_POWER_KEPT     a directory beside the tree, on its file system, for what was removed
//
// It does not lie about errors, and it loses nothing by itself. sync_file_range is no sync.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

struct Switch {
  std::string root;
  std::string kept;
  int journal = -1;
  std::atomic<unsigned> count{0};

  Switch() {
    const char* tree = std::getenv("SKERRY_POWER_ROOT");
    const char* path = std::getenv("SKERRY_POWER_JOURNAL");
    const char* keep = std::getenv("SKERRY_POWER_KEPT");
    if (tree == nullptr || path == nullptr || keep == nullptr) {
      return;
    }
    root = tree;
    kept = keep;
    journal = static_cast<int>(
        ::syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  }

  bool watches(std::string_view path) const {
    return journal >= 0 && path.starts_with(root) &&
           (path.size() == root.size() || path[root.size()] == '/');
  }

  std::string next_kept() {
    return kept + "/" + std::to_string(::getpid()) + "-" + std::to_string(count.fetch_add(1));
  }

  void say(std::string line) const {
    line.push_back('\n');
    if (::syscall(SYS_write, journal, line.data(), line.size()) != static_cast<long>(line.size())) {
      std::abort();  // A journal with a hole would blame the server.
    }
  }
};

Switch& power() {
  static Switch made;
  return made;
}

std::string path_of(int descriptor) {
  char link[64];
  char target[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t size = ::readlink(link, target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : std::string();
}

/// Absolute, for an `*at` call.
std::string path_at(int directory, const char* path) {
  if (path == nullptr || *path == '/') {
    return path == nullptr ? "" : path;
  }
  if (directory == AT_FDCWD) {
    char here[4096];
    return ::getcwd(here, sizeof here) == nullptr ? std::string() : std::string(here) + "/" + path;
  }
  return path_of(directory) + "/" + path;
}

bool exists(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int synced(int descriptor, int (*real)(int)) {
  struct stat before {};
  const bool known = ::fstat(descriptor, &before) == 0;
  const std::string path = known ? path_of(descriptor) : std::string();
  const int result = real(descriptor);
  if (result == 0 && known && power().watches(path)) {
    const int kept_errno = errno;
    if (S_ISDIR(before.st_mode)) {
      power().say("D\t" + path);
    } else if (S_ISREG(before.st_mode)) {
      power().say("S\t" + std::to_string(before.st_ino) + "\t" + std::to_string(before.st_size));
    }
    errno = kept_errno;
  }
  return result;
}

/// Before a file is opened: writes down that it will be created, and keeps what would be cut off.
void note_open(const std::string& path, int flags) {
  if (!power().watches(path) || (flags & (O_CREAT | O_TRUNC)) == 0) {
    return;
  }
  if ((flags & (O_SYNC | O_DSYNC)) != 0) {
    power().say("!\t" + path + " is opened for synced writes");
  }
  const bool there = exists(path);
  if (there && (flags & O_EXCL) == 0 && (flags & O_TRUNC) != 0) {
    const std::string kept = power().next_kept();
    power().say("U\t" + path + "\t" + kept);
    next<int(const char*, const char*)>("rename")(path.c_str(), kept.c_str());
  }
  if ((!there && (flags & O_CREAT) != 0) || (there && (flags & O_TRUNC) != 0)) {
    power().say("C\t" + path);
  }
}

int open_noted(int directory, const char* path, int flags, mode_t mode) {
  const std::string whole = path_at(directory, path);
  note_open(whole, flags);
  // What was kept aside has to be made anew.
  const bool made_anew = (flags & O_TRUNC) != 0 && power().watches(whole);
  return static_cast<int>(::syscall(SYS_openat, directory, path,
                                    flags | O_LARGEFILE | (made_anew ? O_CREAT : 0),
                                    made_anew && (flags & O_CREAT) == 0 ? 0600 : mode));
}

mode_t mode_of(int flags, va_list& more) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(more, int)) : 0;
}

int remove_noted(int directory, const char* path, int flags) {
  const std::string whole = path_at(directory, path);
  if (!power().watches(whole)) {
    return static_cast<int>(::syscall(SYS_unlinkat, directory, path, flags));
  }
  if ((flags & AT_REMOVEDIR) != 0) {
    power().say("X\t" + whole);
    return static_cast<int>(::syscall(SYS_unlinkat, directory, path, flags));
  }
  struct stat found {};
  if (::lstat(whole.c_str(), &found) != 0) {
    return -1;
  }
  if (S_ISDIR(found.st_mode)) {
    errno = EISDIR;
    return -1;
  }
  const std::string kept = power().next_kept();
  power().say("U\t" + whole + "\t" + kept);
  return next<int(const char*, const char*)>("rename")(whole.c_str(), kept.c_str());
}

int rename_noted(const std::string& from, const std::string& to) {
  const auto real = next<int(const char*, const char*)>("rename");
  struct stat moved {};
  if (power().watches(to) && ::lstat(from.c_str(), &moved) == 0) {
    std::string kept = "-";
    if (exists(to)) {
      kept = power().next_kept();
      ::syscall(SYS_linkat, AT_FDCWD, to.c_str(), AT_FDCWD, kept.c_str(), 0);
    }
    power().say("R\t" + from + "\t" + to + "\t" + std::to_string(moved.st_ino) + "\t" + kept);
  }
  return real(from.c_str(), to.c_str());
}

void note_cut(int descriptor, off_t size) {
  const std::string path = path_of(descriptor);
  struct stat found {};
  if (power().watches(path) && ::fstat(descriptor, &found) == 0 && size < found.st_size) {
    power().say("T\t" + std::to_string(found.st_ino) + "\t" + std::to_string(size));
  }
}

/// Writes anywhere but at the end would need the old bytes back; nobody here does that.
void note_write_at(int descriptor, off_t offset) {
  const std::string path = path_of(descriptor);
  struct stat found {};
  if (power().watches(path) && ::fstat(descriptor, &found) == 0 && offset < found.st_size) {
    power().say("!\t" + path + " is written in its middle");
  }
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  return open_noted(AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  return open_noted(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  return open_noted(directory, path, flags, mode);
}

int openat64(int directory, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  return open_noted(directory, path, flags, mode);
}

int creat(const char* path, mode_t mode) {
  return open_noted(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int fsync(int descriptor) {
  return synced(descriptor, next<int(int)>("fsync"));
}

int fdatasync(int descriptor) {
  return synced(descriptor, next<int(int)>("fdatasync"));
}

int unlink(const char* path) noexcept {
  return remove_noted(AT_FDCWD, path, 0);
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  return remove_noted(directory, path, flags);
}

int rmdir(const char* path) noexcept {
  return remove_noted(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char* path) noexcept {
  const int result = remove_noted(AT_FDCWD, path, 0);
  return result != 0 && errno == EISDIR ? remove_noted(AT_FDCWD, path, AT_REMOVEDIR) : result;
}

int rename(const char* from, const char* to) noexcept {
  return rename_noted(path_at(AT_FDCWD, from), path_at(AT_FDCWD, to));
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  return rename_noted(path_at(from_directory, from), path_at(to_directory, to));
}

int link(const char* from, const char* to) noexcept {
  const std::string made = path_at(AT_FDCWD, to);
  if (power().watches(made)) {
    power().say("L\t" + made);
  }
  return static_cast<int>(::syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int mkdir(const char* path, mode_t mode) noexcept {
  const std::string made = path_at(AT_FDCWD, path);
  if (power().watches(made) && !exists(made)) {
    power().say("M\t" + made);
  }
  return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int ftruncate(int descriptor, off_t size) noexcept {
  note_cut(descriptor, size);
  return static_cast<int>(::syscall(SYS_ftruncate, descriptor, size));
}

ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  note_write_at(descriptor, offset);
  return ::syscall(SYS_pwrite64, descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t count, off64_t offset) {
  note_write_at(descriptor, offset);
  return ::syscall(SYS_pwrite64, descriptor, bytes, count, offset);
}

}  // extern "C"
