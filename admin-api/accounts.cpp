// AdminAccounts: the people who may ask for a token.
#include "admin-api/accounts.hpp"

#include <future>

#include "crypto/password.hpp"
#include "crypto/random.hpp"

namespace skerry::admin_api {
namespace {

constexpr char record_version = 1;
constexpr std::string_view key_prefix = "user/";
constexpr std::string_view first_user = "admin";
/// 120 bits: 20 characters that can be typed.
constexpr std::size_t password_random_bytes = 15;

storage::Status failed(std::string detail) {
  return {storage::StatusCode::io_error, std::move(detail)};
}

}  // namespace

AdminAccounts::Opened AdminAccounts::open(const storage::KvStore& store, bool reset) {
  const auto accounts = store.scan(storage::Family::admin,
                                   {std::string{key_prefix}, storage::prefix_end(key_prefix)});
  if (!accounts) {
    return {failed("the store is closed"), std::nullopt};
  }
  for (accounts->seek_first(); accounts->valid(); accounts->next()) {
    const std::string_view value = accounts->value();
    if (value.empty() || value.front() != record_version) {
      return {{storage::StatusCode::corruption, "an account record cannot be read"}, std::nullopt};
    }
    hashes_.emplace(accounts->key().substr(key_prefix.size()), value.substr(1));
  }
  if (!accounts->status().ok()) {
    return {accounts->status(), std::nullopt};
  }
  const auto decoy = crypto::hash_password(crypto::random_token());
  if (!decoy) {
    return {failed(decoy.error().what), std::nullopt};
  }
  decoy_hash_ = *decoy;
  if (hashes_.contains(first_user) && !reset) {
    return {};
  }
  std::string password = crypto::random_token(password_random_bytes);
  const auto hash = crypto::hash_password(password);
  if (!hash) {
    return {failed(hash.error().what), std::nullopt};
  }
  storage::Batch batch;
  batch.put(storage::Family::admin, std::string{key_prefix}.append(first_user),
            std::string(1, record_version) + *hash);
  std::promise<storage::Status> stored;
  audit_.submit(std::move(batch),
                {"system", hashes_.contains(first_user) ? "user.password.reset" : "user.create",
                 "user:" + std::string{first_user}, "ok", "", ""},
                [&stored](const storage::Status& result) { stored.set_value(result); });
  storage::Status status = stored.get_future().get();
  if (!status.ok()) {
    return {std::move(status), std::nullopt};
  }
  hashes_.insert_or_assign(std::string{first_user}, *hash);
  return {{}, std::move(password)};
}

bool AdminAccounts::verify(std::string_view user, std::string_view password) const {
  const auto it = hashes_.find(user);
  const bool fits =
      crypto::verify_password(password, it == hashes_.end() ? decoy_hash_ : it->second);
  return fits && it != hashes_.end();
}

}  // namespace skerry::admin_api
