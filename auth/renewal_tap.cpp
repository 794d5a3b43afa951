#include "auth/renewal_tap.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "base/limits.hpp"

namespace skerry::auth {

namespace {

using plugin::TapResult;
using plugin::TapVerdict;

constexpr std::string_view tree = "devices/";
constexpr std::string_view suffix = "/certificate/renew";

/// Is this the topic on which `id` asks for a renewal?
bool is_renewal_topic(std::string_view topic, std::string_view id) noexcept {
  return topic.size() == tree.size() + id.size() + suffix.size() && topic.starts_with(tree) &&
         topic.ends_with(suffix) && topic.substr(tree.size(), id.size()) == id;
}

}  // namespace

struct RenewalTap::Wish {
  CurrentCertificate current;
  std::string topic;
  std::string payload;
  std::optional<std::string> correlation_data;
};

struct RenewalTap::Desk : std::enable_shared_from_this<Desk> {
  explicit Desk(RenewalTapOptions options_in) : options(std::move(options_in)) {}

  void serve(const Wish& wish);
  void accept(const Wish& wish, const Issued& issued) const;
  void reject(const Wish& wish, const Refusal& refusal) const;

  RenewalTapOptions options;
};

void RenewalTap::Desk::serve(const Wish& wish) {
  if (const auto refusal =
          refuse_renewal(wish.current, options.rules, options.registry, options.clock().wall)) {
    reject(wish, *refusal);
    return;
  }
  const auto request = read_request(wish.payload);
  if (!request) {
    reject(wish, request.error());
    return;
  }
  auto order = judge_renewal_request(*request, wish.current, options.registry);
  if (!order) {
    reject(wish, order.error());
    return;
  }
  options.issuer->issue(*std::move(order),
                        [self = shared_from_this(), wish](const IssueOutcome& outcome) {
                          if (outcome) {
                            self->accept(wish, *outcome);
                          } else {
                            self->reject(wish, outcome.error());
                          }
                        });
}

void RenewalTap::Desk::accept(const Wish& wish, const Issued& issued) const {
  options.publish({wish.topic + "/accepted", issued.certificate.pem() + options.device_ca_pem,
                   "application/pem-certificate-chain", wish.correlation_data});
}

void RenewalTap::Desk::reject(const Wish& wish, const Refusal& refusal) const {
  plugin::AuditEvent event;
  event.actor = "device:" + wish.current.device;
  event.action = "certificate.renew";
  event.object = event.actor;
  event.outcome = refusal.code;
  event.detail = refusal.what;
  options.audit.note(std::move(event));
  boost::json::object body;
  body["code"] = refusal.code;
  body["message"] = refusal.what;
  if (refusal.retry_after) {
    body["retryAfter"] = refusal.retry_after->count();
  }
  options.publish({wish.topic + "/rejected", boost::json::serialize(body), "application/json",
                   wish.correlation_data});
}

RenewalTap::RenewalTap(RenewalTapOptions options)
    : desk_(std::make_shared<Desk>(std::move(options))), limiter_(desk_->options.limits) {}

TapResult RenewalTap::on_publish(const plugin::Identity& publisher, const mqtt::Publish& publish,
                                 Now now, storage::Batch&) {
  if (publisher.kind != plugin::IdentityKind::device || publisher.certificate_serial.empty() ||
      !is_renewal_topic(publish.topic, publisher.name)) {
    return {};
  }
  if (publish.payload.size() > renewal_payload_bytes_max) {
    return {TapVerdict::rejected, "the certificate request is too long"};
  }
  {
    const std::lock_guard lock{mutex_};
    if (limiter_.begin(publisher.name, now.steady)) {
      return {TapVerdict::busy, "too many certificate requests of this device; try again later"};
    }
  }
  Wish wish;
  wish.current = {publisher.name, publisher.certificate_serial, publisher.key_fingerprint};
  wish.topic = publish.topic;
  wish.payload = as_text(publish.payload);
  if (publish.properties.correlation_data) {
    wish.correlation_data = std::string{as_text(*publish.properties.correlation_data)};
  }
  if (!desk_->options.signer.run([desk = desk_, wish = std::move(wish)] { desk->serve(wish); })) {
    return {TapVerdict::busy, "the signer has too much to do; try again"};
  }
  return {};  // and it goes its way like any other message
}

}  // namespace skerry::auth
