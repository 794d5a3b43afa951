// skerry-relay: the floor for any broker on this kind of machine. It finds where MQTT packets end
// and passes PUBLISH on, bytes as they came; the topic is read once per connection. One read per
// ready socket, one send per connection with output at the end of a round, epoll_ctl only when a
// socket is full. No sessions, no filters, no rights, no QoS 2, nothing checked: what a real broker
// costs above it is what being a broker costs.
//
// A group is the number behind the first `/` of a topic or filter: `bench/7/+` hears whatever is
// published to `bench/7/…`. Usage: skerry-relay PORT [VERSION OF MQTT]; on 127.0.0.1.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t input_bytes = 128 * 1024;
constexpr int events_max = 1024;

struct Peer {
  int socket = -1;
  int group = -1;
  bool subscribes = false;
  bool is_dirty = false;
  bool waits_to_write = false;
  std::unique_ptr<char[]> input;
  std::size_t input_size = 0;
  std::string output;
  std::size_t sent = 0;
};

class Relay {
 public:
  Relay(std::uint16_t port, int version) : version_(version), epoll_(::epoll_create1(0)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int one = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr generic;
    static_assert(sizeof generic == sizeof address);
    std::memcpy(&generic, &address, sizeof generic);
    if (::bind(listener_, &generic, sizeof generic) != 0 || ::listen(listener_, 4096) != 0) {
      std::perror("skerry-relay");
      std::exit(1);
    }
    watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
  }

  void round() {
    epoll_event events[events_max];
    const int count = ::epoll_wait(epoll_, events, events_max, -1);
    for (int i = 0; i < count; ++i) {
      const int socket = events[i].data.fd;
      if (socket == listener_) {
        accept_all();
        continue;
      }
      Peer& peer = peers_[static_cast<std::size_t>(socket)];
      if (peer.socket < 0) {
        continue;
      }
      if ((events[i].events & EPOLLOUT) != 0) {
        flush(peer);
      }
      if ((events[i].events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0 && !read(peer)) {
        drop(peer);
      }
    }
    for (const int socket : dirty_) {
      Peer& peer = peers_[static_cast<std::size_t>(socket)];
      peer.is_dirty = false;
      if (peer.socket >= 0) {
        flush(peer);
      }
    }
    dirty_.clear();
  }

 private:
  void watch(int socket, std::uint32_t events, int how) const {
    epoll_event event{};
    event.events = events;
    event.data.fd = socket;
    ::epoll_ctl(epoll_, how, socket, &event);
  }

  void accept_all() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) {
        return;
      }
      const int one = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      if (peers_.size() <= static_cast<std::size_t>(socket)) {
        peers_.resize(static_cast<std::size_t>(socket) * 2 + 64);
      }
      Peer& peer = peers_[static_cast<std::size_t>(socket)];
      peer = Peer{};
      peer.socket = socket;
      watch(socket, EPOLLIN, EPOLL_CTL_ADD);
    }
  }

  void drop(Peer& peer) {
    if (peer.subscribes) {
      std::erase(members(peer.group), peer.socket);
    }
    ::close(peer.socket);
    peer = Peer{};
  }

  std::vector<int>& members(int group) {
    const auto index = static_cast<std::size_t>(group);
    if (groups_.size() <= index) {
      groups_.resize(index + 1);
    }
    return groups_[index];
  }

  void append(Peer& peer, const char* bytes, std::size_t size) {
    peer.output.append(bytes, size);
    if (!peer.is_dirty) {
      peer.is_dirty = true;
      dirty_.push_back(peer.socket);
    }
  }

  void flush(Peer& peer) {
    while (peer.sent < peer.output.size()) {
      const ssize_t count = ::send(peer.socket, peer.output.data() + peer.sent,
                                   peer.output.size() - peer.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0) {
        if (errno == EAGAIN && !peer.waits_to_write) {
          peer.waits_to_write = true;
          watch(peer.socket, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
        }
        if (errno != EAGAIN) {
          peer.output.clear();
          peer.sent = 0;
        }
        return;
      }
      peer.sent += static_cast<std::size_t>(count);
    }
    peer.output.clear();
    peer.sent = 0;
    if (peer.waits_to_write) {
      peer.waits_to_write = false;
      watch(peer.socket, EPOLLIN, EPOLL_CTL_MOD);
    }
  }

  static std::size_t two(const char* at) noexcept {
    return std::size_t{static_cast<std::uint8_t>(at[0])} << 8 | static_cast<std::uint8_t>(at[1]);
  }

  static int group_of(std::string_view topic) noexcept {
    const std::size_t slash = topic.find('/');
    constexpr int groups_max = 65'536;
    return slash == std::string_view::npos ? 0 : std::atoi(topic.data() + slash + 1) % groups_max;
  }

  /// One read; false: the peer has gone, or what it says fits no buffer.
  bool read(Peer& peer) {
    if (!peer.input) {
      peer.input = std::make_unique_for_overwrite<char[]>(input_bytes);
    }
    const ssize_t count = ::recv(peer.socket, peer.input.get() + peer.input_size,
                                 input_bytes - peer.input_size, MSG_DONTWAIT);
    if (count <= 0) {
      return count < 0 && errno == EAGAIN;
    }
    peer.input_size += static_cast<std::size_t>(count);
    acknowledgements_.clear();
    std::size_t at = 0;
    while (const std::size_t size = packet(peer, at)) {
      at += size;
    }
    append_acknowledgements(peer);
    if (at == 0 && peer.input_size == input_bytes) {
      return false;
    }
    std::memmove(peer.input.get(), peer.input.get() + at, peer.input_size - at);
    peer.input_size -= at;
    return true;
  }

  void append_acknowledgements(Peer& peer) {
    if (!acknowledgements_.empty()) {
      append(peer, acknowledgements_.data(), acknowledgements_.size());
    }
  }

  /// Works the packet at `at`; 0: it has not come whole.
  std::size_t packet(Peer& peer, std::size_t at) {
    const char* const frame = peer.input.get() + at;
    const std::size_t available = peer.input_size - at;
    std::size_t length = 0;
    std::size_t head = 1;
    for (int shift = 0;; shift += 7, ++head) {
      if (head >= available || shift > 21) {
        return 0;
      }
      const auto digit = static_cast<std::uint8_t>(frame[head]);
      length |= std::size_t{digit & 127u} << shift;
      if (digit < 128) {
        ++head;
        break;
      }
    }
    if (available - head < length) {
      return 0;
    }
    answer(peer, frame, head, length);
    return head + length;
  }

  void answer(Peer& peer, const char* frame, std::size_t head, std::size_t length) {
    const char* const body = frame + head;
    const auto first = static_cast<std::uint8_t>(*frame);
    switch (first >> 4) {
      case 1:
        append(peer, version_ == 5 ? "\x20\3\0\0\0" : "\x20\2\0\0", version_ == 5 ? 5 : 4);
        return;
      case 8: {
        const std::size_t filter = version_ == 5 ? 3 : 2;
        peer.group = group_of({body + filter + 2, two(body + filter)});
        peer.subscribes = true;
        members(peer.group).push_back(peer.socket);
        if (version_ == 5) {
          const char suback[] = {'\x90', 4, body[0], body[1], 0, body[length - 1]};
          append(peer, suback, sizeof suback);
        } else {
          const char suback[] = {'\x90', 3, body[0], body[1], body[length - 1]};
          append(peer, suback, sizeof suback);
        }
        return;
      }
      case 3: {
        const std::size_t topic = two(body);
        if (peer.group < 0) {
          peer.group = group_of({body + 2, topic});
        }
        if ((first & 6) != 0) {
          acknowledgements_.append("\x40\2", 2).append(body + 2 + topic, 2);
        }
        for (const int member : members(peer.group)) {
          append(peers_[static_cast<std::size_t>(member)], frame, head + length);
        }
        return;
      }
      default:
        return;
    }
  }

  int version_;
  int epoll_;
  int listener_;
  std::vector<Peer> peers_;  ///< by descriptor
  std::vector<std::vector<int>> groups_;
  std::vector<int> dirty_;
  std::string acknowledgements_;  ///< of the read that is being worked
};

}  // namespace

int main(int count, char** words) {
  if (count < 2) {
    std::fprintf(stderr, "usage: skerry-relay PORT [4|5]\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  Relay relay(static_cast<std::uint16_t>(std::atoi(words[1])), count > 2 ? std::atoi(words[2]) : 5);
  for (;;) {
    relay.round();
  }
}
