// AuditLog: who changed what. A change of identity or administration and its audit record are one
// commit, so neither is ever there without the other. What it deliberately does not do is judge.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "storage/committer.hpp"

namespace skerry::plugin {

/// One thing somebody did or was refused. Texts are plain UTF-8; the log caps and escapes them.
struct AuditEvent {
  std::string actor;    ///< "user:admin", "token:ci", "device:pump-7", "system"
  std::string action;   ///< stable, "device.suspend", "certificate.issue", "publish"
  std::string object;   ///< "device:pump-7", "policy:line-3", a topic
  std::string outcome;  ///< "ok", "denied", or a stable error code
  std::string detail;   ///< a sentence or compact JSON with before and after; may be empty
  std::string address;  ///< where from; empty for the server itself
};

/// Something a rule refused, as seen from where it happens; views die with the call.
struct Refusal {
  std::string_view actor;
  std::string_view action;  ///< "publish", "subscribe", "receive", "connect", "login"
  std::string_view object;
  std::string_view outcome;  ///< "denied", or a stable error code
  std::string_view rule;  ///< the name of the rule or a sentence; one actor's are told apart by it
  std::string_view address;
};

inline AuditEvent event_of(const Refusal& refusal) {
  return {std::string{refusal.actor},   std::string{refusal.action}, std::string{refusal.object},
          std::string{refusal.outcome}, std::string{refusal.rule},   std::string{refusal.address}};
}

class AuditLog {
 public:
  virtual ~AuditLog() = default;

  /// Stores `batch` and the record of `event` together or not at all; `done` as in
  /// Committer::submit. Any thread, never blocks. The time of the record is that of the commit.
  virtual void submit(storage::Batch batch, AuditEvent event, storage::Committer::Done done) = 0;

  /// Records something that changed nothing (a denial). Rate-limited: what is above the rate is
  /// counted and summed up in one record later. Any thread, also a core; never blocks.
  virtual void note(AuditEvent event) = 0;

  /// note() for where refusals may come in floods: one that is only counted allocates nothing.
  virtual void refused(const Refusal& refusal) noexcept = 0;
};

/// Stores changes without any record, for tests of what stands below the audit.
class PlainAudit final : public AuditLog {
 public:
  explicit PlainAudit(storage::Committer& committer) : committer_(committer) {}
  void submit(storage::Batch batch, AuditEvent, storage::Committer::Done done) override {
    committer_.submit(std::move(batch), std::move(done));
  }
  void note(AuditEvent) override {}
  void refused(const Refusal&) noexcept override {}

 private:
  storage::Committer& committer_;
};

}  // namespace skerry::plugin
