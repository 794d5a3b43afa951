#include "scenarios.hpp"

#include <memory>

#include "connect_load.hpp"
#include "idle_load.hpp"
#include "profile_load.hpp"
#include "retained_load.hpp"
#include "subscription_load.hpp"
#include "traffic.hpp"

namespace skerry::bench {
namespace {

using Run = std::function<Report()>;

constexpr std::uint32_t clients_max = 1'000'000;

/// What the scenarios of messages differ in.
struct TrafficDefaults {
  const char* name;
  const char* help;
  Plan plan;
};

const std::vector<TrafficDefaults>& traffic_scenarios() {
  static const std::vector<TrafficDefaults> all = {
      {"fan-in", "many publishers, few subscribers", {Shape::fan_in, 100, 1}},
      {"fan-out", "few publishers, many subscribers", {Shape::fan_out, 1, 1000}},
      {"pairs", "a subscriber for each publisher", {Shape::pairs, 200, 200, 64, 1, 10}},
      {"shared", "one shared group of subscribers", {Shape::shared, 100, 10, 64, 1, 10}},
      {"wildcard", "filters of four kinds that overlap", {Shape::wildcard, 100, 200, 64, 0, 4}},
      {"durable",
       "pairs with sessions that stay, QoS 1",
       {Shape::pairs, 200, 200, 64, 1, 10, 0, 3600}},
      {"telemetry",
       "readings on devices/{client id}/telemetry, QoS 1, nobody listens",
       {Shape::telemetry, 200, 0, 64, 1, 16}},
  };
  return all;
}

void add_traffic(CLI::App& app, const Common& common, Run& run, const TrafficDefaults& scenario) {
  auto plan = std::make_shared<Plan>(scenario.plan);
  CLI::App* const command = app.add_subcommand(scenario.name, scenario.help);
  command->add_option("--publishers", plan->publishers, "number of publishers")
      ->check(CLI::Range(1u, clients_max))
      ->capture_default_str();
  const bool has_subscribers = plan->shape != Shape::telemetry && plan->shape != Shape::pairs;
  if (has_subscribers) {
    command->add_option("--subscribers", plan->subscribers, "number of subscribers")
        ->check(CLI::Range(1u, clients_max))
        ->capture_default_str();
  }
  if (plan->shape != Shape::telemetry) {
    command->add_option("--payload", plan->payload_bytes, "bytes of a payload, at least 16")
        ->check(CLI::Range(payload_bytes_min, std::size_t{16} * 1024 * 1024))
        ->capture_default_str();
  }
  command->add_option("--qos", plan->qos, "QoS of messages and subscriptions")
      ->check(CLI::Range(plan->shape == Shape::telemetry || plan->session_expiry > 0 ? 1 : 0, 2))
      ->capture_default_str();
  command->add_option("--window", plan->window, "messages of a publisher that may be under way")
      ->check(CLI::Range(1u, window_max))
      ->capture_default_str();
  command
      ->add_option("--rate", plan->rate,
                   "messages a second of all publishers; 0: as fast as the window lets")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  command->callback([&common, &run, plan, name = std::string(scenario.name)] {
    run = [&common, plan, name] {
      if (plan->shape == Shape::pairs) {
        plan->subscribers = plan->publishers;
      }
      return Traffic(common, *plan, name).run();
    };
  });
}

void add_connect(CLI::App& app, Common& common, Run& run) {
  auto plan = std::make_shared<ConnectLoad::Plan>();
  CLI::App* const command = app.add_subcommand(
      "connect", "CONNECT, CONNACK, DISCONNECT, again and again, with TLS when the URL says so");
  command->add_option("--connections", plan->connections, "how many in all")
      ->check(CLI::Range(1u, clients_max))
      ->capture_default_str();
  command->add_option("--at-once", plan->at_once, "how many at a time")
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str();
  command->add_flag("--resume", common.fleet.resumes, "resume the TLS session of the time before");
  command->callback([&common, &run, plan] {
    run = [&common, plan] { return ConnectLoad(common, *plan, "connect").run(); };
  });
}

void add_idle(CLI::App& app, const Common& common, Run& run) {
  auto plan = std::make_shared<IdleLoad::Plan>();
  CLI::App* const command =
      app.add_subcommand("idle", "connections that say nothing: their memory (needs --pid)");
  command->add_option("--connections", plan->connections, "how many")
      ->check(CLI::Range(1u, clients_max))
      ->capture_default_str();
  command->add_option("--at-once", plan->at_once, "how many connect at a time")
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str();
  command->callback([&common, &run, plan] {
    run = [&common, plan] { return IdleLoad(common, *plan, "idle").run(); };
  });
}

void add_subscriptions(CLI::App& app, const Common& common, Run& run) {
  auto plan = std::make_shared<SubscriptionLoad::Plan>();
  CLI::App* const command = app.add_subcommand(
      "subscriptions", "many subscriptions, half with a wildcard, and messages that match one");
  command->add_option("--subscriptions", plan->subscriptions, "how many in all")
      ->check(CLI::Range(1u, 100'000'000u))
      ->capture_default_str();
  command->add_option("--subscribers", plan->subscribers, "clients that share them")
      ->check(CLI::Range(1u, clients_max))
      ->capture_default_str();
  command->add_option("--window", plan->window, "messages under way")
      ->check(CLI::Range(1u, window_max))
      ->capture_default_str();
  command->callback([&common, &run, plan] {
    run = [&common, plan] { return SubscriptionLoad(common, *plan, "subscriptions").run(); };
  });
}

void add_retained(CLI::App& app, const Common& common, Run& run) {
  auto plan = std::make_shared<RetainedLoad::Plan>();
  CLI::App* const command = app.add_subcommand(
      "retained", "many retained messages, then subscribers that want all of them at once");
  command->add_option("--messages", plan->messages, "retained messages")
      ->check(CLI::Range(1u, 100'000'000u))
      ->capture_default_str();
  command->add_option("--subscribers", plan->subscribers, "subscribers at once")
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str();
  command->add_option("--payload", plan->payload_bytes, "bytes of a payload")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1024} * 1024))
      ->capture_default_str();
  command->callback([&common, &run, plan] {
    run = [&common, plan] { return RetainedLoad(common, *plan, "retained").run(); };
  });
}

void add_profile(CLI::App& app, const Common& common, Run& run) {
  auto file = std::make_shared<std::string>();
  CLI::App* const command = app.add_subcommand("profile", "a mixed fleet from a YAML file");
  command->add_option("file", *file, "groups of clients; perf/profiles holds examples")->required();
  command->callback([&common, &run, file] {
    run = [&common, file] { return ProfileLoad(common, read_profile(*file), "profile").run(); };
  });
}

}  // namespace

void add_scenarios(CLI::App& app, Common& common, std::function<Report()>& run) {
  for (const TrafficDefaults& scenario : traffic_scenarios()) {
    add_traffic(app, common, run, scenario);
  }
  add_connect(app, common, run);
  add_idle(app, common, run);
  add_subscriptions(app, common, run);
  add_retained(app, common, run);
  add_profile(app, common, run);
}

}  // namespace skerry::bench
