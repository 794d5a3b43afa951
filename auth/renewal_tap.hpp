// RenewalTap: certificates renewed over MQTT, beside EST. A device that is connected by its
// certificate publishes a request to devices/{id}/certificate/renew (base64 of DER, or PEM) and
// hears on …/accepted (the certificate and the device CA in PEM) or …/rejected ({"code",
// "message"}), at QoS 1 and with its Correlation Data.
//
// A core only hands the request over; it is judged and signed on the signer. Bounded: requests of
// one device by a bucket, those of all by the signer's queue; what is too much is answered 0x97.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "auth/attempt_limiter.hpp"
#include "auth/issuer.hpp"
#include "auth/registry.hpp"
#include "auth/renewal.hpp"
#include "plugin/audit.hpp"
#include "plugin/message_tap.hpp"
#include "storage/reader_pool.hpp"

namespace skerry::auth {

struct RenewalAnswer {
  std::string topic;
  std::string payload;
  std::string content_type;
  std::optional<std::string> correlation_data;
};

struct RenewalTapOptions {
  DeviceRegistry& registry;
  storage::ReaderPool& signer;
  plugin::AuditLog& audit;
  std::shared_ptr<CertificateIssuer> issuer;
  std::string device_ca_pem;  ///< put behind the certificate
  RenewalRules rules = {};
  std::function<void(RenewalAnswer)> publish;  ///< as the broker, at QoS 1; any thread
  std::function<Now()> clock = [] { return read_clocks(); };
  /// "Addresses" are devices here.
  AttemptLimits limits = {.per_address_burst = 5,
                          .per_address_each_second = 1.0 / 60,
                          .total_burst = 500,
                          .total_each_second = 100,
                          .addresses_max = 100'000};
};

/// Thread-safe; one object serves all cores. What the options refer to must outlive the signer's
/// jobs and the committer's completions.
class RenewalTap final : public plugin::MessageTap {
 public:
  explicit RenewalTap(RenewalTapOptions options);

  plugin::TapResult on_publish(const plugin::Identity& publisher, const mqtt::Publish& publish,
                               Now now, storage::Batch& batch) override;

 private:
  struct Wish;
  struct Desk;  // what jobs on other threads share with the tap

  std::shared_ptr<Desk> desk_;
  std::mutex mutex_;
  AttemptLimiter limiter_;
};

}  // namespace skerry::auth
