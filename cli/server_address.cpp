// Where a server is, and how names go into a URL.
#include "cli/failure.hpp"
#include "cli/https_client.hpp"

namespace skerry::cli {

std::string ServerAddress::url() const {
  return "https://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

ServerAddress parse_server_url(const std::string& url, const std::string& default_port) {
  const auto refuse = [&]() -> Failure {
    return Failure("\"" + url + "\" is no server; write it like https://127.0.0.1:" + default_port,
                   exit_usage);
  };
  constexpr std::string_view scheme = "https://";
  if (!url.starts_with(scheme)) {
    throw refuse();
  }
  std::string_view rest = std::string_view{url}.substr(scheme.size());
  if (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  ServerAddress address;
  address.port = default_port;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) {
      throw refuse();
    }
    address.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
  } else {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    address.host = rest.substr(0, end);
    rest.remove_prefix(end);
  }
  if (rest.starts_with(':')) {
    address.port = rest.substr(1);
  } else if (!rest.empty()) {
    throw refuse();
  }
  const bool port_is_number = !address.port.empty() && address.port.size() <= 5 &&
                              address.port.find_first_not_of("0123456789") == std::string::npos;
  if (!port_is_number || address.host.empty() ||
      address.host.find_first_of("/?#@ \r\n") != std::string::npos) {
    throw refuse();
  }
  return address;
}

}  // namespace skerry::cli
