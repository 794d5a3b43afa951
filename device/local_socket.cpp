#include "device/local_socket.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <filesystem>
#include <stdexcept>

#include "device/limits.hpp"
#include "device/sample.hpp"
#include "base/token_bucket.hpp"

namespace skerry::agent {

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;
using Protocol = asio::local::stream_protocol;

constexpr std::string_view too_many = "{\"error\":\"too many connections\"}\n";
constexpr std::string_view too_long = "{\"error\":\"a line is longer than 16 KiB\"}\n";
constexpr std::chrono::seconds accept_pause{1};

void clear_way(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) {
    return;
  }
  if (!S_ISSOCK(found.st_mode)) {
    throw std::runtime_error("local_socket.path " + path + " is something else than a socket");
  }
  unlink(path.c_str());
}

}  // namespace

LocalSocket::LocalSocket(asio::io_context& loop, LocalSocketOptions options, Take take)
    : loop_(loop), options_(std::move(options)), take_(std::move(take)), acceptor_(loop) {
  make_directory(std::filesystem::path{options_.path}.parent_path().string());
  clear_way(options_.path);
  acceptor_.open();
  // Made for nobody, then opened to whom it is for: there is no moment in which others can connect.
  const mode_t mask = umask(0777);
  boost::system::error_code error;
  acceptor_.bind(Protocol::endpoint{options_.path}, error);
  umask(mask);
  if (error) {
    throw std::system_error(error.value(), std::generic_category(),
                            "cannot listen at " + options_.path);
  }
  acceptor_.listen(static_cast<int>(local_connections_max));
  if (chmod(options_.path.c_str(), options_.mode) != 0) {
    throw_errno("cannot set the mode of " + options_.path);
  }
  asio::co_spawn(loop_, accept(), asio::detached);
}

LocalSocket::~LocalSocket() {
  unlink(options_.path.c_str());
}

awaitable<void> LocalSocket::accept() {
  asio::steady_timer timer{loop_};
  while (acceptor_.is_open()) {
    boost::system::error_code error;
    Socket socket{loop_};
    co_await acceptor_.async_accept(socket, asio::redirect_error(use_awaitable, error));
    if (error) {
      // Out of descriptors: it passes, and trying at once would turn the processor hot.
      timer.expires_after(accept_pause);
      co_await timer.async_wait(asio::redirect_error(use_awaitable, error));
      continue;
    }
    if (connections_ >= local_connections_max) {
      ++counters_.turned_away;
      socket.non_blocking(true, error);
      socket.write_some(asio::buffer(too_many), error);
      continue;
    }
    ++connections_;
    asio::co_spawn(loop_, serve(std::move(socket)), asio::detached);
  }
}

awaitable<void> LocalSocket::serve(Socket socket) {
  try {
    co_await answer_lines(socket);
  } catch (const boost::system::system_error&) {
    // The other side has gone.
  }
  --connections_;
}

std::string LocalSocket::answer(std::string_view line) {
  const auto message = parse_local_line(line);
  if (!message) {
    ++counters_.refused;
    return "{\"error\":" + json_string(message.error()) + "}\n";
  }
  if (!take_(*message)) {
    ++counters_.refused;
    return "{\"error\":\"the spool is full or its disk refuses\"}\n";
  }
  ++counters_.lines;
  return "{\"ok\":true}\n";
}

awaitable<void> LocalSocket::answer_lines(Socket& socket) {
  asio::steady_timer timer{loop_};
  TokenBucket bucket{read_clocks().steady};
  std::string received;
  std::string buffer(4096, '\0');
  while (true) {
    const std::size_t count = co_await socket.async_read_some(asio::buffer(buffer), use_awaitable);
    received.append(buffer, 0, count);
    std::size_t end = 0;
    while ((end = received.find('\n')) != std::string::npos) {
      const Rate rate{static_cast<double>(options_.lines_per_second),
                      static_cast<double>(options_.burst)};
      const SteadyTime now = read_clocks().steady;
      const SteadyTime ready = bucket.ready_at(rate, 1, now);
      if (ready > now) {
        // Its next lines are not read meanwhile: the sender feels it, nothing is lost.
        ++counters_.delayed;
        timer.expires_at(ready);
        co_await timer.async_wait(use_awaitable);
      }
      bucket.charge(rate, 1, read_clocks().steady);
      const std::string said = answer(std::string_view{received}.substr(0, end));
      received.erase(0, end + 1);
      co_await asio::async_write(socket, asio::buffer(said), use_awaitable);
    }
    if (received.size() > line_bytes_max) {
      ++counters_.refused;
      co_await asio::async_write(socket, asio::buffer(too_long), use_awaitable);
      co_return;
    }
  }
}

}  // namespace skerry::agent
