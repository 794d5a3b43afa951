// The clients of the guard: pairs of sockets to the server and just enough MQTT 5 to publish, hear
// and acknowledge. What they cost is not counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server.hpp"

namespace skerry::guard {

class Clients {
 public:
  explicit Clients(Server& server) : server_(server) {}
  ~Clients();
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  /// Connects one more; `persistent` makes it a session that is stored. Its number.
  std::size_t connect(bool persistent);
  void subscribe(std::size_t client, std::string_view filter, mqtt::Qos qos);

  /// Writes one PUBLISH to the client's socket.
  void publish(std::size_t client, std::string_view topic, std::string_view payload, mqtt::Qos qos);

  /// Lets the server work and answers what it sends until both have nothing more to say.
  void settle();

  /// PUBLISH packets that came in all.
  std::uint64_t heard() const noexcept { return heard_; }

 private:
  struct Client {
    int socket = -1;
    std::string input;
    std::string output;
    std::uint16_t next_id = 1;
  };

  bool read(Client& client);
  void write(Client& client);
  void on_packet(Client& client, std::string_view packet, std::size_t head);

  Server& server_;
  std::vector<Client> clients_;
  std::uint64_t heard_ = 0;
};

}  // namespace skerry::guard
