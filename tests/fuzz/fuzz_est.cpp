// Fuzz target of EST bodies: everything that a request to enrol or to renew goes through before a
// signature of ours, over a registry that knows one device. The first byte chooses what the rest
// is: the body alone, a body with credentials, or a TLS client certificate for a renewal.
#include <cstddef>
#include <cstdint>
#include <future>
#include <string>
#include <string_view>

#include "auth/est_request.hpp"
#include "auth/renewal.hpp"
#include "authority.hpp"
#include "base/assert.hpp"
#include "crypto/encoding.hpp"
#include "storage/committer.hpp"

namespace {

using namespace skerry;

using fuzz::now;

struct World : fuzz::Authority {
  std::unique_ptr<storage::MemoryStore> store = storage::MemoryStore::create();
  storage::Committer committer{*store, {}};
  plugin::PlainAudit audit{committer};
  auth::DeviceRegistry registry{audit};
  crypto::CertificateRequest request;

  World() {
    request = *crypto::CertificateRequest::from_der(*crypto::make_request(key, "d"));
    auth::DevicePatch details;
    details.keys = {auth::KeyWish{key.fingerprint()}};
    std::promise<void> made;
    registry.create("d", std::move(details), {now, {"fuzz", {}}},
                    [&made](const auth::RegistryOutcome&) { made.set_value(); });
    made.get_future().wait();
  }
};

void enrol(const World& world, const http::Request& request) {
  const auto read = auth::read_est_request(request);
  if (!read) {
    SKERRY_ASSERT(read.error().status >= 400 && !read.error().what.empty());
    return;
  }
  SKERRY_ASSERT(!read->csr.key_type().empty());
  static_cast<void>(read->csr.subject());
  static_cast<void>(auth::refuse_other_key(request, read->csr));
  const auth::CurrentCertificate current{"d", "00", world.key.fingerprint()};
  const auto order = auth::judge_renewal_request(read->csr, current, world.registry);
  SKERRY_ASSERT(!order || order->fingerprint == read->csr.fingerprint());
}

void renew(const World& world, std::string_view certificate) {
  const auto current = auth::read_current_certificate(certificate, world.certificate);
  if (current) {
    static_cast<void>(auth::refuse_renewal(*current, {}, world.registry, now));
  }
  http::Request request;
  request.client_certificate = certificate;
  static_cast<void>(auth::refuse_other_key(request, world.request));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const World world;
  if (size == 0) {
    return 0;
  }
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
  http::Request request;
  switch (data[0] % 4) {
    case 0:
      request.body = input;
      enrol(world, request);
      break;
    case 1: {
      const std::size_t line = std::min(input.find('\n'), input.size());
      request.headers["authorization"] = input.substr(0, line);
      request.headers["content-type"] = "application/pkcs10";
      request.body = input.substr(line);
      enrol(world, request);
      break;
    }
    case 2:
      request.body = crypto::base64_encode(input);
      enrol(world, request);
      break;
    default:
      renew(world, input);
      break;
  }
  return 0;
}
