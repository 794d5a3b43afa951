// devices add, list, show, delete.
#include <unistd.h>

#include <boost/json/array.hpp>
#include <ostream>

#include "cli/api.hpp"
#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/file.hpp"
#include "cli/key_file.hpp"
#include "cli/output.hpp"

namespace skerry::cli {
namespace {

std::string target_of(const std::string& id) {
  check_device_id(id);
  return "/api/v1/devices/" + percent_encode(id);
}

/// The newest certificate's end; "-" without one.
std::string valid_until(const boost::json::object& device) {
  std::string latest = "-";
  const boost::json::value* keys = device.if_contains("keys");
  for (const boost::json::value& key : keys == nullptr ? boost::json::array{} : keys->as_array()) {
    for (const boost::json::value& certificate : key.at("certificates").as_array()) {
      const std::string end = cell(certificate.as_object().if_contains("notAfter"));
      latest = latest == "-" || end > latest ? end : latest;  // RFC 3339 in UTC sorts as text
    }
  }
  return latest;
}

void print_device(Session& session, const boost::json::object& device) {
  if (session.output == Output::json) {
    session.out << json_text(device) << '\n';
    return;
  }
  std::vector<Row> rows;
  for (const char* name : {"id", "state", "createdAt", "changedAt"}) {
    rows.push_back({name, cell(device.if_contains(name))});
  }
  for (const boost::json::value& key : device.at("keys").as_array()) {
    rows.push_back({"key", "sha256:" + cell(key.as_object().if_contains("fingerprint"))});
    for (const boost::json::value& certificate : key.at("certificates").as_array()) {
      rows.push_back({"certificate", cell(certificate.as_object().if_contains("serial")) +
                                         " until " +
                                         cell(certificate.as_object().if_contains("notAfter"))});
    }
  }
  print_table(session.out, {"FIELD", "VALUE"}, rows);
}

}  // namespace

void devices_add(Session& session, const DeviceAddOptions& options) {
  check_device_id(options.id);
  std::vector<std::string> fingerprints;
  for (const std::string& text : options.fingerprints) {
    fingerprints.push_back(normal_fingerprint(text));
  }
  for (const std::string& path : options.key_files) {
    fingerprints.push_back(fingerprint_of_pem(read_file(path, "the key file"), path));
  }
  const Api api{session.settings};
  std::string made;
  if (!options.generate_directory.empty()) {
    made = options.generate_directory + "/" + options.id + ".key";
    fingerprints.push_back(generate_key_file(made).fingerprint());
  }
  if (fingerprints.empty()) {
    throw Failure("a device needs a key: --key FILE, --fingerprint HEX or --generate DIR",
                  exit_usage);
  }
  boost::json::array keys;
  for (const std::string& fingerprint : fingerprints) {
    keys.push_back(boost::json::object{{"fingerprint", fingerprint}});
  }
  boost::json::value body = boost::json::object{{"id", options.id}, {"keys", std::move(keys)}};
  boost::json::value device;
  try {
    device = api.call("POST", "/api/v1/devices", &body);
  } catch (const Failure&) {
    if (!made.empty()) {
      unlink(made.c_str());  // a key that nobody knows must not stand in the way of the next try
    }
    throw;
  }
  if (session.output == Output::json) {
    session.out << json_text(device) << '\n';
    return;
  }
  if (!made.empty()) {
    session.out << "Made the key " << made << '\n';
  }
  session.out << "Registered device " << options.id << " ("
              << cell(device.as_object().if_contains("state"))
              << ") with key sha256:" << fingerprints.front() << '\n';
}

void devices_list(Session& session) {
  std::vector<Row> rows;
  boost::json::array all;
  Api{session.settings}.each_page(
      "/api/v1/devices?limit=500", [&](const boost::json::object& page) {
        for (const boost::json::value& item : page.at("items").as_array()) {
          const boost::json::object& device = item.as_object();
          if (session.output == Output::json) {
            all.push_back(item);
          } else {
            rows.push_back({cell(device.if_contains("id")), cell(device.if_contains("state")),
                            std::to_string(device.at("keys").as_array().size()),
                            valid_until(device), cell(device.if_contains("createdAt"))});
          }
        }
        return true;
      });
  if (session.output == Output::json) {
    session.out << json_text(all) << '\n';
  } else {
    print_table(session.out, {"ID", "STATE", "KEYS", "CERTIFICATE UNTIL", "CREATED"}, rows);
  }
}

void devices_show(Session& session, const std::string& id) {
  print_device(session, Api{session.settings}.call("GET", target_of(id)).as_object());
}

void devices_delete(Session& session, const std::string& id) {
  Api{session.settings}.call("DELETE", target_of(id));
  if (session.output == Output::table) {
    session.out << "Deleted device " << id << "; its sessions have ended\n";
  }
}

}  // namespace skerry::cli
