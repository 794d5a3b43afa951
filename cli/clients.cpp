// clients list, disconnect, remove: who is connected, and whose session waits.
#include "cli/key_file.hpp"
#include "cli/list.hpp"

namespace skerry::cli {
namespace {

struct ListOptions {
  std::string owner;
  std::string device;
  WatchOptions watch;
};

void list(Session& session, const ListOptions& options) {
  std::string owner = options.owner;
  if (!options.device.empty()) {
    check_device_id(options.device);
    owner = "device:" + options.device;
  }
  List clients;
  clients.target = with_parameter("/api/v1/clients?limit=500", "owner", owner);
  clients.columns = {{"OWNER", "owner"},          {"CLIENT", "clientId"},
                     {"CONNECTED", "connected"},  {"ADDRESS", "peerAddress"},
                     {"MQTT", "protocolVersion"}, {"SUBSCRIPTIONS", "subscriptions"},
                     {"QUEUED", "queuedMessages"}};
  clients.id = "clientId";
  clients.within = "owner";
  print_list(session, clients, options.watch);
}

struct OneOptions {
  std::string owner;
  std::string client_id;
};

std::string target_of(const OneOptions& options) {
  return "/api/v1/clients/" + percent_encode(options.owner) + "/" +
         percent_encode(options.client_id);
}

void disconnect(Session& session, const OneOptions& options) {
  Api{session.settings}.call("POST", target_of(options) + ":disconnect");
  print_done(session, "Disconnected " + options.client_id + " of " + options.owner);
}

void remove(Session& session, const OneOptions& options) {
  Api{session.settings}.call("DELETE", target_of(options));
  print_done(session, "Removed the session " + options.client_id + " of " + options.owner);
}

}  // namespace

void add_client_commands(CommandLine& line) {
  CLI::App& clients = line.group("clients", "Who is connected, and whose session waits");
  const auto listed = std::make_shared<ListOptions>();
  CLI::App& list_words = line.add(clients, "list", "List sessions", listed, &list);
  list_words.add_option("--owner", listed->owner, "Only of this owner, as device:pump-7");
  list_words.add_option("--device", listed->device, "Only of this device")->excludes("--owner");
  add_watch_flags(list_words, listed->watch);
  const auto one = [&](const char* verb, const char* description,
                       void (*run)(Session&, const OneOptions&)) {
    const auto options = std::make_shared<OneOptions>();
    CLI::App& words = line.add(clients, verb, description, options, run);
    words.add_option("owner", options->owner, "Whose, as the list shows it")->required();
    words.add_option("client", options->client_id, "Client id")->required();
  };
  one("disconnect", "End a connection; the client may come back", &disconnect);
  one("remove", "End a session with all that waits in it", &remove);
}

}  // namespace skerry::cli
