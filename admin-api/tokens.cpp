// TokenStore: bearer tokens of the API.
#include "admin-api/tokens.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <mutex>

#include "admin-api/audited.hpp"
#include "auth/json_record.hpp"
#include "crypto/hash.hpp"
#include "crypto/random.hpp"

namespace skerry::admin_api {
namespace {

constexpr std::string_view key_prefix = "token/";
constexpr std::string_view token_prefix = "skt_";
constexpr std::size_t token_bytes_max = 128;

std::string key_of(std::string_view id) {
  return std::string{key_prefix}.append(id);
}

std::string encode_record(const TokenInfo& info, const std::string& hash) {
  boost::json::object record;
  record["hash"] = hash;
  record["user"] = info.user;
  record["name"] = info.name;
  record["scopes"] = boost::json::value_from(info.scopes);
  record["created"] = epoch_milliseconds(info.created);
  record["expires"] = epoch_milliseconds(info.expires);
  record["madeBy"] = info.made_by;
  return auth::encode_json_record(record);
}

/// The hash; empty when the record cannot be read.
std::string decode_record(std::string_view value, TokenInfo& info) {
  const auto record = auth::decode_json_record(value);
  if (!record) {
    return {};
  }
  info.user = auth::text_member(*record, "user");
  info.name = auth::text_member(*record, "name");
  if (record->contains("scopes")) {
    info.scopes = auth::texts_member(*record, "scopes");
  }
  info.created = auth::time_member(*record, "created");
  info.expires = auth::time_member(*record, "expires");
  info.made_by = auth::text_member(*record, "madeBy");
  return auth::text_member(*record, "hash");
}

}  // namespace

storage::Status TokenStore::load(const storage::KvStore& store) {
  const auto records = store.scan(storage::Family::admin,
                                  {std::string{key_prefix}, storage::prefix_end(key_prefix)});
  if (!records) {
    return {storage::StatusCode::closed, "the store is closed"};
  }
  const std::unique_lock lock{mutex_};
  for (records->seek_first(); records->valid(); records->next()) {
    TokenInfo info;
    info.id = records->key().substr(key_prefix.size());
    std::string hash = decode_record(records->value(), info);
    if (!hash.empty() && !info.user.empty()) {
      id_by_hash_.emplace(hash, info.id);
      std::string id = info.id;
      by_id_.emplace(std::move(id), Entry{std::move(info), std::move(hash)});
    }
  }
  return records->status();
}

std::vector<std::string> TokenStore::erase_expired(WallTime now, storage::Batch& batch) const {
  std::vector<std::string> expired;
  const std::shared_lock lock{mutex_};
  for (const auto& [id, entry] : by_id_) {
    if (entry.info.is_expired(now)) {
      batch.erase(storage::Family::admin, key_of(id));
      expired.push_back(id);
    }
  }
  return expired;
}

void TokenStore::forget(const std::vector<std::string>& ids) {
  const std::unique_lock lock{mutex_};
  for (const std::string& id : ids) {
    if (const auto entry = by_id_.find(id); entry != by_id_.end()) {
      id_by_hash_.erase(entry->second.hash);
      by_id_.erase(entry);
    }
  }
}

boost::asio::awaitable<TokenStore::Created> TokenStore::create(Wish wish, auth::Actor actor) {
  Created created;
  storage::Batch batch;
  const WallTime now = clock_();
  const std::vector<std::string> expired = erase_expired(now, batch);
  {
    const std::shared_lock lock{mutex_};
    created.at_limit = by_id_.size() - expired.size() >= tokens_max;
  }
  if (created.at_limit) {
    co_return created;
  }
  created.token = std::string{token_prefix} + crypto::random_token();
  TokenInfo& info = created.info;
  info.id = "tok-" + crypto::to_hex(crypto::random_bytes(8));
  info.user = std::move(wish.user);
  info.name = std::move(wish.name);
  info.scopes = std::move(wish.scopes);
  info.created = now;
  info.expires = wish.expires;
  info.made_by = std::move(wish.made_by);
  const std::string hash = crypto::sha256_hex(created.token);
  batch.put(storage::Family::admin, key_of(info.id), encode_record(info, hash));
  boost::json::object detail;
  detail["name"] = info.name;
  detail["user"] = info.user;
  detail["scopes"] = boost::json::value_from(info.scopes);
  detail["expires"] = epoch_milliseconds(info.expires);
  if (!info.made_by.empty()) {
    detail["madeBy"] = info.made_by;
  }
  // Named: g++ 12 destroys an aggregate twice that is made inside a co_await expression.
  plugin::AuditEvent event{
      actor.name,   "token.create", "token:" + info.id, "ok", boost::json::serialize(detail),
      actor.address};
  created.status = co_await commit(audit_, std::move(batch), std::move(event));
  if (created.status.ok()) {
    forget(expired);
    const std::unique_lock lock{mutex_};
    id_by_hash_.emplace(hash, info.id);
    by_id_.emplace(info.id, Entry{info, hash});
  }
  co_return created;
}

boost::asio::awaitable<TokenStore::Erased> TokenStore::erase(std::string id, auth::Actor actor) {
  Erased erased;
  {
    const std::unique_lock lock{mutex_};
    const auto it = by_id_.find(id);
    if (it == by_id_.end() || it->second.erase_under_way) {
      co_return erased;
    }
    erased.found = true;
    // Kept until the record is gone: who is told of a failure must find it again to repeat this.
    it->second.removing = true;
    it->second.erase_under_way = true;
    id_by_hash_.erase(it->second.hash);
  }
  storage::Batch batch;
  batch.erase(storage::Family::admin, key_of(id));
  plugin::AuditEvent event{actor.name, "token.delete", "token:" + id, "ok", "", actor.address};
  erased.status = co_await commit(audit_, std::move(batch), std::move(event));
  const std::unique_lock lock{mutex_};
  if (erased.status.ok()) {
    by_id_.erase(id);
  } else if (const auto it = by_id_.find(id); it != by_id_.end()) {
    it->second.erase_under_way = false;
  }
  co_return erased;
}

std::vector<TokenInfo> TokenStore::list(std::string_view after, std::size_t limit) const {
  const WallTime now = clock_();
  std::vector<TokenInfo> found;
  const std::shared_lock lock{mutex_};
  for (auto it = by_id_.upper_bound(after); it != by_id_.end() && found.size() < limit; ++it) {
    if (it->second.is_live(now)) {
      found.push_back(it->second.info);
    }
  }
  return found;
}

std::optional<TokenInfo> TokenStore::find(std::string_view id) const {
  const WallTime now = clock_();
  const std::shared_lock lock{mutex_};
  const auto it = by_id_.find(id);
  return it == by_id_.end() || !it->second.is_live(now) ? std::nullopt
                                                        : std::optional{it->second.info};
}

std::optional<std::string> TokenStore::maker_of(std::string_view id) const {
  const std::shared_lock lock{mutex_};
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? std::nullopt : std::optional{it->second.info.made_by};
}

http::Principal TokenStore::principal_of(std::string_view token) const {
  if (token.size() > token_bytes_max || !token.starts_with(token_prefix)) {
    return {};
  }
  const std::string hash = crypto::sha256_hex(token);
  const WallTime now = clock_();
  const std::shared_lock lock{mutex_};
  const auto hashed = id_by_hash_.find(hash);
  if (hashed == id_by_hash_.end()) {
    return {};
  }
  const auto it = by_id_.find(hashed->second);
  if (it == by_id_.end() || !it->second.is_live(now)) {
    return {};
  }
  return {"user:" + it->second.info.user, it->second.info.scopes,
          [this, id = it->first] { return is_live(id); }, it->first};
}

bool TokenStore::is_live(std::string_view id) const {
  return find(id).has_value();
}

http::TokenGuard TokenStore::guard() const {
  return [this](std::string_view token) { return principal_of(token); };
}

}  // namespace skerry::admin_api
