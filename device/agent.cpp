#include "device/agent.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <csignal>
#include <stdexcept>

namespace skerry::agent {

namespace {

/// Telemetry on disk is made durable, and the link looked at, so often.
constexpr std::chrono::seconds housekeeping_interval{5};
/// For DISCONNECT to leave.
constexpr Milliseconds patience_with_goodbye{2000};

std::string prepared(const std::string& directory) {
  make_directory(directory);
  return directory;
}

SpoolOptions spool_options(const Configuration& configuration) {
  SpoolOptions options;
  options.directory = configuration.state_dir + "/spool";
  options.boot = read_boot_id();
  options.bytes_max = configuration.spool.bytes_max;
  options.age_max = configuration.spool.age_max;
  return options;
}

std::int64_t number(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

}  // namespace

Descriptor lock_state(const std::string& state_dir) {
  const std::string path = prepared(state_dir) + "/lock";
  Descriptor lock{open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!lock) {
    throw_errno("cannot open " + path);
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    throw std::runtime_error("another skerry-agent works in " + state_dir);
  }
  return lock;
}

Agent::Agent(boost::asio::io_context& loop, Configuration configuration,
             std::string configuration_path)
    : loop_(loop),
      configuration_(std::move(configuration)),
      configuration_path_(std::move(configuration_path)),
      log_(configuration_.log_level),
      lock_(lock_state(configuration_.state_dir)),
      spool_(spool_options(configuration_)),
      identity_(configuration_.state_dir, configuration_.device),
      collectors_(configuration_.telemetry),
      delivery_(spool_, configuration_.device,
                [this](std::uint64_t serial, const OutgoingMessage& message, int qos) {
                  uplink_->send(serial, message, qos);
                }),
      enrolment_(loop.get_executor(), {configuration_, identity_, log_, [this] { on_ready(); }}),
      signals_(loop, SIGTERM, SIGINT, SIGHUP),
      collect_timer_(loop),
      housekeeping_timer_(loop),
      retry_timer_(loop),
      hold_timer_(loop),
      backoff_(configuration_.connection.retry_min, configuration_.connection.retry_max) {
  if (!configuration_.local_socket.path.empty()) {
    local_socket_ = std::make_unique<LocalSocket>(
        loop_, configuration_.local_socket,
        [this](const LocalMessage& message) { return take(message); });
  }
}

Agent::~Agent() = default;

void Agent::run() {
  log_.write(LogLevel::info, "started", "the agent runs",
             {{"device", configuration_.device}, {"fingerprint", identity_.key().fingerprint()}});
  on_signal(0);
  boost::asio::co_spawn(loop_, enrolment_.run(), boost::asio::detached);
  collect();
  housekeep();
  loop_.run();
  spool_.sync();
  log_.info("stopped", "what is left to say is on disk");
}

void Agent::on_signal(int signal) {
  if (signal == SIGHUP) {
    reload();
  } else if (signal != 0) {
    stop();
    return;
  }
  signals_.async_wait([this](const boost::system::error_code& error, int next) {
    if (!error) {
      on_signal(next);
    }
  });
}

void Agent::reload() {
  try {
    const Configuration wanted = read_configuration(configuration_path_);
    const std::string_view fixed = fixed_key_changed(configuration_, wanted);
    if (!fixed.empty()) {
      log_.error("reload_refused",
                 std::string{fixed} + " cannot change while the agent runs; nothing has changed");
      return;
    }
    configuration_ = wanted;
  } catch (const ConfigurationError& error) {
    log_.error("reload_refused", std::string{error.what()} + "; nothing has changed");
    return;
  }
  log_.set_level(configuration_.log_level);
  spool_.set_limits(configuration_.spool.bytes_max, configuration_.spool.age_max);
  collectors_ = Collectors{configuration_.telemetry};
  if (local_socket_) {
    local_socket_->set_rate(configuration_.local_socket.lines_per_second,
                            configuration_.local_socket.burst);
  }
  collect();
  log_.info("reloaded", "the configuration has been read again");
}

void Agent::stop() {
  log_.info("stopping", "asked to stop");
  if (uplink_) {
    uplink_->disconnect(patience_with_goodbye);
  }
  loop_.stop();
}

void Agent::add_own_readings(Readings& out) const {
  const SpoolQueue& alarms = spool_.queue(Urgency::alarm);
  const SpoolQueue& telemetry = spool_.queue(Urgency::telemetry);
  out.push_back({"agent.spool.waiting", number(alarms.pending() + telemetry.pending())});
  out.push_back({"agent.spool.bytes", number(spool_.bytes())});
  out.push_back({"agent.lost.alarms", number(alarms.losses().total())});
  out.push_back({"agent.lost.size", number(telemetry.losses().size)});
  out.push_back({"agent.lost.age", number(telemetry.losses().age)});
  out.push_back({"agent.lost.damage", number(telemetry.losses().damage)});
  out.push_back({"agent.lost.refused", number(telemetry.losses().refused)});
  out.push_back({"agent.lost.not_taken", number(spool_.not_taken())});
  out.push_back({"agent.connections", number(connections_)});
  out.push_back({"agent.repeated", number(delivery_.counters().repeated)});
  if (local_socket_) {
    out.push_back({"agent.local.refused", number(local_socket_->counters().refused)});
    out.push_back({"agent.local.delayed", number(local_socket_->counters().delayed)});
    out.push_back({"agent.local.turned_away", number(local_socket_->counters().turned_away)});
  }
}

void Agent::collect() {
  Readings row = collectors_.collect();
  add_own_readings(row);
  if (!spool_.append(Urgency::telemetry, telemetry_record(row), read_spool_time())) {
    log_.warning("reading_dropped", "the spool is full or its disk refuses");
  }
  pump();
  collect_timer_.expires_after(configuration_.interval);
  collect_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) {
      collect();
    }
  });
}

bool Agent::take(const LocalMessage& message) {
  SpoolTime time = read_spool_time();
  time.wall = message.time.value_or(time.wall);
  const auto* alarm = std::get_if<LocalAlarm>(&message.what);
  const bool stored =
      alarm != nullptr
          ? spool_.append(Urgency::alarm, alarm_record(*alarm), time)
          : spool_.append(Urgency::telemetry,
                          telemetry_record(std::get<LocalMetrics>(message.what).readings), time);
  if (stored) {
    pump();
  } else {
    log_.warning("message_dropped", "the spool is full or its disk refuses");
  }
  return stored;
}

void Agent::housekeep() {
  spool_.sync();
  watch_link();
  housekeeping_timer_.expires_after(housekeeping_interval);
  housekeeping_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) {
      housekeep();
    }
  });
}

void Agent::pump() {
  const SteadyTime now = read_clocks().steady;
  delivery_.pump(read_spool_time(), now);
  if (const auto until = delivery_.held_until(); until && link_ == Link::connected) {
    hold_timer_.expires_at(*until);
    hold_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) {
        pump();
      }
    });
  }
}

}  // namespace skerry::agent
