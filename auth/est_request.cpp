#include "auth/est_request.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "auth/renewal.hpp"
#include "crypto/certificate.hpp"
#include "crypto/encoding.hpp"

namespace skerry::auth {

namespace {

constexpr std::size_t credentials_bytes_max = 512;

bool is_same_ignoring_case(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  });
}

/// The media type without its parameters.
std::string_view media_type(std::string_view header) {
  std::string_view type = header.substr(0, header.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) {
    type.remove_suffix(1);
  }
  return type;
}

Refusal bad_credentials() {
  return {401, "wrong_token",
          "the Authorization header is not \"Basic\" with a device id (or nothing) as user and an "
          "enrolment token as password"};
}

Result<std::optional<BasicCredentials>, Refusal> read_credentials(std::string_view header) {
  if (header.empty()) {
    return std::optional<BasicCredentials>{};
  }
  const std::size_t space = header.find(' ');
  if (space == std::string_view::npos || !is_same_ignoring_case(header.substr(0, space), "Basic")) {
    return bad_credentials();
  }
  const auto text = crypto::base64_decode(header.substr(space), credentials_bytes_max);
  const std::size_t colon = text ? text->find(':') : std::string::npos;
  if (colon == std::string::npos) {
    return bad_credentials();
  }
  return std::optional<BasicCredentials>{{text->substr(0, colon), text->substr(colon + 1)}};
}

}  // namespace

Result<EstRequest, Refusal> read_est_request(const http::Request& request) {
  const std::string_view type = media_type(request.header("content-type"));
  if (!type.empty() && !is_same_ignoring_case(type, "application/pkcs10")) {
    return Refusal{415, "unsupported_media_type",
                   "a certificate request has the media type application/pkcs10"};
  }
  auto credentials = read_credentials(request.header("authorization"));
  if (!credentials) {
    return std::move(credentials).error();
  }
  auto csr = read_request(request.body);
  if (!csr) {
    return std::move(csr).error();
  }
  return EstRequest{*std::move(csr), *std::move(credentials)};
}

std::optional<Refusal> refuse_other_key(const http::Request& request,
                                        const crypto::CertificateRequest& csr) {
  if (request.client_certificate.empty()) {
    return std::nullopt;
  }
  const auto certificate = crypto::Certificate::from_der(request.client_certificate);
  const auto fields = certificate
                          ? certificate->fields()
                          : Result<crypto::CertificateFields, crypto::Failure>{crypto::Failure{}};
  if (fields && fields->fingerprint == csr.fingerprint()) {
    return std::nullopt;
  }
  return Refusal{403, "key_mismatch",
                 "the key of the request is not the key of the TLS client certificate"};
}

}  // namespace skerry::auth
