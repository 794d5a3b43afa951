#include "shard/credential_index.hpp"

#include "session/session.hpp"

namespace skerry::shard {
namespace {

constexpr std::size_t slots_min = 16;

bool has(const session::Session& session, std::string_view credential) noexcept {
  const plugin::Identity& identity = session.identity();
  return identity.certificate_serial == credential || identity.key_fingerprint == credential;
}

}  // namespace

void CredentialIndex::add(session::Session& session) {
  add(session.identity().certificate_serial, session);
  add(session.identity().key_fingerprint, session);
}

void CredentialIndex::remove(session::Session& session) {
  remove(session.identity().certificate_serial, session);
  remove(session.identity().key_fingerprint, session);
}

session::Session* CredentialIndex::find(std::string_view credential) const noexcept {
  if (credential.empty() || slots_.empty()) {
    return nullptr;
  }
  const std::uint64_t hash = keyed_hash(key_, credential);
  for (std::size_t at = home(hash); slots_[at].session != nullptr; at = home(at + 1)) {
    if (slots_[at].hash == hash && has(*slots_[at].session, credential)) {
      return slots_[at].session;
    }
  }
  return nullptr;
}

void CredentialIndex::add(std::string_view credential, session::Session& session) {
  if (credential.empty()) {
    return;
  }
  if ((size_ + 1) * 4 > slots_.size() * 3) {
    resize(slots_.empty() ? slots_min : slots_.size() * 2);
  }
  place({keyed_hash(key_, credential), &session});
  ++size_;
}

void CredentialIndex::place(Slot slot) noexcept {
  std::size_t at = home(slot.hash);
  while (slots_[at].session != nullptr) {
    at = home(at + 1);
  }
  slots_[at] = slot;
}

void CredentialIndex::remove(std::string_view credential, const session::Session& session) {
  if (credential.empty() || slots_.empty()) {
    return;
  }
  const std::uint64_t hash = keyed_hash(key_, credential);
  std::size_t at = home(hash);
  while (slots_[at].session != nullptr &&
         (slots_[at].hash != hash || slots_[at].session != &session)) {
    at = home(at + 1);
  }
  if (slots_[at].session == nullptr) {
    return;
  }
  slots_[at] = {};
  --size_;
  // What was pushed past the hole moves up, or it would not be found any more.
  for (std::size_t next = home(at + 1); slots_[next].session != nullptr; next = home(next + 1)) {
    const Slot moved = slots_[next];
    slots_[next] = {};
    place(moved);
  }
  if (slots_.size() > slots_min && size_ * 8 < slots_.size()) {
    resize(slots_.size() / 2);
  }
}

void CredentialIndex::resize(std::size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.session != nullptr) {
      place(slot);
    }
  }
}

}  // namespace skerry::shard
