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

CredentialIndex::Slot* CredentialIndex::find_slot(std::uint64_t hash) noexcept {
  if (slots_.empty()) {
    return nullptr;
  }
  std::size_t at = home(hash);
  while (slots_[at].session != nullptr && slots_[at].hash != hash) {
    at = home(at + 1);
  }
  return slots_[at].session == nullptr ? nullptr : &slots_[at];
}

session::Session* CredentialIndex::find(std::string_view credential) const noexcept {
  if (credential.empty() || slots_.empty()) {
    return nullptr;
  }
  const std::uint64_t hash = keyed_hash(key_, credential);
  for (std::size_t at = home(hash); slots_[at].session != nullptr; at = home(at + 1)) {
    if (slots_[at].hash == hash) {
      return has(*slots_[at].session, credential) ? slots_[at].session : nullptr;
    }
  }
  return nullptr;
}

void CredentialIndex::add(std::string_view credential, session::Session& session) {
  if (credential.empty()) {
    return;
  }
  const std::uint64_t hash = keyed_hash(key_, credential);
  if (const Slot* const slot = find_slot(hash)) {
    if (slot->session != &session && others_[hash].insert(&session).second) {
      ++others_size_;
    }
    return;
  }
  if ((size_ + 1) * 4 > slots_.size() * 3) {
    resize(slots_.empty() ? slots_min : slots_.size() * 2);
  }
  place({hash, &session});
  ++size_;
}

void CredentialIndex::place(Slot slot) noexcept {
  std::size_t at = home(slot.hash);
  while (slots_[at].session != nullptr) {
    at = home(at + 1);
  }
  slots_[at] = slot;
}

void CredentialIndex::remove(std::string_view credential, session::Session& session) {
  if (credential.empty()) {
    return;
  }
  const std::uint64_t hash = keyed_hash(key_, credential);
  Slot* const slot = find_slot(hash);
  if (slot == nullptr) {
    return;
  }
  if (slot->session != &session) {
    remove_other(hash, session);
    return;
  }
  const auto others = others_.find(hash);
  if (others == others_.end()) {
    remove_slot(static_cast<std::size_t>(slot - slots_.data()));
    return;
  }
  slot->session = *others->second.begin();
  remove_other(hash, *slot->session);
}

void CredentialIndex::remove_other(std::uint64_t hash, session::Session& session) {
  const auto others = others_.find(hash);
  if (others == others_.end() || others->second.erase(&session) == 0) {
    return;
  }
  --others_size_;
  if (others->second.empty()) {
    others_.erase(others);
  }
}

void CredentialIndex::remove_slot(std::size_t at) {
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
