// One HTTPS request at a time, with time limits, the server always verified against one given CA
// and never against those of the system. Bodies may be streamed, both ways at once.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/certificate.hpp"
#include "crypto/encoding.hpp"
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
  /// When set, gives the body part by part (nothing at its end) and `body` is ignored. Asked no
  /// further once the server has answered with an error.
  std::function<std::optional<std::string>()> source = {};
  /// When set, gets the parts of a 2xx body as they come, and `body` of the answer stays empty.
  /// False: enough has come, the connection may end.
  std::function<bool(std::string_view)> sink = {};
  /// The longest silence: neither a byte could be sent nor has one come.
  std::chrono::seconds patience{30};
};

struct HttpsResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;

  /// Empty when there is none.
  std::string header(const std::string& name) const {
    const auto at = headers.find(name);
    return at == headers.end() ? std::string{} : at->second;
  }
};

/// Throws Failure (unreachable) with one sentence: cannot connect, certificate not trusted, no
/// answer in time, the answer breaks off.
HttpsResponse send_https(const ServerAddress& server, const std::string& ca_pem,
                         const HttpsRequest& request, const ClientIdentity& identity = {});

using crypto::percent_encode;  // for path segments and query values

}  // namespace skerry::cli
