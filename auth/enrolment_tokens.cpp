#include "auth/enrolment_tokens.hpp"

#include <boost/json/array.hpp>
#include <utility>

#include "auth/json_record.hpp"
#include "base/limits.hpp"
#include "crypto/hash.hpp"
#include "crypto/random.hpp"
#include "http/await.hpp"

namespace skerry::auth {

namespace {

constexpr std::string_view key_prefix = "enrolment/";
constexpr std::string_view secret_prefix = "ske_";
constexpr std::size_t secret_bytes_max = 128;

std::string key_of(std::string_view id) {
  return std::string{key_prefix}.append(id);
}

boost::json::object json_of(const EnrolmentToken& token, const std::string& hash) {
  boost::json::object record;
  record["hash"] = hash;
  record["createdBy"] = token.created_by;
  record["device"] = token.device;
  record["model"] = token.model;
  boost::json::array tags;
  for (const std::string& tag : token.tags) {
    tags.emplace_back(tag);
  }
  record["tags"] = std::move(tags);
  record["created"] = epoch_milliseconds(token.created);
  record["expires"] = epoch_milliseconds(token.expires);
  record["usesMax"] = token.uses_max;
  record["uses"] = token.uses;
  record["lastDevice"] = token.last_device;
  record["lastUsed"] = epoch_milliseconds(token.last_used);
  return record;
}

EnrolmentToken token_of(std::string id, const boost::json::object& record) {
  EnrolmentToken token;
  token.id = std::move(id);
  token.created_by = text_member(record, "createdBy");
  token.device = text_member(record, "device");
  token.model = text_member(record, "model");
  token.tags = texts_member(record, "tags");
  token.created = time_member(record, "created");
  token.expires = time_member(record, "expires");
  token.uses_max = static_cast<std::uint32_t>(number_member(record, "usesMax"));
  token.uses = static_cast<std::uint32_t>(number_member(record, "uses"));
  token.last_device = text_member(record, "lastDevice");
  token.last_used = time_member(record, "lastUsed");
  return token;
}

plugin::AuditEvent event_of(const Actor& actor, const char* action, const EnrolmentToken& token) {
  plugin::AuditEvent event;
  event.actor = actor.name;
  event.action = action;
  event.object = "enrolment-token:" + token.id;
  event.outcome = "ok";
  event.detail = token.device.empty() ? "for new devices" : "for device " + token.device;
  event.address = actor.address;
  return event;
}

}  // namespace

storage::Status EnrolmentTokens::load(const storage::KvStore& store) {
  const auto records = store.scan(storage::Family::admin,
                                  {std::string{key_prefix}, storage::prefix_end(key_prefix)});
  if (!records) {
    return {storage::StatusCode::closed, "the store is closed"};
  }
  for (records->seek_first(); records->valid(); records->next()) {
    const auto record = decode_json_record(records->value());
    std::string hash = record ? text_member(*record, "hash") : std::string{};
    if (hash.empty()) {
      continue;
    }
    Entry entry{token_of(std::string{records->key().substr(key_prefix.size())}, *record), hash};
    id_by_hash_.emplace(std::move(hash), entry.token.id);
    by_id_.emplace(entry.token.id, std::move(entry));
  }
  return records->status();
}

void EnrolmentTokens::put(const Entry& entry, storage::Batch& batch) const {
  batch.put(storage::Family::admin, key_of(entry.token.id),
            encode_json_record(json_of(entry.token, entry.hash)));
}

std::vector<std::string> EnrolmentTokens::erase_expired(WallTime now, storage::Batch& batch) const {
  std::vector<std::string> expired;
  for (const auto& [id, entry] : by_id_) {
    if (now >= entry.token.expires) {
      batch.erase(storage::Family::admin, key_of(id));
      expired.push_back(id);
    }
  }
  return expired;
}

void EnrolmentTokens::forget(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    if (const auto entry = by_id_.find(id); entry != by_id_.end()) {
      id_by_hash_.erase(entry->second.hash);
      by_id_.erase(entry);
    }
  }
}

boost::asio::awaitable<EnrolmentTokens::Created> EnrolmentTokens::create(EnrolmentToken wish,
                                                                         Actor actor,
                                                                         WallTime now) {
  Created created;
  storage::Batch batch;
  const std::vector<std::string> expired = erase_expired(now, batch);
  created.at_limit = by_id_.size() - expired.size() >= enrolment_tokens_max;
  if (created.at_limit) {
    co_return created;
  }
  created.secret = std::string{secret_prefix} + crypto::random_token();
  wish.id = "ent-" + crypto::to_hex(crypto::random_bytes(8));
  wish.created_by = actor.name;
  wish.created = now;
  wish.uses = 0;
  created.token = wish;
  const Entry entry{std::move(wish), crypto::sha256_hex(created.secret)};
  put(entry, batch);
  auto store = [this, &batch, event = event_of(actor, "enrolment_token.create", entry.token)](
                   auto done) { audit_.submit(std::move(batch), event, done); };
  created.status = co_await http::await_callback<storage::Status>(std::move(store));
  if (created.status.ok()) {
    forget(expired);
    id_by_hash_.emplace(entry.hash, entry.token.id);
    by_id_.emplace(entry.token.id, entry);
  }
  co_return created;
}

boost::asio::awaitable<EnrolmentTokens::Erased> EnrolmentTokens::erase(std::string id,
                                                                       Actor actor) {
  Erased erased;
  const auto entry = by_id_.find(id);
  if (entry == by_id_.end() || entry->second.erase_under_way) {
    co_return erased;
  }
  erased.found = true;
  const auto event = event_of(actor, "enrolment_token.delete", entry->second.token);
  // Kept until the record is gone: who is told of a failure must find it again to repeat this.
  entry->second.removing = true;
  entry->second.erase_under_way = true;
  id_by_hash_.erase(entry->second.hash);
  storage::Batch batch;
  batch.erase(storage::Family::admin, key_of(id));
  auto store = [this, &batch, event](auto done) { audit_.submit(std::move(batch), event, done); };
  erased.status = co_await http::await_callback<storage::Status>(std::move(store));
  if (erased.status.ok()) {
    by_id_.erase(id);
  } else if (const auto left = by_id_.find(id); left != by_id_.end()) {
    left->second.erase_under_way = false;
  }
  co_return erased;
}

std::vector<EnrolmentToken> EnrolmentTokens::list(std::string_view after, std::size_t limit) const {
  std::vector<EnrolmentToken> found;
  for (auto entry = by_id_.upper_bound(after); entry != by_id_.end() && found.size() < limit;
       ++entry) {
    if (!entry->second.removing) {
      found.push_back(entry->second.token);
    }
  }
  return found;
}

const EnrolmentToken* EnrolmentTokens::find(std::string_view id) const {
  const auto entry = by_id_.find(id);
  return entry == by_id_.end() || entry->second.removing ? nullptr : &entry->second.token;
}

const EnrolmentToken* EnrolmentTokens::find_secret(std::string_view secret, WallTime now) const {
  if (secret.size() > secret_bytes_max || !secret.starts_with(secret_prefix)) {
    return nullptr;
  }
  const std::string hash = crypto::sha256_hex(secret);
  const auto id = id_by_hash_.find(hash);
  if (id == id_by_hash_.end()) {
    return nullptr;
  }
  const Entry& entry = by_id_.find(id->second)->second;
  return crypto::equal_constant_time(entry.hash, hash) && entry.token.is_good(now) ? &entry.token
                                                                                   : nullptr;
}

std::optional<storage::Batch> EnrolmentTokens::begin_use(std::string_view id,
                                                         std::string_view device, WallTime now) {
  const auto entry = by_id_.find(id);
  if (entry == by_id_.end() || entry->second.removing || !entry->second.token.is_good(now)) {
    return std::nullopt;
  }
  EnrolmentToken& token = entry->second.token;
  ++token.uses;
  token.last_device = device;
  token.last_used = now;
  storage::Batch batch;
  put(entry->second, batch);
  return batch;
}

void EnrolmentTokens::cancel_use(std::string_view id) {
  const auto entry = by_id_.find(id);
  // Of one that is being removed nothing is written any more: that would put it back.
  if (entry == by_id_.end() || entry->second.removing) {
    return;
  }
  --entry->second.token.uses;
  // Another use may have been stored meanwhile, with this one counted in.
  storage::Batch batch;
  put(entry->second, batch);
  audit_.submit(std::move(batch),
                event_of({"system", {}}, "enrolment_token.release", entry->second.token),
                [](const storage::Status&) {});
}

}  // namespace skerry::auth
