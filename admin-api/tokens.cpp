// TokenStore: bearer tokens of the API.
#include "admin-api/tokens.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <mutex>

#include "admin-api/audited.hpp"
#include "crypto/hash.hpp"
#include "crypto/random.hpp"

namespace skerry::admin_api {
namespace {

constexpr char record_version = 1;
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
  return std::string(1, record_version) + boost::json::serialize(record);
}

/// The hash; empty when the record cannot be read.
std::string decode_record(std::string_view value, TokenInfo& info) {
  if (value.empty() || value.front() != record_version) {
    return {};
  }
  boost::json::error_code error;
  const boost::json::value record = boost::json::parse(value.substr(1), error);
  if (error || !record.is_object()) {
    return {};
  }
  const boost::json::object& members = record.get_object();
  const auto text = [&](const char* name) {
    const boost::json::value* member = members.if_contains(name);
    return member != nullptr && member->is_string() ? std::string{member->get_string()}
                                                    : std::string{};
  };
  const auto time = [&](const char* name) {
    const boost::json::value* member = members.if_contains(name);
    return wall_from_epoch(member != nullptr && member->is_int64() ? member->get_int64() : 0);
  };
  info.user = text("user");
  info.name = text("name");
  if (const boost::json::value* scopes = members.if_contains("scopes")) {
    info.scopes.clear();
    for (const boost::json::value& scope :
         scopes->is_array() ? scopes->get_array() : boost::json::array{}) {
      info.scopes.emplace_back(scope.is_string() ? scope.get_string() : boost::json::string{});
    }
  }
  info.created = time("created");
  info.expires = time("expires");
  return text("hash");
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
    const std::string hash = decode_record(records->value(), info);
    if (!hash.empty() && !info.user.empty()) {
      id_by_hash_.emplace(hash, info.id);
      std::string id = info.id;
      by_id_.emplace(std::move(id), Entry{std::move(info)});
    }
  }
  return records->status();
}

void TokenStore::drop_expired(storage::Batch& batch) {
  const WallTime now = clock_();
  const std::unique_lock lock{mutex_};
  std::erase_if(id_by_hash_, [&](const auto& entry) {
    const auto it = by_id_.find(entry.second);
    return it == by_id_.end() || it->second.info.is_expired(now);
  });
  std::erase_if(by_id_, [&](const auto& entry) {
    if (entry.second.info.is_expired(now)) {
      batch.erase(storage::Family::admin, key_of(entry.first));
      return true;
    }
    return false;
  });
}

boost::asio::awaitable<TokenStore::Created> TokenStore::create(Wish wish, auth::Actor actor) {
  Created created;
  storage::Batch batch;
  drop_expired(batch);
  {
    const std::shared_lock lock{mutex_};
    created.at_limit = by_id_.size() >= tokens_max;
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
  info.created = clock_();
  info.expires = info.created + wish.life;
  const std::string hash = crypto::sha256_hex(created.token);
  batch.put(storage::Family::admin, key_of(info.id), encode_record(info, hash));
  boost::json::object detail;
  detail["name"] = info.name;
  detail["user"] = info.user;
  detail["scopes"] = boost::json::value_from(info.scopes);
  detail["expires"] = epoch_milliseconds(info.expires);
  // Named: g++ 12 destroys an aggregate twice that is made inside a co_await expression.
  plugin::AuditEvent event{
      actor.name,   "token.create", "token:" + info.id, "ok", boost::json::serialize(detail),
      actor.address};
  created.status = co_await commit(audit_, std::move(batch), std::move(event));
  if (created.status.ok()) {
    const std::unique_lock lock{mutex_};
    id_by_hash_.emplace(hash, info.id);
    by_id_.emplace(info.id, Entry{info});
  }
  co_return created;
}

boost::asio::awaitable<TokenStore::Erased> TokenStore::erase(std::string id, auth::Actor actor) {
  Erased erased;
  {
    const std::unique_lock lock{mutex_};
    const auto it = by_id_.find(id);
    if (it == by_id_.end()) {
      co_return erased;
    }
    erased.found = true;
    // Kept until the record is gone: who is told of a failure must find it again to repeat this.
    it->second.removing = true;
    std::erase_if(id_by_hash_, [&](const auto& entry) { return entry.second == id; });
  }
  storage::Batch batch;
  batch.erase(storage::Family::admin, key_of(id));
  plugin::AuditEvent event{actor.name, "token.delete", "token:" + id, "ok", "", actor.address};
  erased.status = co_await commit(audit_, std::move(batch), std::move(event));
  if (erased.status.ok()) {
    const std::unique_lock lock{mutex_};
    by_id_.erase(id);
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
          [this, id = it->first] { return is_live(id); }};
}

bool TokenStore::is_live(std::string_view id) const {
  const WallTime now = clock_();
  const std::shared_lock lock{mutex_};
  const auto it = by_id_.find(id);
  return it != by_id_.end() && it->second.is_live(now);
}

http::TokenGuard TokenStore::guard() const {
  return [this](std::string_view token) { return principal_of(token); };
}

}  // namespace skerry::admin_api
