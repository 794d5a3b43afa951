// PlainStream: a TCP or unix socket without encryption. One call is one system call: recv and send
// with MSG_DONTWAIT, so the socket's own blocking mode does not matter.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "transport/stream.hpp"

namespace skerry::transport {

namespace {

class PlainStream final : public Stream {
 public:
  explicit PlainStream(int descriptor) : descriptor_(descriptor) {}
  ~PlainStream() override { ::close(descriptor_); }
  PlainStream(const PlainStream&) = delete;
  PlainStream& operator=(const PlainStream&) = delete;

  IoResult handshake() override { return {}; }

  IoResult read(std::span<std::uint8_t> buffer) override {
    const ssize_t count = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) {
      return {IoStatus::ok, static_cast<std::size_t>(count)};
    }
    return count == 0 ? IoResult{IoStatus::closed, 0} : failure(IoStatus::want_read);
  }

  IoResult write(Bytes bytes) override {
    const ssize_t count =
        ::send(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      return {IoStatus::ok, static_cast<std::size_t>(count)};
    }
    return failure(IoStatus::want_write);
  }

  bool has_pending() const noexcept override { return false; }

  void shutdown() noexcept override { ::shutdown(descriptor_, SHUT_WR); }

  std::vector<std::string> peer_certificates() const override { return {}; }

  void forget_peer() noexcept override {}

  std::string error() const override {
    return error_ == 0 ? std::string{} : std::generic_category().message(error_);
  }

  int descriptor() const noexcept override { return descriptor_; }

 private:
  // An interrupted call is reported like one that would block: readiness brings it back.
  IoResult failure(IoStatus would_block) noexcept {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
      return {would_block, 0};
    }
    error_ = errno;
    return {IoStatus::failed, 0};
  }

  int descriptor_;
  int error_ = 0;
};

}  // namespace

std::unique_ptr<Stream> make_plain_stream(int descriptor) {
  return std::make_unique<PlainStream>(descriptor);
}

}  // namespace skerry::transport
