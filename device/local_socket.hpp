// The unix socket on which other programs of this device hand over metrics and alarms, a JSON
// object a line (local_protocol.hpp), each answered when it is stored. Connections, bytes of a line
// and lines a second are capped; who may connect is the file's mode.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "device/configuration.hpp"
#include "device/file.hpp"
#include "device/local_protocol.hpp"

namespace skerry::agent {

struct LocalSocketCounters {
  std::uint64_t lines = 0;        ///< taken
  std::uint64_t refused = 0;      ///< answered with an error
  std::uint64_t delayed = 0;      ///< waited because their sender was too fast
  std::uint64_t turned_away = 0;  ///< connections over the cap
};

/// One thread, that of the io_context.
class LocalSocket {
 public:
  /// False: not stored.
  using Take = std::function<bool(const LocalMessage&)>;

  /// Replaces a socket that a crash has left; throws std::system_error when the path cannot be
  /// used, or std::runtime_error when something else is there.
  LocalSocket(boost::asio::io_context& loop, LocalSocketOptions options, Take take);
  ~LocalSocket();
  LocalSocket(const LocalSocket&) = delete;
  LocalSocket& operator=(const LocalSocket&) = delete;

  /// For the next line of every connection.
  void set_rate(std::uint32_t lines_per_second, std::uint32_t burst) noexcept {
    options_.lines_per_second = lines_per_second;
    options_.burst = burst;
  }
  const LocalSocketCounters& counters() const noexcept { return counters_; }

 private:
  using Socket = boost::asio::local::stream_protocol::socket;

  boost::asio::awaitable<void> accept();
  boost::asio::awaitable<void> serve(Socket socket);
  boost::asio::awaitable<void> answer_lines(Socket& socket);
  std::string answer(std::string_view line);

  boost::asio::io_context& loop_;
  LocalSocketOptions options_;
  Take take_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  std::size_t connections_ = 0;
  LocalSocketCounters counters_;
};

}  // namespace skerry::agent
