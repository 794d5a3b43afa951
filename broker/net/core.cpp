// The loop: turns, deadlines and mail. Accepting is in core_accept.cpp.
#include "net/core.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <exception>

#include "base/assert.hpp"

namespace skerry::net {

namespace {

// A core turns at least this often, which is what "alive" means.
constexpr Milliseconds heartbeat_interval{1'000};
// How long a shutdown may take to write last words and hear of its commits.
constexpr Milliseconds stop_time_max{3'000};

shard::ShardOptions shard_options(Common& common, CoreIndex index, Counters& counters) {
  shard::ShardOptions options;
  options.index = index;
  options.core_count = common.options.core_count;
  options.hash_key = common.options.hash_key;
  options.limits = common.options.limits;
  options.memory = common.options.memory;
  options.authorizer = common.options.authorizer;
  options.tap = common.options.tap;
  options.audit = common.options.audit;
  options.still_valid = common.options.still_valid;
  options.drop_revoked_queues = common.options.drop_revoked_queues;
  options.presence = common.presence.get();
  options.counters = &counters;
  options.next_id = &common.next_id;
  options.restore = common.restore;
  options.faults = common.options.faults;
  return options;
}

void pin_to(std::uint16_t index) noexcept {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    return;
  }
  int wanted = index % std::max(CPU_COUNT(&allowed), 1);
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(processor, &allowed) && wanted-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(processor, &one);
      ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
      return;
    }
  }
}

}  // namespace

Core::Core(Common& common, CoreIndex index)
    : common_(common),
      index_(index),
      work_(std::make_shared<WorkQueue>()),
      shard_(shard_options(common, index, counters_), *this),
      traffic_(common.options.limits, common.options.core_count, shard_, counters_),
      admission_({index, &common.options, common.doors.get(), work_,
                  [this](CoreIndex to, Arrival arrival) { move(to, std::move(arrival)); },
                  [this](const std::function<void(Now)>& work) { turn(work); }},
                 traffic_, shard_, counters_),
      completion_(*work_, [this] { on_committed(); }) {
  traffic_.set_admission(admission_);
  traffic_.set_memory(common.options.memory);
  traffic_.watch_work(work_->descriptor());
}

Core::~Core() {
  for (const Socket& socket : listening_) {
    ::close(socket.descriptor);
  }
  // Work that was never run holds connections and mail, which want their core alive.
  work_->close();
  traffic_.close_all();
}

void Core::start(std::function<void()> ready) {
  thread_ = std::thread([this, ready = std::move(ready)] { run(ready); });
}

void Core::run(const std::function<void()>& ready) {
  const std::string name = "skerry-core-" + std::to_string(index_.value);
  ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
  if (common_.options.pin_threads) {
    pin_to(index_.value);
  }
  try {
    turn([this](Now now) { shard_.start(now); });
    ready();
    loop();
  } catch (const std::exception& error) {
    common_.options.log(3, "core_failed", name, error.what());
    constexpr bool an_exception_reached_the_top_of_a_core = true;
    SKERRY_ASSERT(!an_exception_reached_the_top_of_a_core);
  }
}

void Core::join() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Core::post(std::function<void(shard::Shard&, Now)> work) {
  work_->post(
      [this, work = std::move(work)] { turn([this, &work](Now now) { work(shard_, now); }); });
}

void Core::run_after(Milliseconds delay, std::function<void()> work) {
  work_->post([this, delay, work = std::move(work)]() mutable {
    due_.emplace(read_clocks().steady + delay, std::move(work));
  });
}

// One look at the set, then everything that is due, and again: a deadline is never later than one
// round of sockets.
void Core::loop() {
  bool rest = true;  // of work, which no socket tells of
  while (!ended_) {
    traffic_.wait(rest ? Milliseconds{0} : wait_time());
    const Now now = read_clocks();
    begin_turn(now);
    traffic_.serve(round_, now);
    for (const std::uint32_t index : round_.listeners) {
      accept_from(index, now);
    }
    if (rest || round_.events > 0) {
      end_turn(now);
    }
    if (round_.woken) {
      work_->run();
    }
    if (traffic_.may_shake_hands(now)) {
      turn([this](Now later) { traffic_.shake_hands(later); });
    }
    if (next_deadline() <= now.steady) {
      on_deadline();
    }
    rest = unfinished(now);
  }
}

SteadyTime Core::next_deadline() const noexcept {
  const SteadyTime own = std::min({accept_again_, stop_at_, looked_at_ + heartbeat_interval,
                                   due_.empty() ? SteadyTime::max() : due_.begin()->first});
  return std::min({shard_.next_deadline(), traffic_.next_deadline(), own});
}

// Rounded up: who wakes a moment too early only looks again.
Milliseconds Core::wait_time() {
  const SteadyTime now = std::chrono::steady_clock::now();
  const SteadyTime next = next_deadline();
  return next <= now ? Milliseconds{0} : std::chrono::ceil<Milliseconds>(next - now);
}

void Core::begin_turn(Now now) {
  heartbeat_.store(std::chrono::duration_cast<Milliseconds>(now.steady.time_since_epoch()).count(),
                   std::memory_order_relaxed);
  traffic_.begin_turn(now);
  measure_congestion();
}

void Core::end_turn(Now now) {
  shard_.end_of_turn(now);
  traffic_.flush(now);
  if (stopping_ && (now.steady >= stop_at_ || (quiet() && !unfinished(now)))) {
    traffic_.close_all();
    ended_ = true;
  }
}

bool Core::unfinished(Now now) {
  return traffic_.unfinished() || !shard_.turn_is_empty() || traffic_.may_shake_hands(now);
}

void Core::on_deadline() {
  turn([this](Now now) {
    looked_at_ = now.steady;
    if (now.steady >= accept_again_) {
      resume_accepting();
    }
    if (now.steady >= shard_.next_deadline()) {
      shard_.on_timer(now);
    }
    traffic_.on_timer(now);
    tell_shed(now);
  });
  run_due(read_clocks());
}

void Core::run_due(Now now) {
  while (!due_.empty() && due_.begin()->first <= now.steady) {
    const auto next = due_.extract(due_.begin());
    next.mapped()();
  }
}

void Core::measure_congestion() noexcept {
  congested_ = common_.options.committer->over_limit();
  for (const auto& core : common_.cores) {
    congested_ = congested_ || core->mailbox_bytes_.load(std::memory_order_relaxed) >
                                   common_.options.limits.mailbox_bytes_max;
  }
}

bool Core::mailbox_full(CoreIndex core) const noexcept {
  return common_.cores[core.value]->mailbox_bytes_.load(std::memory_order_relaxed) >
         common_.options.limits.mailbox_bytes_max;
}

void Core::send(CoreIndex to, shard::MailBatch mail) {
  Core& other = *common_.cores[to.value];
  other.mailbox_bytes_.fetch_add(mail.size_bytes, std::memory_order_relaxed);
  other.work_->post([&other, from = index_, mail = std::move(mail)]() mutable {
    other.receive(from, std::move(mail));
  });
}

void Core::receive(CoreIndex from, shard::MailBatch mail) {
  mailbox_bytes_.fetch_sub(mail.size_bytes, std::memory_order_relaxed);
  turn([this, from, &mail](Now now) { shard_.receive(from, std::move(mail), now); });
}

void Core::move(CoreIndex to, Arrival arrival) {
  Core& other = *common_.cores[to.value];
  other.work_->post([&other, arrival = std::move(arrival)]() mutable {
    other.turn([&other, &arrival](Now now) {
      if (!other.stopping_) {
        other.admission_.arrive(std::move(arrival), now);
      }
    });
  });
}

void Core::commit(storage::Batch batch, std::uint64_t ticket) {
  submitted_ = ticket;
  common_.options.committer->submit(std::move(batch), completion_, ticket);
}

// A reader may still be at work when the core has ended: then nobody runs its answer.
void Core::read(shard::ReadRequest request) {
  const auto answer = [this, work = work_](shard::ReadAnswer read) {
    work->post([this, read = std::move(read)]() mutable {
      turn([this, &read](Now now) { shard_.on_read(std::move(read), now); });
    });
  };
  shard::ReadAnswer busy{
      .session = request.session, .serial = request.serial, .failed = true, .messages = {}};
  const storage::KvStore& store = *common_.options.store;
  const bool taken = common_.options.readers->run([answer, &store, request = std::move(request)] {
    answer(shard::read_messages(store, request));
  });
  if (!taken) {
    answer(std::move(busy));
  }
}

void Core::on_committed() {
  turn([this](Now now) {
    for (const Completion::Group& group : completion_.take()) {
      while (completed_ < group.last_ticket) {
        shard_.on_committed(++completed_, group.status, now);
      }
    }
  });
}

void Core::log(int level, std::string_view event, std::string_view client,
               std::string_view detail) {
  common_.options.log(level, event, client, detail);
}

void Core::stop() {
  work_->post([this] { turn([this](Now now) { begin_stop(now); }); });
}

void Core::begin_stop(Now now) {
  if (stopping_) {
    return;
  }
  stopping_ = true;
  stop_at_ = now.steady + stop_time_max;
  for (const Socket& socket : listening_) {
    ::close(socket.descriptor);
  }
  listening_.clear();
  accept_again_ = SteadyTime::max();
  traffic_.close_unattached();
  shard_.shut_down(now);
}

bool Core::quiet() const noexcept {
  return traffic_.size() == 0 && submitted_ == completed_;
}

}  // namespace skerry::net
