// Tokens and keys that others send: whatever the bytes, judging ends, and nothing that was not
// signed by the issuer's key names a service.
#include <cstdlib>
#include <string>

#include "auth/jwt.hpp"

namespace {

using namespace skerry;

std::vector<auth::JwtIssuer> issuers() {
  // Public halves of keys that were thrown away: no input can be a good token.
  constexpr std::string_view keys = R"({"keys":[
    {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
     "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";
  auth::JwtIssuer issuer;
  issuer.name = "fuzz";
  issuer.issuer = "i";
  issuer.audience = "skerry";
  const auto read = auth::read_jwt_keys(keys);
  if (!read) {
    std::abort();
  }
  issuer.keys = *read;
  return {issuer};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto known = issuers();
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (auth::judge_jwt(text, known, wall_from_epoch(1'800'000'000'000))) {
    std::abort();
  }
  if (auth::read_jwt_keys(text)) {
    static_cast<void>(auth::looks_like_jwt(text));
  }
  return 0;
}
