// Long queues on disk: which sessions let go of what they hold in memory, and which read it back. A
// few reads of a core are under way at a time, each session in its turn, so that a thousand
// sessions which return together share the disk and their slices of memory have a bound.

#include <algorithm>
#include <utility>

#include "base/limits.hpp"
#include "shard/reading.hpp"
#include "shard/shard_impl.hpp"

namespace skerry::shard {
namespace {

/// What arrives is committed within milliseconds; before that it must stay.
constexpr Milliseconds page_after{20};
/// Sessions that one turn looks at, and messages of removed sessions that one turn ticks off.
constexpr std::size_t pages_per_turn = 256;
constexpr std::size_t abandoned_per_turn = 512;
/// After the store could not be read.
constexpr Milliseconds read_again_after{100};

}  // namespace

ReadAnswer read_messages(const storage::KvStore& store, const ReadRequest& request) {
  ReadAnswer answer{
      .session = request.session, .serial = request.serial, .failed = false, .messages = {}};
  for (const MessageId id : request.ids) {
    std::string value;
    const storage::Status status = store.get(storage::Family::messages, message_key(id), value);
    if (!status.ok() && status.code != storage::StatusCode::not_found) {
      answer.failed = true;
      break;
    }
    answer.messages.push_back({id, status.ok() ? decode_message_record(value) : std::nullopt});
  }
  return answer;
}

void Shard::Impl::page_soon(Session& session) {
  to_page.push_back(session.id());
  retry_at = std::min(retry_at, last_turn + page_after);
}

void Shard::Impl::page_sessions(Now now) {
  const std::size_t count = std::min(pages_per_turn, to_page.size());
  for (std::size_t i = 0; i < count; ++i) {
    const SessionId id = to_page.front();
    to_page.pop_front();
    Session* session = find(id);
    if (session != nullptr && session->page_out()) {
      to_page.push_back(id);
    }
  }
  if (!to_page.empty()) {
    retry_at = std::min(retry_at, now.steady + page_after);
  }
}

void Shard::Impl::read_back(Session& session) {
  to_read.push_back(session.id());
}

void Shard::Impl::start_reads() {
  while (!to_read.empty() && reads_open < reads_per_core_max) {
    Session* session = find(to_read.front());
    to_read.pop_front();
    if (session == nullptr) {
      continue;
    }
    Session::Reading reading = session->begin_reading();
    if (!reading.ids.empty() && session->open()) {
      ++reads_open;
      outside.read(
          {.session = session->id(), .serial = reading.serial, .ids = std::move(reading.ids)});
    }
  }
}

void Shard::Impl::on_read(ReadAnswer answer, Now now) {
  --reads_open;
  Session* session = find(answer.session);
  if (session == nullptr || !session->is_reading(answer.serial)) {
    return;  // its connection has ended meanwhile
  }
  for (ReadAnswer::Message& message : answer.messages) {
    take_back(*session, message);
  }
  if (answer.failed) {
    read_again.push_back(answer.session);
    retry_at = std::min(retry_at, now.steady + read_again_after);
    if (answer.messages.empty()) {
      return;
    }
  }
  session->finish_reading(now);
}

// Rights are those of now, not those of when the message came.
void Shard::Impl::take_back(Session& session, ReadAnswer::Message& message) {
  const Session::Awaited awaited = session.awaited(message.id);
  DropReason reason = DropReason::unreadable;
  Delivery delivery{.recipient = awaited.recipient};
  if (message.record) {
    for (Recipient& recipient : message.record->recipients) {
      if (recipient.id == awaited.recipient) {
        delivery.message = mqtt::MessagePtr(std::move(message.record->block));
        delivery.qos = recipient.qos;
        delivery.retain = recipient.retain;
        delivery.subscription_identifiers = std::move(recipient.subscription_identifiers);
        break;
      }
    }
  }
  if (!delivery.message) {
    outside.log(3, "queued message unreadable", session.client_id(),
                "its record is gone or damaged; it was dropped");
  } else if (!awaited.known_to_client &&
             !authorized(session.identity(), plugin::Action::receive, delivery.message->topic(),
                         session.client_id())) {
    delivery.message = {};
    reason = DropReason::not_authorized;
  }
  session.take_back(message.id, std::move(delivery), reason);
}

void Shard::Impl::retry_reads() {
  for (const SessionId id : std::exchange(read_again, {})) {
    to_read.push_back(id);
  }
}

// Of a session that is gone. They may be many, and after a crash the start does the same.
void Shard::Impl::abandon(DurableId owner, std::deque<session::Paged> messages) {
  if (!messages.empty()) {
    abandoned.push_back({owner, std::move(messages)});
  }
}

void Shard::Impl::tick_off_abandoned() {
  for (std::size_t budget = abandoned_per_turn; budget > 0 && !abandoned.empty(); --budget) {
    Abandoned& oldest = abandoned.front();
    session::Paged& message = oldest.messages.front();
    tick_off(message.stored ? message.stored : session::make_stored(message.id, oldest.owner),
             oldest.owner);
    oldest.messages.pop_front();
    if (oldest.messages.empty()) {
      abandoned.pop_front();
    }
  }
}

}  // namespace skerry::shard
