#include "server.hpp"

#include <cstdio>
#include <cstdlib>

// What callgrind counts: everything below these two, and nothing else. Plain names, so that they
// can be given on its command line.
extern "C" {
__attribute__((noinline)) bool skerry_guard_turn(void* context, bool (*work)(void*)) {
  return work(context);
}
}

namespace skerry::guard {
namespace {

constexpr auto begin_steady = std::chrono::hours(1);
constexpr std::int64_t begin_wall_ms = 1'700'000'000'000;
constexpr std::chrono::microseconds turn_time{100};

shard::ShardOptions shard_options(const net::ServerOptions& from, Counters& counters,
                                  std::atomic<std::uint64_t>& next_id) {
  shard::ShardOptions options;
  options.hash_key = from.hash_key;
  options.limits = from.limits;
  options.memory = from.memory;
  options.authorizer = from.authorizer;
  options.tap = from.tap;
  options.counters = &counters;
  options.next_id = &next_id;
  return options;
}

/// The policy of the comparison with other brokers.
std::vector<auth::PolicySource> policies() {
  auth::PolicyRule rule;
  rule.name = "bench";
  rule.actions = {plugin::Action::publish, plugin::Action::subscribe};
  rule.topics = {"bench/#", "devices/+/telemetry"};
  auth::PolicySource source;
  source.name = "bench";
  source.rules.push_back(std::move(rule));
  return {std::move(source)};
}

}  // namespace

/// What an extra copy looks like that somebody might put into the path.
class Server::Copier final : public plugin::MessageTap {
 public:
  plugin::TapResult on_publish(const plugin::Identity&, const mqtt::Publish& publish, Now,
                               storage::Batch&) override {
    const std::string copy(as_text(publish.payload));
    asm volatile("" : : "r"(copy.data()) : "memory");  // keeps it from being left out
    return {};
  }
};

Server::Server(Plant plant) : store_(storage::MemoryStore::create()) {
  now_ = {SteadyTime(begin_steady), wall_from_epoch(begin_wall_ms)};
  options_.hash_key = HashKey{{0x0123456789abcdef, 0xfedcba9876543210}};
  options_.memory = &memory_;
  policies_.replace(policies());
  options_.authorizer = &policies_;
  twin::series::SeriesStoreOptions series;
  series.store = store_.get();
  series.write = [this](const storage::Batch& batch) { return store_->write(batch, true); };
  series.clock = [this] { return now_; };
  series_ = std::make_unique<twin::series::ChunkSeriesStore>(std::move(series));
  telemetry_ = std::make_unique<twin::TelemetryTap>(*series_, 1);
  std::vector<plugin::MessageTap*> taps{telemetry_.get()};
  if (plant == Plant::copy) {
    copier_ = std::make_unique<Copier>();
    taps.insert(taps.begin(), copier_.get());
  }
  taps_ = std::make_unique<plugin::TapChain>(std::move(taps));
  options_.tap = taps_.get();
  listener_.name = "guard";
  listener_.authenticator = &authenticator_;
  listener_.policy = plugin::PolicyKind::named;
  listener_.policy_name = "bench";
  listener_.domain = "guard";
  doors_ = std::make_unique<net::Doors>(options_.limits, net::Doors::Options{100'000, {0}});
  shard_ = std::make_unique<shard::Shard>(shard_options(options_, counters_, next_id_), *this);
  traffic_ = std::make_unique<net::Traffic>(options_.limits, 1, *shard_, counters_);
  admission_ = std::make_unique<net::Admission>(
      net::AdmissionOptions{CoreIndex{0}, &options_, doors_.get(), {}, {}, {}}, *traffic_, *shard_,
      counters_);
  traffic_->set_admission(*admission_);
  traffic_->set_memory(&memory_);
  shard_->start(now_);
  shard_->end_of_turn(now_);
}

void Server::add(int descriptor) {
  traffic_->add(std::make_unique<net::Connection>(
                    *traffic_, listener_, transport::make_plain_stream(descriptor), net::Place{}),
                now_.steady + options_.limits.connect_timeout);
}

std::uint64_t Server::sent() const noexcept {
  return counters_.messages_sent[0].read() + counters_.messages_sent[1].read() +
         counters_.messages_sent[2].read();
}

void Server::commit(storage::Batch, std::uint64_t ticket) {
  committed_ = ticket;
}

void Server::log(int, std::string_view event, std::string_view client, std::string_view detail) {
  std::fprintf(stderr, "skerry-guard: %.*s %.*s %.*s\n", static_cast<int>(event.size()),
               event.data(), static_cast<int>(client.size()), client.data(),
               static_cast<int>(detail.size()), detail.data());
  std::exit(1);
}

bool Server::turn() {
  now_.steady += turn_time;
  traffic_->begin_turn(now_);
  const bool heard = completed_ < committed_;
  while (completed_ < committed_) {
    shard_->on_committed(++completed_, {}, now_);
  }
  traffic_->wait(Milliseconds{0});
  traffic_->serve(round_, now_);
  const bool worked = round_.events > 0 || heard;
  if (worked || traffic_->unfinished() || !shard_->turn_is_empty()) {
    shard_->end_of_turn(now_);
    traffic_->flush(now_);
    return true;
  }
  return completed_ < committed_;
}

void Server::work() {
  while (skerry_guard_turn(this, [](void* self) { return static_cast<Server*>(self)->turn(); })) {
  }
}

}  // namespace skerry::guard
