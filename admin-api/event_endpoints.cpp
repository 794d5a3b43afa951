#include "admin-api/event_endpoints.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "auth/registry.hpp"
#include "base/assert.hpp"
#include "http/scope.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;
using Clock = std::chrono::steady_clock;
using Context = std::shared_ptr<const EventStreamOptions>;
using Failure = std::optional<http::Response>;

constexpr std::string_view content_type = "text/event-stream";

http::Response invalid_parameter(std::string_view name, const std::string& detail) {
  return http::problem(400, "invalid_parameter",
                       "The parameter " + std::string(name) + " " + detail + ".",
                       "/query/" + std::string(name));
}

std::string_view parameter(const http::Request& request, std::string_view name) {
  const auto it = request.query.find(name);
  return it == request.query.end() ? std::string_view{} : std::string_view(it->second);
}

Failure refuse_others(const http::Request& request, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : request.query) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return invalid_parameter(name, "is not known here");
    }
  }
  return {};
}

/// A client that names what it takes must take what we have.
bool accepts_events(std::string_view accept) {
  return accept.empty() || accept.find(content_type) != std::string_view::npos ||
         accept.find("*/*") != std::string_view::npos ||
         accept.find("text/*") != std::string_view::npos;
}

std::optional<plugin::EventType> event_type(std::string_view name) noexcept {
  for (unsigned i = 0; bit_of(static_cast<plugin::EventType>(i)) <= all_event_types; ++i) {
    if (name == plugin::name_of(static_cast<plugin::EventType>(i))) {
      return static_cast<plugin::EventType>(i);
    }
  }
  return std::nullopt;
}

Failure read_types(std::string_view text, std::uint32_t& types) {
  types = text.empty() ? all_event_types : 0;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const auto type = event_type(text.substr(0, comma));
    if (!type) {
      return invalid_parameter("types",
                               "may name presence, telemetry, device, enrolment and certificate, "
                               "by commas");
    }
    types |= bit_of(*type);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {};
}

Failure read_filter(const Context& context, std::string_view text, EventInterest& interest) {
  if (text.empty()) {
    return {};
  }
  auto filter = context->parse_filter(text);
  if (filter.has_error()) {
    return http::problem(400, "invalid_filter",
                         "The filter is wrong at byte " + std::to_string(filter.error().offset) +
                             ": " + filter.error().what + ".",
                         "/query/filter");
  }
  interest.fits = [chosen = *std::move(filter)](const plugin::Event& event) {
    return !event.device.empty() && chosen(event.device);
  };
  return {};
}

std::string end_of_stream(std::string_view reason) {
  return "event: end\ndata: {\"reason\":\"" + std::string(reason) + "\"}\n\n";
}

/// Why the stream must end now; empty: it goes on.
std::string_view reason_to_end(const EventStreamOptions& options,
                               const EventHub::Listener& listener,
                               const std::function<bool()>& token_is_live,
                               Clock::time_point& recheck_at) {
  if (listener.closed()) {
    return "server_stopping";
  }
  if (Clock::now() >= recheck_at) {
    recheck_at = Clock::now() + options.recheck;
    if (token_is_live && !token_is_live()) {
      return "token_invalid";
    }
  }
  return {};
}

/// Runs until the peer goes, its token ends, or the server stops.
awaitable<void> run_stream(Context context, std::unique_ptr<EventHub::Listener> listener,
                           std::function<bool()> token_is_live, http::BodyWriter& writer) {
  std::string text = "retry: 2000\n\n";
  Clock::time_point recheck_at = Clock::now() + context->recheck;
  Clock::time_point heartbeat_at = Clock::now() + context->heartbeat;
  Clock::time_point gathered_at{};
  for (;;) {
    const std::string_view reason = reason_to_end(*context, *listener, token_is_live, recheck_at);
    bool more = false;
    if (Clock::now() >= gathered_at) {
      more = listener->take(text);
      gathered_at = more ? Clock::time_point{} : Clock::now() + context->gather;
    }
    if (!reason.empty()) {
      text += end_of_stream(reason);
    } else if (text.empty() && Clock::now() >= heartbeat_at) {
      text = ": heartbeat\n\n";
    }
    if (!text.empty()) {
      const bool alive = co_await writer.write(text);
      if (!alive || !reason.empty()) {
        co_return;
      }
      text.clear();
      heartbeat_at = Clock::now() + context->heartbeat;
    } else if (more) {
      // Nothing of much was for this listener: others have their turn before the next look.
      co_await boost::asio::post(boost::asio::use_awaitable);
    }
    co_await listener->wait(gathered_at, std::min(recheck_at, heartbeat_at));
  }
}

http::Response start_stream(const Context& context, const http::Request& request,
                            EventInterest interest) {
  std::string_view last_id = request.header("last-event-id");
  if (last_id.empty()) {
    last_id = parameter(request, "lastEventId");
  }
  auto listener = context->hub->listen(std::move(interest), last_id);
  if (!listener) {
    http::Response response =
        http::problem(503, "too_many_listeners", "There are as many live streams as there may be.");
    response.headers.emplace_back("Retry-After", "10");
    return response;
  }
  http::Response response;
  response.content_type = content_type;
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Accel-Buffering", "no");
  // std::function wants copies of what it holds; there is one run.
  auto held = std::make_shared<std::unique_ptr<EventHub::Listener>>(std::move(listener));
  response.stream = [context, held,
                     token_is_live = request.token_is_live](http::BodyWriter& writer) {
    return run_stream(context, std::move(*held), token_is_live, writer);
  };
  return response;
}

/// What a stream of this type tells is guarded by the scope of the resource that it is about.
std::string_view scope_of(plugin::EventType type) {
  switch (type) {
    case plugin::EventType::presence:
      return {};
    case plugin::EventType::telemetry:
      return "telemetry:read";
    case plugin::EventType::device:
    case plugin::EventType::enrolment:
    case plugin::EventType::certificate:
      return "devices:read";
  }
  return "*";
}

/// Leaves the types that the token is good for; one that was asked for by name is refused.
Failure judge_types(const http::Request& request, bool named, std::uint32_t& types) {
  for (std::uint32_t bit = 0; bit_of(static_cast<plugin::EventType>(bit)) <= types; ++bit) {
    const auto type = static_cast<plugin::EventType>(bit);
    const std::string_view scope = scope_of(type);
    if ((types & bit_of(type)) == 0 || scope.empty() || http::covers(request.scopes, scope)) {
      continue;
    }
    if (named) {
      return http::problem(403, "insufficient_scope",
                           "events of the type " + std::string{plugin::name_of(type)} +
                               " need the scope " + std::string{scope},
                           "/query/types");
    }
    types &= ~bit_of(type);
  }
  return std::nullopt;
}

awaitable<http::Response> events(Context context, const http::Request& request) {
  EventInterest interest;
  Failure failure = refuse_others(request, {"types", "device", "filter", "lastEventId"});
  const std::string_view types = parameter(request, "types");
  if (!failure) {
    failure = read_types(types, interest.types);
  }
  if (!failure) {
    failure = judge_types(request, !types.empty(), interest.types);
  }
  interest.device = parameter(request, "device");
  if (!failure && !interest.device.empty() && !auth::is_valid_device_id(interest.device)) {
    failure = invalid_parameter("device", "is not a device id");
  }
  if (!failure) {
    failure = read_filter(context, parameter(request, "filter"), interest);
  }
  if (failure) {
    co_return *std::move(failure);
  }
  co_return start_stream(context, request, std::move(interest));
}

awaitable<http::Response> live(Context context, const http::Request& request) {
  EventInterest interest;
  interest.types = bit_of(plugin::EventType::presence) | bit_of(plugin::EventType::telemetry);
  interest.device = request.parameters.find("id")->second;
  if (auto failure = refuse_others(request, {"lastEventId"})) {
    co_return *std::move(failure);
  }
  if (!context->device_exists(interest.device)) {
    co_return http::problem(404, "device_not_found", "There is no device of this id.");
  }
  co_return start_stream(context, request, std::move(interest));
}

/// The head of an answer that says nothing else, for all of them.
http::Handler judged(Context context,
                     awaitable<http::Response> (*handler)(Context, const http::Request&)) {
  return [context = std::move(context),
          handler](const http::Request& request) -> awaitable<http::Response> {
    if (!accepts_events(request.header("accept"))) {
      co_return http::problem(406, "not_acceptable", "Events are answered as text/event-stream.");
    }
    co_return co_await handler(context, request);
  };
}

}  // namespace

http::EndpointTable event_endpoints(EventStreamOptions options) {
  SKERRY_ASSERT(options.hub != nullptr && options.parse_filter && options.device_exists);
  const Context context = std::make_shared<const EventStreamOptions>(std::move(options));
  constexpr std::size_t no_body = 0;
  return {
      {"GET", "/api/v1/events", http::Guard::token, no_body, judged(context, &events),
       "events:read"},
      {"GET", "/api/v1/devices/{id}/telemetry/live", http::Guard::token, no_body,
       judged(context, &live), "telemetry:read"},
  };
}

}  // namespace skerry::admin_api
