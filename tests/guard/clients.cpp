#include "clients.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "mqtt/codec.hpp"

namespace skerry::guard {
namespace {

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "skerry-guard: %s\n", what);
  std::exit(1);
}

std::uint8_t byte_at(std::string_view text, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(text[at]);
}

/// Bytes of the fixed header and of the whole packet at the front of `input`; 0: incomplete.
std::size_t packet_size(std::string_view input, std::size_t& head) noexcept {
  std::size_t remaining = 0;
  for (std::size_t at = 1; at < input.size() && at < 5; ++at) {
    remaining |= std::size_t{byte_at(input, at) & 0x7Fu} << (7 * (at - 1));
    if ((byte_at(input, at) & 0x80) == 0) {
      head = at + 1;
      const std::size_t whole = head + remaining;
      return input.size() >= whole ? whole : 0;
    }
  }
  return 0;
}

}  // namespace

Clients::~Clients() {
  for (const Client& client : clients_) {
    ::close(client.socket);
  }
}

std::size_t Clients::connect(bool persistent) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    give_up("no pair of sockets");
  }
  server_.add(ends[0]);
  const std::string client_id = "guard-" + std::to_string(clients_.size());
  mqtt::Connect connect;
  connect.client_id = client_id;
  connect.session_expiry_interval = persistent ? 3600 : 0;
  Client& client = clients_.emplace_back();
  client.socket = ends[1];
  mqtt::encode(connect, mqtt::Version::v5, client.output);
  return clients_.size() - 1;
}

void Clients::subscribe(std::size_t client, std::string_view filter, mqtt::Qos qos) {
  mqtt::Subscribe subscribe;
  subscribe.packet_id = mqtt::PacketId{1};
  subscribe.filters.push_back({filter, {.maximum_qos = qos}});
  mqtt::encode(subscribe, mqtt::Version::v5, clients_[client].output);
}

void Clients::publish(std::size_t number, std::string_view topic, std::string_view payload,
                      mqtt::Qos qos) {
  Client& client = clients_[number];
  mqtt::Publish publish;
  publish.topic = topic;
  publish.payload = as_bytes(payload);
  publish.qos = qos;
  if (qos != mqtt::Qos::at_most_once) {
    publish.packet_id = mqtt::PacketId{client.next_id};
    client.next_id = static_cast<std::uint16_t>(client.next_id % 65'535 + 1);
  }
  mqtt::encode(publish, mqtt::Version::v5, client.output);
}

void Clients::write(Client& client) {
  std::string_view left = client.output;
  while (!left.empty()) {
    const ssize_t count = ::send(client.socket, left.data(), left.size(), MSG_NOSIGNAL);
    if (count < 0) {
      give_up("the server takes nothing");
    }
    left.remove_prefix(static_cast<std::size_t>(count));
  }
  client.output.clear();
}

bool Clients::read(Client& client) {
  char buffer[65'536];
  const ssize_t count = ::recv(client.socket, buffer, sizeof buffer, MSG_DONTWAIT);
  if (count == 0) {
    give_up("the server has closed a connection");
  }
  if (count < 0) {
    return false;
  }
  client.input.append(buffer, static_cast<std::size_t>(count));
  std::string_view rest = client.input;
  std::size_t head = 0;
  while (const std::size_t size = packet_size(rest, head)) {
    on_packet(client, rest.substr(0, size), head);
    rest.remove_prefix(size);
  }
  client.input.erase(0, client.input.size() - rest.size());
  return true;
}

void Clients::on_packet(Client& client, std::string_view packet, std::size_t head) {
  using mqtt::PacketType;
  const auto type = static_cast<PacketType>(byte_at(packet, 0) >> 4);
  const auto id_at = [&](std::size_t at) {
    return mqtt::PacketId{
        static_cast<std::uint16_t>((byte_at(packet, at) << 8) | byte_at(packet, at + 1))};
  };
  const auto answer = [&](PacketType with, std::size_t at) {
    mqtt::encode_ack(with, id_at(at), mqtt::Reason::success, mqtt::Version::v5, client.output);
  };
  switch (type) {
    case PacketType::publish: {
      ++heard_;
      const std::size_t topic =
          (std::size_t{byte_at(packet, head)} << 8) | byte_at(packet, head + 1);
      const unsigned qos = (byte_at(packet, 0) >> 1) & 3u;
      if (qos > 0) {
        answer(qos == 1 ? PacketType::puback : PacketType::pubrec, head + 2 + topic);
      }
      return;
    }
    case PacketType::pubrec:
      return answer(PacketType::pubrel, head);
    case PacketType::pubrel:
      return answer(PacketType::pubcomp, head);
    case PacketType::disconnect:
      give_up("the server has sent DISCONNECT");
    default:
      return;
  }
}

void Clients::settle() {
  for (bool moved = true; moved;) {
    moved = false;
    for (Client& client : clients_) {
      write(client);
    }
    server_.work();
    for (Client& client : clients_) {
      while (read(client)) {
        moved = true;
      }
    }
  }
}

}  // namespace skerry::guard
