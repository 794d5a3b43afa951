// /api/v1/clients: the sessions of all cores, gathered and sorted by the AdminView; one of them can
// be cut off or removed. Owner and client id are segments of the path, percent-encoded.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "admin-api/audited.hpp"
#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "http/await.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

constexpr std::string_view cursor_kind = "clients";

boost::json::object json_of(const plugin::ClientInfo& client) {
  boost::json::object object;
  object["owner"] = client.owner;
  object["clientId"] = client.client_id;
  object["connected"] = client.connected;
  object["peerAddress"] = client.connected ? boost::json::value(client.peer_address) : nullptr;
  object["certificateSerial"] = client.certificate_serial.empty()
                                    ? boost::json::value(nullptr)
                                    : boost::json::value(client.certificate_serial);
  object["protocolVersion"] = client.protocol_version;
  object["subscriptions"] = client.subscription_count;
  object["queuedMessages"] = client.queued_messages;
  return object;
}

/// Owner and client id with a NUL between, which neither may hold [MQTT-1.5.4-2].
std::string position_of(const plugin::ClientInfo& client) {
  return client.owner + std::string(1, '\0') + client.client_id;
}

awaitable<http::Response> list(Services services, const http::Request& request) {
  const auto page = read_page(request, cursor_kind, {"owner"});
  if (!page) {
    co_return page.error();
  }
  plugin::AdminView::ClientQuery query;
  query.limit = page->limit + 1;
  if (const auto owner = request.query.find("owner"); owner != request.query.end()) {
    query.owner = owner->second;
  }
  if (const std::size_t split = page->after.find('\0'); split != std::string::npos) {
    query.after_owner = page->after.substr(0, split);
    query.after_client_id = page->after.substr(split + 1);
  }
  using Clients = std::vector<plugin::ClientInfo>;
  auto gather = [&view = services->view, query](auto done) { view.list_clients(query, done); };
  Clients clients = co_await http::await_callback<Clients>(std::move(gather));
  std::optional<std::string> next;
  if (clients.size() > page->limit) {
    clients.resize(page->limit);
    next = encode_cursor(cursor_kind, position_of(clients.back()));
  }
  boost::json::array items;
  for (const plugin::ClientInfo& client : clients) {
    items.push_back(json_of(client));
  }
  co_return page_response(request, std::move(items), next);
}

using Outcome = plugin::AdminView::ClientOutcome;

http::Response not_found(const http::Request& request) {
  return http::problem(404, "client_not_found",
                       request.parameters.at("owner") + " has no session with the client id " +
                           request.parameters.at("clientId"));
}

/// It is done by now, so a record that cannot be stored is said in the log and changes no answer.
awaitable<void> record(Services services, const http::Request& request, const char* action) {
  const std::string& owner = request.parameters.at("owner");
  const std::string& client_id = request.parameters.at("clientId");
  services->log("admin: " + request.principal + " " + action + ": client " + client_id + " of " +
                owner);
  if (services->audit == nullptr) {
    co_return;
  }
  const auth::Actor actor = actor_of(request);
  storage::Batch nothing;
  plugin::AuditEvent event{actor.name,   action, owner, "ok", "client id " + client_id,
                           actor.address};
  const storage::Status stored =
      co_await commit(*services->audit, std::move(nothing), std::move(event));
  if (!stored.ok()) {
    services->log("admin: the audit record of it could not be stored: " + stored.detail);
  }
}

awaitable<http::Response> disconnect(Services services, const http::Request& request) {
  const std::string& owner = request.parameters.at("owner");
  const std::string& client_id = request.parameters.at("clientId");
  auto ask = [&view = services->view, owner, client_id](auto done) {
    view.disconnect_client(owner, client_id, done);
  };
  switch (co_await http::await_callback<Outcome>(std::move(ask))) {
    case Outcome::not_found:
      co_return not_found(request);
    case Outcome::not_connected:
      co_return http::problem(409, "client_not_connected", "this client is not connected");
    case Outcome::done:
      break;
  }
  co_await record(services, request, "client.disconnect");
  co_return http::no_content();
}

awaitable<http::Response> remove(Services services, const http::Request& request) {
  const std::string& owner = request.parameters.at("owner");
  const std::string& client_id = request.parameters.at("clientId");
  auto ask = [&view = services->view, owner, client_id](auto done) {
    view.remove_session(owner, client_id, done);
  };
  if (co_await http::await_callback<Outcome>(std::move(ask)) != Outcome::done) {
    co_return not_found(request);
  }
  co_await record(services, request, "client.remove");
  co_return http::no_content();
}

}  // namespace

http::EndpointTable client_endpoints(const Services& services) {
  return {{"GET", "/api/v1/clients", http::Guard::token, 0,
           [services](const http::Request& request) { return list(services, request); }},
          {"POST", "/api/v1/clients/{owner}/{clientId}:disconnect", http::Guard::token, 0,
           [services](const http::Request& request) { return disconnect(services, request); }},
          {"DELETE", "/api/v1/clients/{owner}/{clientId}", http::Guard::token, 0,
           [services](const http::Request& request) { return remove(services, request); }}};
}

}  // namespace skerry::admin_api
