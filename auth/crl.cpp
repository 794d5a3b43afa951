#include "auth/crl.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <utility>

#include "auth/secret_file.hpp"
#include "http/await.hpp"

namespace skerry::auth {

namespace {

using boost::asio::awaitable;
using http::Response;
using std::chrono::steady_clock;

constexpr std::string_view number_key = "crl/device";
constexpr steady_clock::duration gather = std::chrono::milliseconds{50};
constexpr steady_clock::duration gap_min = std::chrono::milliseconds{400};
/// The signer has other things to do: at most a third of its time goes into lists.
constexpr int gap_per_cost = 2;
constexpr steady_clock::duration retry_after = std::chrono::seconds{5};
constexpr std::size_t chunk_bytes = 64 * 1024;

std::string etag_of(std::uint64_t number) {
  return "\"crl-" + std::to_string(number) + "\"";
}

struct Signed {
  CrlPointer list;  ///< null: `what` says why
  std::string what;
};

/// From when on certificates that have run out are still listed. One must not leave before a list
/// of the regular time behind its end has told of it (RFC 5280 section 3.3); lists in between, for
/// what is revoked, do not count, and there may have been none for long.
WallTime listed_from(const CrlOptions& options, const CrlPointer& before, WallTime now) {
  const WallTime regular = now - 2 * options.interval;
  return before ? std::min(regular, before->this_update) : regular;
}

Signed sign(const CrlOptions& options, std::uint64_t number, const CrlPointer& before) {
  const WallTime now = options.clock().wall;
  crypto::CrlProfile profile;
  profile.number = number;
  profile.this_update = now;
  profile.next_update = now + options.interval + options.interval / 2;
  profile.entries = options.revocations(listed_from(options, before, now));
  auto der = options.authority.sign_crl(profile);
  if (!der) {
    return {nullptr, der.error().what};
  }
  auto list = std::make_shared<Crl>();
  list->der = *std::move(der);
  list->etag = etag_of(number);
  list->number = number;
  list->this_update = profile.this_update;
  list->next_update = profile.next_update;
  list->entries = profile.entries.size();
  return {std::move(list), {}};
}

/// Sends it piece by piece: many slow readers then hold one list together, not one each.
awaitable<void> write_pieces(CrlPointer list, http::BodyWriter& writer) {
  std::string_view rest = list->der;
  while (!rest.empty()) {
    const std::string_view piece = rest.substr(0, chunk_bytes);
    rest.remove_prefix(piece.size());
    const bool goes_on = co_await writer.write(piece);
    if (!goes_on) {
      co_return;
    }
  }
}

bool names(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || if_none_match.find(etag) != std::string_view::npos;
}

}  // namespace

CrlPublisher::CrlPublisher(boost::asio::io_context& io, CrlOptions options)
    : options_(std::move(options)), timer_(io) {}

storage::Status CrlPublisher::load(const storage::KvStore& store) {
  std::string text;
  const storage::Status status = store.get(storage::Family::admin, number_key, text);
  if (status.code == storage::StatusCode::not_found) {
    return {};
  }
  if (!status.ok()) {
    return status;
  }
  std::from_chars(text.data(), text.data() + text.size(), number_);
  try {
    const std::optional<std::string> der = read_file(path(), crypto::crl_bytes_max);
    const auto fields = der ? crypto::read_crl(*der, options_.authority.device_ca())
                            : Result<crypto::CrlFields, crypto::Failure>{crypto::Failure{}};
    if (fields) {
      number_ = std::max(number_, fields->number);
      auto list = std::make_shared<Crl>();
      list->der = *der;
      list->etag = etag_of(fields->number);
      list->number = fields->number;
      list->this_update = fields->this_update;
      list->next_update = fields->next_update;
      list->entries = fields->entries.size();
      show(std::move(list));
    }
  } catch (const std::runtime_error& error) {
    options_.log(error.what());
  }
  return {};
}

void CrlPublisher::start() {
  boost::asio::co_spawn(
      timer_.get_executor(), [self = shared_from_this()] { return self->run(); },
      boost::asio::detached);
}

void CrlPublisher::stop() {
  stopped_ = true;
  timer_.cancel();
}

void CrlPublisher::revoked() {
  if (!dirty_.exchange(true)) {
    boost::asio::post(timer_.get_executor(),
                      [self = shared_from_this()] { self->timer_.cancel(); });
  }
}

CrlPointer CrlPublisher::current() const {
  const std::lock_guard lock{mutex_};
  return current_;
}

void CrlPublisher::show(CrlPointer list) {
  const std::lock_guard lock{mutex_};
  current_ = std::move(list);
}

/// Until the timer's time, or until somebody cancels it.
awaitable<void> CrlPublisher::wait() {
  boost::system::error_code ignored;
  co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

awaitable<void> CrlPublisher::run() {
  while (!stopped_) {
    const bool published = co_await publish();
    const auto gap = published ? std::max(gap_min, cost_ * gap_per_cost) : retry_after;
    const auto ended = steady_clock::now();
    // Revocations of this time wait for the next list; a wake-up only sets `dirty_`.
    while (!stopped_ && steady_clock::now() < ended + gap) {
      timer_.expires_at(ended + gap);
      co_await wait();
    }
    if (!stopped_ && published && !dirty_) {
      timer_.expires_after(options_.interval);
      co_await wait();
      if (dirty_) {
        timer_.expires_after(gather);
        co_await wait();
      }
    }
  }
}

awaitable<bool> CrlPublisher::publish() {
  const auto begun = steady_clock::now();
  dirty_ = false;  // what is revoked from here on may be missing in this list
  const std::uint64_t number = number_ + 1;
  const auto work = [self = shared_from_this(), number] {
    return sign(self->options_, number, self->current());
  };
  const auto busy = [] { return Signed{nullptr, "the signer has too much to do"}; };
  Signed made = co_await http::run_blocking<Signed>(options_.signer, work, busy);
  std::string what = made.what;
  if (made.list) {
    storage::Batch batch;
    batch.put(storage::Family::admin, number_key, std::to_string(number));
    const storage::Status status = co_await http::commit(options_.committer, std::move(batch));
    what = status.ok() ? std::string{} : "its number could not be stored: " + status.detail;
  }
  if (!what.empty()) {
    if (!failing_) {
      options_.log("no new revocation list: " + what);
    }
    failing_ = true;
    dirty_ = true;
    co_return false;
  }
  failing_ = false;
  number_ = number;
  show(made.list);
  const auto keep = [self = shared_from_this(), list = made.list]() -> std::string {
    try {
      write_file(self->path(), list->der, FileMode::open);
      return {};
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  };
  const auto not_kept = [] { return std::string{"the signer has too much to do"}; };
  const std::string trouble =
      co_await http::run_blocking<std::string>(options_.signer, keep, not_kept);
  if (!trouble.empty()) {
    options_.log("the revocation list could not be kept: " + trouble);
  }
  cost_ = steady_clock::now() - begun;
  co_return true;
}

std::vector<crypto::RevokedCertificate> revoked_certificates(const DeviceRegistry& devices,
                                                             const ServiceRegistry& services,
                                                             WallTime since) {
  std::vector<crypto::RevokedCertificate> entries;
  for (const auto& list : {devices.revocations(since), services.revocations(since)}) {
    for (const RevokedCertificate& each : list) {
      entries.push_back({each.serial, each.revocation.revoked,
                         static_cast<std::uint8_t>(each.revocation.reason)});
    }
  }
  return entries;
}

Response crl_response(const http::Request& request, const CrlPointer& list) {
  if (!list) {
    Response response =
        http::problem(503, "crl_unavailable", "no revocation list could be signed yet; try again");
    response.headers.emplace_back("Retry-After", "5");
    return response;
  }
  Response response;
  response.headers.emplace_back("ETag", list->etag);
  response.headers.emplace_back("Cache-Control", "no-cache");
  if (names(request.header("if-none-match"), list->etag)) {
    response.status = 304;
    return response;
  }
  response.content_type = "application/pkix-crl";
  if (list->der.size() <= chunk_bytes) {
    response.body = list->der;
    return response;
  }
  response.stream = [list](http::BodyWriter& writer) { return write_pieces(list, writer); };
  return response;
}

http::EndpointTable crl_endpoints(std::shared_ptr<const CrlPublisher> publisher) {
  http::Endpoint list;
  list.method = "GET";
  list.route = "/crl/device.crl";
  list.guard = http::Guard::none;
  list.body_bytes_max = 0;
  list.handler = [publisher](const http::Request& request) -> awaitable<Response> {
    co_return crl_response(request, publisher->current());
  };
  return {std::move(list)};
}

}  // namespace skerry::auth
