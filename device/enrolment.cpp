#include "device/enrolment.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>

#include "device/file.hpp"
#include "device/limits.hpp"
#include "base/byte_order.hpp"
#include "crypto/hash.hpp"
#include "crypto/random.hpp"

namespace skerry::agent {

namespace {

using boost::asio::awaitable;
using boost::asio::use_awaitable;

/// So often it looks at the wall clock, which may jump.
constexpr Milliseconds clock_check{std::chrono::minutes{1}};

std::uint64_t random_word() {
  return read_big_endian<std::uint64_t>(crypto::random_bytes(sizeof(std::uint64_t)));
}

}  // namespace

WallTime renewal_due(const crypto::CertificateFields& fields) {
  const auto life = fields.not_after - fields.not_before;
  const auto share = static_cast<std::uint8_t>(crypto::sha256(fields.serial).front());
  return fields.not_before + life * 2 / 3 + life * share / 2560;
}

Enrolment::Enrolment(boost::asio::any_io_executor executor, Context context)
    : context_(std::move(context)),
      timer_(executor),
      backoff_(context_.configuration.connection.retry_min,
               context_.configuration.connection.retry_max) {}

std::string Enrolment::roots_path() const {
  const std::string& configured = context_.configuration.gateway.ca_file;
  return configured.empty() ? context_.identity.roots_path() : configured;
}

void Enrolment::doubt() {
  doubted_ = true;
  if (!holding_back_) {
    timer_.cancel();
  }
}

awaitable<void> Enrolment::pause(Milliseconds wait) {
  timer_.expires_after(wait);
  boost::system::error_code cut_short;
  co_await timer_.async_wait(boost::asio::redirect_error(use_awaitable, cut_short));
}

bool Enrolment::is_due() const {
  const auto& current = context_.identity.current();
  return !current || doubted_ || read_clocks().wall >= renewal_due(current->fields);
}

awaitable<void> Enrolment::find_roots() {
  const GatewayOptions& gateway = context_.configuration.gateway;
  const auto stored = read_file(roots_path(), file_bytes_max);
  if (!gateway.ca_file.empty()) {
    if (!stored) {
      throw std::runtime_error("gateway.ca_file " + gateway.ca_file + " cannot be read");
    }
    roots_pem_ = *stored;
    co_return;
  }
  const auto known = crypto::Certificate::from_pem(stored.value_or(""));
  if (known && crypto::sha256_hex(known->der()) == gateway.ca_fingerprint) {
    roots_pem_ = known->pem();
    co_return;
  }
  EstServer server;
  server.host = gateway.host;
  server.port = gateway.enrolment_port;
  const std::string pem = co_await est_fetch_root(server, gateway.ca_fingerprint);
  replace_file(context_.identity.roots_path(), pem, 0644);
  roots_pem_ = pem;
  context_.log.info("root_found", "the gateway's root has the configured fingerprint");
}

std::string Enrolment::read_token() const {
  const std::string& path = context_.configuration.enrolment.token_file;
  if (path.empty()) {
    return {};
  }
  std::string token = read_file(path, 4096).value_or("");
  std::erase_if(token, [](unsigned char c) { return c <= ' ' || c > '~'; });
  return token;
}

EstRequest Enrolment::request() const {
  IdentityStore& identity = context_.identity;
  const auto& current = identity.current();
  EstRequest wish;
  wish.device = context_.configuration.device;
  if (current && !renewal_refused_) {
    wish.renewal = true;
    wish.identity = {current->key, current->certificate};
    wish.key = context_.configuration.enrolment.rotate_key ? identity.next_key() : current->key;
    return wish;
  }
  wish.key = identity.key();
  wish.identity = {wish.key, self_signed(wish.key, wish.device)};
  wish.token = read_token();
  return wish;
}

void Enrolment::judge(const EstAnswer& answer, const EstRequest& wish) {
  if (answer.status == 200) {
    context_.identity.install(wish.key, *answer.certificate);
    renewals_ += wish.renewal ? 1 : 0;
    renewal_refused_ = false;
    doubted_ = false;
    backoff_.reset();
    context_.log.write(LogLevel::info, wish.renewal ? "renewed" : "enrolled",
                       "the gateway has issued a certificate",
                       {{"serial", context_.identity.current()->fields.serial}});
    context_.ready();
    return;
  }
  if (answer.status == 202) {
    context_.log.write(LogLevel::info, "waiting_for_approval",
                       "somebody has to approve this device at the gateway",
                       {{"fingerprint", wish.key.fingerprint()}});
  } else {
    context_.log.write(LogLevel::warning, wish.renewal ? "renewal_refused" : "enrolment_refused",
                       answer.detail, {{"code", answer.code}});
  }
  if (answer.retry_after) {
    told_to_wait_ = std::max<Milliseconds>(*answer.retry_after, std::chrono::seconds{1});
  }
  if (answer.code == "too_early") {
    // The gateway knows this certificate, so it was not refused for being none of its own.
    doubted_ = false;
  } else {
    // Another attempt of the same kind would hear the same; an enrolment may be allowed, and after
    // that a renewal again.
    const bool comes_later =
        answer.status < 400 || answer.status >= 500 || answer.status == 409 || answer.status == 429;
    renewal_refused_ = comes_later ? renewal_refused_ : wish.renewal;
  }
}

awaitable<void> Enrolment::attempt() {
  told_to_wait_.reset();
  std::string failure;
  try {
    if (roots_pem_.empty()) {
      co_await find_roots();
      if (context_.identity.current()) {
        context_.ready();
      }
    }
    if (!is_due()) {
      co_return;
    }
    EstServer server;
    server.host = context_.configuration.gateway.host;
    server.port = context_.configuration.gateway.enrolment_port;
    server.roots_pem = roots_pem_;
    const EstRequest wish = request();
    const EstAnswer answer = co_await est_enrol(server, wish);
    judge(answer, wish);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!failure.empty()) {
    context_.log.warning("enrolment_failed", failure);
  }
}

awaitable<void> Enrolment::run() {
  while (true) {
    if (roots_pem_.empty() || is_due()) {
      co_await attempt();
      const bool settled = !roots_pem_.empty() && !is_due();
      if (!settled || told_to_wait_) {
        // Never sooner than the gateway has asked for, and never all devices at once.
        const Milliseconds wait = backoff_.next(random_word());
        const Milliseconds told = told_to_wait_.value_or(Milliseconds{0});
        holding_back_ = true;
        co_await pause(std::max(told, wait));
        holding_back_ = false;
        continue;
      }
    }
    const Milliseconds left = renewal_due(context_.identity.current()->fields) - read_clocks().wall;
    co_await pause(std::clamp(left, Milliseconds{10}, clock_check));
  }
}

}  // namespace skerry::agent
