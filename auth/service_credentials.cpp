#include "auth/service_credentials.hpp"

#include <boost/json/object.hpp>
#include <mutex>
#include <utility>

#include "auth/json_record.hpp"
#include "base/limits.hpp"
#include "crypto/random.hpp"

namespace skerry::auth {
namespace {

constexpr std::string_view key_prefix = "service-password/";
constexpr std::size_t id_random_bytes = 12;

std::string key_of(std::string_view service) {
  return std::string{key_prefix}.append(service);
}

std::string encode(const ServicePassword& password) {
  boost::json::object record;
  record["id"] = password.id;
  record["hash"] = password.hash;
  record["created"] = epoch_milliseconds(password.created);
  record["expires"] =
      password.expires == WallTime::max() ? 0 : epoch_milliseconds(password.expires);
  record["serviceCreated"] = epoch_milliseconds(password.service_created);
  return encode_json_record(record);
}

std::optional<ServicePassword> decode(std::string_view value) {
  const auto record = decode_json_record(value);
  if (!record) {
    return std::nullopt;
  }
  ServicePassword password;
  password.id = text_member(*record, "id");
  password.hash = text_member(*record, "hash");
  password.created = time_member(*record, "created");
  const bool never = number_member(*record, "expires") == 0;
  password.expires = never ? WallTime::max() : time_member(*record, "expires");
  password.service_created = time_member(*record, "serviceCreated");
  if (password.id.empty() || password.hash.empty()) {
    return std::nullopt;
  }
  return password;
}

}  // namespace

storage::Status ServiceCredentials::load(const storage::KvStore& store) {
  const auto records = store.scan(storage::Family::admin,
                                  {std::string{key_prefix}, storage::prefix_end(key_prefix)});
  if (!records) {
    return {storage::StatusCode::closed, "the store is closed"};
  }
  const std::unique_lock lock{mutex_};
  for (records->seek_first(); records->valid(); records->next()) {
    if (auto password = decode(records->value())) {
      passwords_.emplace(records->key().substr(key_prefix.size()), Entry{*std::move(password)});
    }
  }
  return records->status();
}

void ServiceCredentials::put(std::string service, ServicePassword password, Change change,
                             Done done) {
  password.id = crypto::random_token(id_random_bytes);
  {
    const std::shared_lock lock{mutex_};
    if (passwords_.size() >= service_passwords_max && !passwords_.contains(service)) {
      done({storage::StatusCode::full, "there are too many passwords of services"});
      return;
    }
  }
  storage::Batch batch;
  batch.put(storage::Family::admin, key_of(service), encode(password));
  plugin::AuditEvent event{change.actor.name, "service.password.set", "service:" + service, "ok",
                           change.detail,     change.actor.address};
  audit_.submit(std::move(batch), std::move(event),
                [this, service = std::move(service), password = std::move(password),
                 done = std::move(done)](const storage::Status& status) {
                  if (status.ok()) {
                    {
                      const std::unique_lock lock{mutex_};
                      passwords_.insert_or_assign(service, Entry{password});
                    }
                    tell(service);
                  }
                  done(status);
                });
}

void ServiceCredentials::erase(std::string service, Change change, Done done) {
  bool found = false;
  {
    const std::unique_lock lock{mutex_};
    const auto entry = passwords_.find(service);
    if (entry != passwords_.end() && !entry->second.erase_under_way) {
      // Kept until the record is gone: who is told of a failure must find it again to repeat this.
      entry->second.removing = true;
      entry->second.erase_under_way = true;
      found = true;
    }
  }
  if (!found) {
    done({storage::StatusCode::not_found, "the service has no password"});
    return;
  }
  tell(service);
  storage::Batch batch;
  batch.erase(storage::Family::admin, key_of(service));
  plugin::AuditEvent event{change.actor.name, "service.password.delete", "service:" + service, "ok",
                           change.detail,     change.actor.address};
  audit_.submit(
      std::move(batch), std::move(event),
      [this, service = std::move(service), done = std::move(done)](const storage::Status& status) {
        finish_erase(service, status.ok());
        done(status);
      });
}

void ServiceCredentials::finish_erase(const std::string& service, bool stored) {
  bool was_good = false;
  {
    const std::unique_lock lock{mutex_};
    const auto entry = passwords_.find(service);
    if (entry == passwords_.end()) {
      return;
    }
    // A password that was on its way when this was asked for has been stored before it.
    was_good = !std::exchange(entry->second.removing, true);
    entry->second.erase_under_way = false;
    if (stored) {
      passwords_.erase(entry);
    }
  }
  if (was_good) {
    tell(service);
  }
}

std::optional<ServicePassword> ServiceCredentials::find(std::string_view service) const {
  const std::shared_lock lock{mutex_};
  const auto found = passwords_.find(service);
  return found == passwords_.end() || found->second.removing
             ? std::nullopt
             : std::optional{found->second.password};
}

}  // namespace skerry::auth
