#include "device/est_client.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/json.hpp>
#include <charconv>
#include <stdexcept>

#include "device/limits.hpp"
#include "base/now.hpp"
#include "crypto/encoding.hpp"
#include "crypto/hash.hpp"
#include "crypto/pkcs7.hpp"
#include "crypto/request.hpp"

namespace skerry::agent {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;
using asio::use_awaitable;
using Stream = beast::ssl_stream<beast::tcp_stream>;
using Response = http::response<http::string_body>;
using Request = http::request<http::string_body>;

enum class Trust : std::uint8_t { roots, fingerprint_follows };

void show_identity(SSL_CTX* context, const EstIdentity& identity) {
  if (SSL_CTX_use_certificate(context, identity.certificate.native()) != 1 ||
      SSL_CTX_use_PrivateKey(context, identity.key.native()) != 1) {
    throw std::runtime_error("the device's key cannot be used for TLS");
  }
}

asio::ssl::context make_context(const EstServer& server, Trust trust) {
  asio::ssl::context context{asio::ssl::context::tls_client};
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  if (trust == Trust::fingerprint_follows) {
    context.set_verify_mode(asio::ssl::verify_none);
    return context;
  }
  context.set_verify_mode(asio::ssl::verify_peer);
  boost::system::error_code error;
  context.add_certificate_authority(asio::buffer(server.roots_pem), error);
  if (error) {
    throw std::runtime_error("the gateway's root holds no certificate in PEM form");
  }
  return context;
}

/// An address is looked for among the certificate's addresses, a name among its names.
void name_server(Stream& stream, const std::string& host) {
  SSL* ssl = stream.native_handle();
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) != 1) {
    ERR_clear_error();
    SSL_set_tlsext_host_name(ssl, host.c_str());
    SSL_set1_host(ssl, host.c_str());
  }
}

/// Why a handshake failed, in words: the verdict about the certificate when there is one.
std::string reason_of(Stream& stream, const boost::system::system_error& error) {
  const long verdict = SSL_get_verify_result(stream.native_handle());
  if (verdict != X509_V_OK) {
    return std::string{"its certificate is not trusted: "} + X509_verify_cert_error_string(verdict);
  }
  return error.code().message();
}

std::string describe(const EstServer& server, const std::string& what) {
  return "the enrolment port of " + server.host + ": " + what;
}

awaitable<void> open(Stream& stream, const EstServer& server) {
  asio::ip::tcp::resolver resolver{co_await asio::this_coro::executor};
  const std::string port = std::to_string(server.port);
  const auto addresses = co_await resolver.async_resolve(server.host, port, use_awaitable);
  beast::get_lowest_layer(stream).expires_after(enrolment_patience);
  co_await beast::get_lowest_layer(stream).async_connect(addresses, use_awaitable);
  name_server(stream, server.host);
  co_await stream.async_handshake(asio::ssl::stream_base::client, use_awaitable);
}

awaitable<Response> speak(Stream& stream, const EstServer& server, Request& request) {
  request.set(http::field::host, server.host + ":" + std::to_string(server.port));
  request.set(http::field::user_agent, "skerry-agent");
  request.set(http::field::connection, "close");
  request.prepare_payload();
  co_await http::async_write(stream, request, use_awaitable);
  beast::flat_buffer buffer{enrolment_answer_bytes_max};
  http::response_parser<http::string_body> parser;
  parser.body_limit(enrolment_answer_bytes_max);
  co_await http::async_read(stream, buffer, parser, use_awaitable);
  co_return parser.release();
}

awaitable<Response> exchange(const EstServer& server, asio::ssl::context& context,
                             Request& request) {
  auto executor = co_await asio::this_coro::executor;
  Stream stream{beast::tcp_stream{executor}, context};
  std::string failure;
  Response response;
  try {
    co_await open(stream, server);
    response = co_await speak(stream, server, request);
  } catch (const boost::system::system_error& error) {
    failure = reason_of(stream, error);
  }
  if (!failure.empty()) {
    throw std::runtime_error(describe(server, failure));
  }
  co_return response;
}

std::vector<crypto::Certificate> certificates_of(const EstServer& server, const Response& answer) {
  const auto der = crypto::base64_decode(answer.body(), enrolment_answer_bytes_max);
  if (!der) {
    throw std::runtime_error(describe(server, "it answered what is no base64"));
  }
  auto certificates = crypto::certificates_of_pkcs7(*der);
  if (!certificates || certificates->empty()) {
    throw std::runtime_error(describe(server, "it answered what holds no certificate"));
  }
  return *std::move(certificates);
}

std::optional<std::chrono::seconds> retry_after(const Response& response) {
  const std::string_view text = response[http::field::retry_after];
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return std::min<std::chrono::seconds>(std::chrono::seconds{seconds}, retry_after_max);
}

/// The members of problem details (RFC 9457) that are text.
void read_problem(const Response& response, EstAnswer& answer) {
  boost::system::error_code error;
  const boost::json::value node = boost::json::parse(response.body(), error);
  if (error || !node.is_object()) {
    return;
  }
  const auto text = [&node](std::string_view name) {
    const boost::json::value* member = node.get_object().if_contains(name);
    return member != nullptr && member->is_string() ? std::string{member->get_string()}
                                                    : std::string{};
  };
  answer.code = text("code").substr(0, 100);
  answer.detail = text("detail").substr(0, 500);
}

Request enrolment_request(const EstRequest& wish) {
  // A renewal leaves the names out: the gateway writes its own (RFC 7030 section 4.2.2).
  const auto csr = crypto::make_request(wish.key, wish.renewal ? "" : wish.device);
  if (!csr) {
    throw std::runtime_error("cannot make a certificate request: " + std::string{csr.error().what});
  }
  Request request{
      http::verb::post,
      wish.renewal ? "/.well-known/est/simplereenroll" : "/.well-known/est/simpleenroll", 11};
  request.set(http::field::content_type, "application/pkcs10");
  request.set("Content-Transfer-Encoding", "base64");
  if (!wish.token.empty()) {
    request.set(http::field::authorization,
                "Basic " + crypto::base64_encode(wish.device + ":" + wish.token));
  }
  request.body() = crypto::base64_encode(*csr, 64);
  return request;
}

}  // namespace

crypto::Certificate self_signed(const crypto::PrivateKey& key, const std::string& device) {
  crypto::CertificateProfile profile;
  profile.common_name = device;
  profile.spki_der = key.spki_der();
  const WallTime now = read_clocks().wall;
  profile.not_before = now - std::chrono::hours{1};
  profile.not_after = now + std::chrono::hours{1};
  profile.client_authentication = true;
  const auto certificate = crypto::issue_certificate(profile, {}, key);
  if (!certificate) {
    throw std::runtime_error("cannot make a certificate for the handshake: " +
                             std::string{certificate.error().what});
  }
  return *certificate;
}

awaitable<EstAnswer> est_enrol(EstServer server, EstRequest wish) {
  asio::ssl::context context = make_context(server, Trust::roots);
  show_identity(context.native_handle(), wish.identity);
  Request request = enrolment_request(wish);
  const Response response = co_await exchange(server, context, request);
  EstAnswer answer;
  answer.status = static_cast<int>(response.result_int());
  answer.retry_after = retry_after(response);
  if (answer.status == 200) {
    answer.certificate = certificates_of(server, response).front();
  } else {
    read_problem(response, answer);
  }
  co_return answer;
}

awaitable<std::string> est_fetch_root(EstServer server, std::string fingerprint) {
  asio::ssl::context context = make_context(server, Trust::fingerprint_follows);
  Request request{http::verb::get, "/.well-known/est/cacerts", 11};
  const Response response = co_await exchange(server, context, request);
  if (response.result_int() != 200) {
    throw std::runtime_error(describe(
        server, "asked for its roots it answered " + std::to_string(response.result_int())));
  }
  for (const crypto::Certificate& certificate : certificates_of(server, response)) {
    if (crypto::sha256_hex(certificate.der()) == fingerprint) {
      co_return certificate.pem();
    }
  }
  throw std::runtime_error(describe(server,
                                    "it has no root with the fingerprint of the "
                                    "configuration; this is not the gateway, or "
                                    "gateway.ca_fingerprint is wrong"));
}

}  // namespace skerry::agent
