// One HTTPS request at a time: blocking, with time limits, the server always verified against one
// given CA and never against those of the system.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "crypto/certificate.hpp"
#include "crypto/key.hpp"

namespace skerry::cli {

struct ServerAddress {
  std::string host;  ///< name, IPv4 or IPv6 address without brackets
  std::string port;

  /// "https://[::1]:8443"
  std::string url() const;
};

/// Throws Failure (usage) on anything but https://host[:port].
ServerAddress parse_server_url(const std::string& url, const std::string& default_port);

/// What the client shows of itself in the handshake; empty: nothing.
struct ClientIdentity {
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};

struct HttpsRequest {
  std::string method = "GET";
  std::string target = "/";
  std::map<std::string, std::string> headers;
  std::string body;
};

struct HttpsResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

/// Throws Failure with one sentence: cannot connect, certificate not trusted, no answer in time.
HttpsResponse send_https(const ServerAddress& server, const std::string& ca_pem,
                         const HttpsRequest& request, const ClientIdentity& identity = {});

/// For path segments and query values.
std::string percent_encode(std::string_view text);

}  // namespace skerry::cli
