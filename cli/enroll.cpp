// device enroll: what a device does to get its certificate, by EST (RFC 7030). The private key
// signs here and goes nowhere.
#include <boost/json/object.hpp>
#include <ostream>

#include "base/now.hpp"
#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/failure.hpp"
#include "cli/file.hpp"
#include "cli/https_client.hpp"
#include "cli/key_file.hpp"
#include "cli/output.hpp"
#include "crypto/encoding.hpp"
#include "crypto/pkcs7.hpp"
#include "crypto/request.hpp"

namespace skerry::cli {
namespace {

struct EnrollOptions {
  std::string id;
  std::string key_file;
  std::string directory = ".";
  std::string est;  ///< empty: port 8444 of the server
};

constexpr std::size_t answer_bytes_max = 256 * 1024;

using Certificates = std::vector<crypto::Certificate>;

/// A certificate that only says "I hold this key"; it lives for this one handshake.
ClientIdentity identity_of(const crypto::PrivateKey& key, const std::string& id) {
  crypto::CertificateProfile profile;
  profile.common_name = id;
  profile.spki_der = key.spki_der();
  const WallTime now = read_clocks().wall;
  profile.not_before = now - std::chrono::hours{1};
  profile.not_after = now + std::chrono::hours{1};
  profile.client_authentication = true;
  const auto certificate = crypto::issue_certificate(profile, {}, key);
  if (!certificate) {
    throw Failure("cannot make a certificate for the handshake: " +
                  std::string{certificate.error().what});
  }
  return {*certificate, key};
}

Certificates certificates_of(const HttpsResponse& response) {
  if (response.status != 200) {
    throw Failure(describe_problem(response), exit_code_of(response.status));
  }
  const auto der = crypto::base64_decode(response.body, answer_bytes_max);
  if (!der) {
    throw Failure("the enrolment server answered what is no base64");
  }
  auto certificates = crypto::certificates_of_pkcs7(*der);
  if (!certificates) {
    throw Failure("the enrolment server's answer cannot be read: " +
                  std::string{certificates.error().what});
  }
  return *std::move(certificates);
}

/// PEM of `leaf` and those above it that are not the root.
std::string chain_pem(const crypto::Certificate& leaf, const Certificates& authorities) {
  std::string chain = leaf.pem();
  crypto::Certificate top = leaf;
  for (std::size_t step = 0; step < authorities.size(); ++step) {
    for (const crypto::Certificate& authority : authorities) {
      if (top.is_signed_by(authority) && !authority.is_signed_by(authority)) {
        chain += authority.pem();
        top = authority;
        break;
      }
    }
  }
  return chain;
}

std::string roots_pem(const Certificates& authorities) {
  std::string roots;
  for (const crypto::Certificate& authority : authorities) {
    if (authority.is_signed_by(authority)) {
      roots += authority.pem();
    }
  }
  return roots;
}

ServerAddress est_address(const Session& session, const EnrollOptions& options) {
  if (!options.est.empty()) {
    return parse_server_url(options.est, "8444");
  }
  if (session.settings.server.empty()) {
    throw Failure("say where to enrol: --est https://127.0.0.1:8444, or log in first", exit_usage);
  }
  ServerAddress address = parse_server_url(session.settings.server, "8443");
  address.port = "8444";
  return address;
}

HttpsRequest enrolment_request(const crypto::PrivateKey& key, const std::string& id) {
  const auto csr = crypto::make_request(key, id);
  if (!csr) {
    throw Failure("cannot make a certificate request: " + std::string{csr.error().what});
  }
  HttpsRequest request;
  request.method = "POST";
  request.target = "/.well-known/est/simpleenroll";
  request.headers["Content-Type"] = "application/pkcs10";
  request.headers["Content-Transfer-Encoding"] = "base64";
  request.body = crypto::base64_encode(*csr, 64);
  return request;
}

void device_enroll(Session& session, const EnrollOptions& options) {
  check_device_id(options.id);
  if (session.settings.ca_pem.empty()) {
    throw Failure("the CA of the enrolment server is needed: --ca FILE, or log in first",
                  exit_usage);
  }
  const crypto::PrivateKey key = read_private_key(options.key_file);
  const ServerAddress server = est_address(session, options);
  const std::string& ca = session.settings.ca_pem;
  HttpsRequest authorities_request;
  authorities_request.target = "/.well-known/est/cacerts";
  const Certificates authorities = certificates_of(send_https(server, ca, authorities_request));
  const Certificates issued = certificates_of(
      send_https(server, ca, enrolment_request(key, options.id), identity_of(key, options.id)));
  if (issued.empty()) {
    throw Failure("the enrolment server answered without a certificate");
  }
  const auto fields = issued.front().fields();
  if (!fields || fields->spki_der != key.spki_der()) {
    throw Failure("the enrolment server answered with a certificate for another key");
  }
  if (fields->common_name != options.id) {
    throw Failure("this key is registered for the device \"" + fields->common_name +
                  "\", not for \"" + options.id + "\"");
  }
  const std::string certificate_path = options.directory + "/" + options.id + ".crt";
  const std::string ca_path = options.directory + "/ca.crt";
  write_file(certificate_path, chain_pem(issued.front(), authorities), 0644);
  write_file(ca_path, roots_pem(authorities), 0644);
  const boost::json::object files{{"id", options.id},
                                  {"serial", fields->serial},
                                  {"certificate", certificate_path},
                                  {"ca", ca_path}};
  if (session.output != Output::table) {
    print_object(session, files, rows_of(files));
    return;
  }
  print_done(session, "Enrolled " + options.id + ", certificate " + fields->serial);
  print_done(session, "  certificate  " + certificate_path);
  print_done(session, "  CA           " + ca_path);
}

}  // namespace

void add_enroll_commands(CommandLine& line) {
  CLI::App& device = line.group("device", "What a device does itself");
  const auto options = std::make_shared<EnrollOptions>();
  CLI::App& words =
      line.add(device, "enroll", "Get a certificate for a registered key", options, &device_enroll);
  words.add_option("device", options->id, "Device id")->required();
  words.add_option("--key", options->key_file, "Private key in PEM; it is not sent")->required();
  words.add_option("--out", options->directory, "Where ID.crt and ca.crt go")
      ->capture_default_str();
  words.add_option("--est", options->est, "URL of the enrolment server");
}

}  // namespace skerry::cli
