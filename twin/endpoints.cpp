#include "twin/endpoints.hpp"

#include <memory>

#include "base/assert.hpp"
#include "http/await.hpp"
#include "twin/device_topic.hpp"
#include "twin/query.hpp"
#include "twin/series_text.hpp"

namespace skerry::twin {
namespace {

using Context = std::shared_ptr<const TelemetryEndpointOptions>;
using boost::asio::awaitable;

http::Response device_not_found() {
  return http::problem(404, "device_not_found",
                       "There is no device of this id and no telemetry of one.");
}

http::Response invalid_parameter(const QueryError& error) {
  return http::problem(400, "invalid_parameter",
                       "The parameter " + error.parameter + " " + error.detail + ".",
                       "/query/" + error.parameter);
}

http::Response not_acceptable() {
  return http::problem(
      406, "not_acceptable",
      "Telemetry is answered as application/json, text/csv or application/x-ndjson.");
}

http::Response try_again_later(std::string_view code, std::string_view detail) {
  http::Response response = http::problem(503, code, detail);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

http::Response pool_busy() {
  return try_again_later("busy", "Too many queries are waiting; try again in a moment.");
}

http::Response storage_failure(const storage::Status& status) {
  if (status.code == storage::StatusCode::closed) {
    return try_again_later("storage_unavailable", "The store is being reopened.");
  }
  return http::problem(500, "storage_error", "The store could not be read: " + status.detail);
}

http::Response text_response(std::string body, AnswerForm form,
                             const std::optional<SeriesPosition>& next) {
  http::Response response;
  response.content_type = content_type_of(form);
  response.body = std::move(body);
  response.headers.emplace_back("Vary", "Accept");
  if (next && form != AnswerForm::json) {
    response.headers.emplace_back("Skerry-Next-Cursor", encode_cursor(*next));
  }
  return response;
}

/// What a handler knows when it goes to the reader pool.
template <typename Query>
struct Job {
  const SeriesStore* store;
  Query query;
  AnswerForm form;
  bool registered;
};

/// Nothing was found: is that because nobody knows the device? Nothing when it is known.
template <typename Query>
std::optional<http::Response> refuse_unknown(const Job<Query>& job) {
  if (job.registered) {
    return std::nullopt;
  }
  const auto has_data = job.store->has_data(job.query.device);
  if (has_data.has_error()) {
    return storage_failure(has_data.error());
  }
  return *has_data ? std::nullopt : std::optional(device_not_found());
}

http::Response run(const Job<SeriesQuery>& job) {
  const auto page = job.store->query(job.query);
  if (page.has_error()) {
    return storage_failure(page.error());
  }
  if (page->series.empty()) {
    if (auto refusal = refuse_unknown(job)) {
      return *std::move(refusal);
    }
  }
  return text_response(series_text(*page, job.form), job.form, page->next);
}

http::Response run(const Job<LatestQuery>& job) {
  const auto page = job.store->latest(job.query);
  if (page.has_error()) {
    return storage_failure(page.error());
  }
  if (page->items.empty()) {
    if (auto refusal = refuse_unknown(job)) {
      return *std::move(refusal);
    }
  }
  return text_response(latest_text(*page, job.form), job.form, next_of(*page));
}

template <typename Query>
using ReadQuery = Result<Query, QueryError> (*)(const http::Request&, WallTime);

template <typename Query>
awaitable<http::Response> answer(Context context, const http::Request& request,
                                 ReadQuery<Query> read_query) {
  const auto form = accepted_form(request.header("accept"));
  if (!form) {
    co_return not_acceptable();
  }
  auto query = read_query(request, context->clock());
  if (query.has_error()) {
    co_return invalid_parameter(query.error());
  }
  if (!is_device_id(query->device)) {
    co_return device_not_found();
  }
  const bool registered = context->device_exists(query->device);
  auto job = std::make_shared<const Job<Query>>(
      Job<Query>{context->store, *std::move(query), *form, registered});
  auto work = [job] { return run(*job); };
  co_return co_await http::run_blocking<http::Response>(*context->pool, work, &pool_busy);
}

}  // namespace

http::EndpointTable telemetry_endpoints(TelemetryEndpointOptions options) {
  SKERRY_ASSERT(options.store != nullptr && options.pool != nullptr);
  SKERRY_ASSERT(options.device_exists && options.clock);
  const Context context = std::make_shared<const TelemetryEndpointOptions>(std::move(options));
  constexpr std::size_t no_body = 0;
  return {
      {"GET", "/api/v1/devices/{id}/telemetry/latest", http::Guard::token, no_body,
       [context](const http::Request& request) {
         return answer<LatestQuery>(context, request, &read_latest_query);
       }},
      {"GET", "/api/v1/devices/{id}/telemetry", http::Guard::token, no_body,
       [context](const http::Request& request) {
         return answer<SeriesQuery>(context, request, &read_series_query);
       }},
  };
}

}  // namespace skerry::twin
