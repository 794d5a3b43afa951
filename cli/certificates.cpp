// certificates list, revoke; ca show, crl; enrolment-tokens create, list, delete; services create,
// list, show, delete, issue.
#include <ostream>

#include "cli/device_words.hpp"
#include "cli/failure.hpp"
#include "cli/file.hpp"
#include "cli/key_file.hpp"
#include "cli/list.hpp"
#include "crypto/encoding.hpp"
#include "crypto/request.hpp"

namespace skerry::cli {
namespace {

struct OneOptions {
  std::string name;
};

struct NoOptions {};

// Certificates of devices.

void list_certificates(Session& session, const OneOptions& options) {
  print_list(session, {device_target(options.name) + "/certificates",
                       {{"SERIAL", "serial"},
                        {"KEY", "fingerprint"},
                        {"ISSUED", "issuedAt"},
                        {"UNTIL", "notAfter"},
                        {"REVOKED", "revokedAt"},
                        {"REASON", "reason"}},
                       "serial"});
}

struct RevokeOptions {
  std::vector<std::string> serials;
  std::string reason;
};

void revoke(Session& session, const RevokeOptions& options) {
  const Api api{session.settings};
  for (const std::string& serial : options.serials) {
    if (serial.empty() || serial.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      throw Failure("a serial is hexadecimal, as certificates list shows it", exit_usage);
    }
  }
  for (const std::string& serial : options.serials) {
    const boost::json::value body = boost::json::object{{"reason", options.reason}};
    const boost::json::value change = api.call("POST", "/api/v1/certificates/" + serial + ":revoke",
                                               options.reason.empty() ? nullptr : &body);
    if (session.output != Output::table && !session.quiet) {
      print_object(session, change, rows_of(change.as_object()));
    }
    print_done(session, "Revoked certificate " + serial + "; sessions ended: " +
                            cell(change.as_object().if_contains("sessionsClosed")));
  }
}

// The gateway's own authorities.

void show_ca(Session& session, const NoOptions&) {
  const boost::json::value answer = Api{session.settings}.call("GET", "/api/v1/ca");
  const boost::json::object& ca = answer.as_object();
  std::vector<Row> rows;
  for (const boost::json::value& authority : ca.at("chain").as_array()) {
    const boost::json::object& one = authority.as_object();
    const std::string role = cell(one.if_contains("role"));
    rows.push_back({role, cell(one.if_contains("commonName")) + " until " +
                              cell(one.if_contains("notAfter"))});
    rows.push_back({role + " sha256", cell(one.if_contains("fingerprint"))});
  }
  rows.push_back({"can sign", cell(ca.if_contains("canSign"))});
  if (const boost::json::value* crl = ca.if_contains("crl"); crl != nullptr && crl->is_object()) {
    rows.push_back({"revocation list", cell(crl->get_object().if_contains("entries")) +
                                           " entries, next at " +
                                           cell(crl->get_object().if_contains("nextUpdate"))});
  }
  print_object(session, answer, rows);
}

struct CrlOptions {
  std::string path;
};

/// PEM to a terminal, DER into a file that does not end with .pem.
void fetch_crl(Session& session, const CrlOptions& options) {
  HttpsRequest request;
  request.target = "/api/v1/ca/crl";
  const std::string der = Api{session.settings}.exchange(std::move(request)).body;
  const bool as_pem = options.path.empty() || options.path.ends_with(".pem");
  const std::string text = as_pem ? crypto::pem_encode("X509 CRL", der) : der;
  if (options.path.empty()) {
    session.out << text;
    return;
  }
  write_file(options.path, text, 0644);
  print_done(session, "Wrote the revocation list to " + options.path);
}

// Secrets that let unknown keys enrol.

struct TokenOptions {
  std::string device;
  std::string model;
  std::vector<std::string> tags;
  std::int64_t expires_in_seconds = 7 * 86400;
  std::uint32_t uses = 1;
};

void create_token(Session& session, const TokenOptions& options) {
  boost::json::object wish{{"expiresIn", options.expires_in_seconds}, {"maxUses", options.uses}};
  if (!options.device.empty()) {
    check_device_id(options.device);
    wish["deviceId"] = options.device;
  }
  if (!options.model.empty()) {
    wish["model"] = options.model;
  }
  if (!options.tags.empty()) {
    boost::json::array tags;
    for (const std::string& tag : options.tags) {
      tags.emplace_back(tag);
    }
    wish["tags"] = std::move(tags);
  }
  const boost::json::value body = std::move(wish);
  const boost::json::value made =
      Api{session.settings}.call("POST", "/api/v1/enrolment-tokens", &body);
  const boost::json::object& token = made.as_object();
  if (session.quiet) {
    session.out << visible(cell(token.if_contains("token"))) << '\n';
    return;
  }
  if (session.output != Output::table) {
    print_object(session, made, rows_of(token));
    return;
  }
  print_done(session, "Made enrolment token " + cell(token.if_contains("id")) + ", good until " +
                          cell(token.if_contains("expiresAt")));
  print_done(session, "  " + cell(token.if_contains("token")) + "   (shown this one time)");
}

void list_tokens(Session& session, const NoOptions&) {
  print_list(session, {"/api/v1/enrolment-tokens?limit=500",
                       {{"ID", "id"},
                        {"DEVICE", "deviceId"},
                        {"USABLE", "usable"},
                        {"USES", "uses"},
                        {"OF", "maxUses"},
                        {"UNTIL", "expiresAt"},
                        {"BY", "createdBy"}}});
}

void delete_token(Session& session, const OneOptions& options) {
  Api{session.settings}.call("DELETE", "/api/v1/enrolment-tokens/" + percent_encode(options.name));
  print_done(session, "Deleted enrolment token " + options.name);
}

// Back-end services.

std::string service_target(const std::string& name) {
  check_device_id(name);
  return "/api/v1/services/" + percent_encode(name);
}

void list_services(Session& session, const NoOptions&) {
  const auto certificates = [](const boost::json::object& service) {
    const boost::json::value* list = service.if_contains("certificates");
    return std::to_string(list != nullptr && list->is_array() ? list->get_array().size() : 0);
  };
  print_list(session, {"/api/v1/services?limit=500",
                       {{"NAME", "name"},
                        {"POLICY", "policy"},
                        {"CERTIFICATES", "certificateCount", certificates},
                        {"CREATED", "createdAt"}},
                       "name"});
}

void show_service(Session& session, const OneOptions& options) {
  const boost::json::value service =
      Api{session.settings}.call("GET", service_target(options.name));
  std::vector<Row> rows;
  for (const char* name : {"name", "policy", "createdAt", "changedAt"}) {
    rows.push_back({name, cell(service.as_object().if_contains(name))});
  }
  for (const boost::json::value& certificate : service.at("certificates").as_array()) {
    rows.push_back({"certificate", cell(certificate.as_object().if_contains("serial")) + " until " +
                                       cell(certificate.as_object().if_contains("notAfter"))});
  }
  print_object(session, service, rows);
}

struct ServiceOptions {
  std::string name;
  std::string policy;
};

void create_service(Session& session, const ServiceOptions& options) {
  check_device_id(options.name);
  const boost::json::value body =
      boost::json::object{{"name", options.name}, {"policy", options.policy}};
  const boost::json::value made = Api{session.settings}.call("POST", "/api/v1/services", &body);
  if (session.output != Output::table) {
    print_object(session, made, rows_of(made.as_object()));
  }
  print_done(session, "Registered service " + options.name + " with policy " + options.policy);
}

void delete_service(Session& session, const OneOptions& options) {
  Api{session.settings}.call("DELETE", service_target(options.name));
  print_done(session, "Deleted service " + options.name + "; its sessions have ended");
}

struct IssueOptions {
  std::string name;
  std::string key_file;
  bool make_key = false;
  std::string directory = ".";
  std::int64_t expires_in_seconds = 0;
};

/// The key stays here; a request over it goes, a certificate comes.
void issue(Session& session, const IssueOptions& options) {
  const std::string target = service_target(options.name) + "/certificates";
  const std::string key_path =
      options.key_file.empty() ? options.directory + "/" + options.name + ".key" : options.key_file;
  const crypto::PrivateKey key =
      options.make_key ? generate_key_file(key_path) : read_private_key(key_path);
  const auto csr = crypto::make_request(key, options.name);
  if (!csr) {
    throw Failure("cannot make a certificate request: " + std::string{csr.error().what});
  }
  boost::json::object wish{{"csr", crypto::pem_encode("CERTIFICATE REQUEST", *csr)}};
  if (options.expires_in_seconds > 0) {
    wish["expiresIn"] = options.expires_in_seconds;
  }
  const boost::json::value body = std::move(wish);
  const boost::json::value made = Api{session.settings}.call("POST", target, &body);
  const boost::json::object& certificate = made.as_object();
  const std::string path = options.directory + "/" + options.name + ".crt";
  write_file(path,
             cell(certificate.if_contains("certificate")) + cell(certificate.if_contains("chain")),
             0644);
  if (session.output != Output::table) {
    print_object(session, made, rows_of(certificate));
    return;
  }
  print_done(session, "Issued certificate " + cell(certificate.if_contains("serial")) + " until " +
                          cell(certificate.if_contains("notAfter")));
  print_done(session, "  key          " + key_path);
  print_done(session, "  certificate  " + path);
}

void add_certificate_words(CommandLine& line) {
  CLI::App& certificates = line.group("certificates", "Certificates of devices");
  const auto listed = std::make_shared<OneOptions>();
  line.add(certificates, "list", "List the certificates of a device", listed, &list_certificates)
      .add_option("device", listed->name, "Device id")
      ->required();
  const auto revoked = std::make_shared<RevokeOptions>();
  CLI::App& revoke_words = line.add(certificates, "revoke",
                                    "Revoke certificates and end their sessions", revoked, &revoke);
  revoke_words.add_option("serial", revoked->serials, "Serials, hexadecimal")->required();
  revoke_words
      .add_option("--reason", revoked->reason,
                  "Of RFC 5280; keyCompromise takes the key away as well")
      ->check(CLI::IsMember({"unspecified", "keyCompromise", "affiliationChanged", "superseded",
                             "cessationOfOperation", "privilegeWithdrawn"}));
  CLI::App& ca = line.group("ca", "The gateway's own authorities");
  line.add(ca, "show", "Show them, their ends and fingerprints", std::make_shared<NoOptions>(),
           &show_ca);
  const auto crl = std::make_shared<CrlOptions>();
  line.add(ca, "crl", "Get the revocation list", crl, &fetch_crl)
      .add_option("file", crl->path,
                  "Where to, DER unless it ends with .pem; default: PEM to "
                  "standard output");
}

void add_enrolment_token_words(CommandLine& line) {
  CLI::App& tokens =
      line.group("enrolment-tokens", "Secrets that let devices with unknown keys enrol");
  const auto made = std::make_shared<TokenOptions>();
  CLI::App& create_words = line.add(tokens, "create", "Make one", made, &create_token);
  create_words.add_option("--device", made->device, "Only for this device");
  create_words.add_option("--model", made->model, "What new devices are");
  create_words.add_option("--tag", made->tags, "A tag of new devices")->allow_extra_args(false);
  create_words.add_option("--expires-in", made->expires_in_seconds, "Seconds it is good for")
      ->capture_default_str();
  create_words.add_option("--uses", made->uses, "How many devices may use it")
      ->capture_default_str();
  line.add(tokens, "list", "List them", std::make_shared<NoOptions>(), &list_tokens);
  const auto gone = std::make_shared<OneOptions>();
  line.add(tokens, "delete", "Revoke one; devices that it has let in stay", gone, &delete_token)
      .add_option("id", gone->name, "Its id")
      ->required();
}

void add_service_words(CommandLine& line) {
  CLI::App& services = line.group("services", "Back-end services");
  line.add(services, "list", "List services", std::make_shared<NoOptions>(), &list_services);
  const auto one = [&](const char* verb, const char* description,
                       void (*run)(Session&, const OneOptions&)) {
    const auto options = std::make_shared<OneOptions>();
    line.add(services, verb, description, options, run)
        .add_option("name", options->name, "Name of the service")
        ->required();
  };
  one("show", "Show one service", &show_service);
  one("delete", "Remove a service, its certificates and sessions", &delete_service);
  const auto made = std::make_shared<ServiceOptions>();
  CLI::App& create_words =
      line.add(services, "create", "Register a service", made, &create_service);
  create_words.add_option("name", made->name, "Name of the service")->required();
  create_words
      .add_option("--policy", made->policy, "service-read, service-write or the name of a policy")
      ->required();
  const auto issued = std::make_shared<IssueOptions>();
  CLI::App& issue_words =
      line.add(services, "issue", "Get a certificate for a service", issued, &issue);
  issue_words.add_option("name", issued->name, "Name of the service")->required();
  issue_words.add_option("--key", issued->key_file, "Its private key; default: DIR/NAME.key");
  issue_words.add_flag("--generate", issued->make_key, "Make the key first");
  issue_words.add_option("--out", issued->directory, "Where NAME.crt goes")->capture_default_str();
  issue_words.add_option("--expires-in", issued->expires_in_seconds, "Seconds it is good for");
}

}  // namespace

void add_certificate_commands(CommandLine& line) {
  add_certificate_words(line);
  add_enrolment_token_words(line);
  add_service_words(line);
}

}  // namespace skerry::cli
