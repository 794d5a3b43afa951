// TokenStore: bearer tokens of the API. A token is 256 random bits that only its holder knows; what
// is kept, in memory for the guard and in Family::admin for good, is its SHA-256.
//
// Record: key "token/<id>", value version (1 byte, 1) and JSON: hash, user, name, scopes, created,
// expires, madeBy. A token without scopes is one of an older version and good for everything.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/registry.hpp"
#include "base/now.hpp"
#include "http/endpoint.hpp"
#include "plugin/audit.hpp"
#include "storage/kv_store.hpp"

namespace skerry::admin_api {

inline constexpr std::size_t tokens_max = 10'000;
inline constexpr std::size_t token_name_bytes_max = 128;

struct TokenInfo {
  std::string id;                        ///< "tok-" and 16 hexadecimal digits
  std::string user;                      ///< who asked for it
  std::string name;                      ///< what it is for
  std::vector<std::string> scopes{"*"};  ///< what it is good for (http/scope.hpp)
  WallTime created{};
  WallTime expires{};
  std::string made_by;  ///< id of the token that asked for it; empty: the user, by password

  bool is_expired(WallTime now) const noexcept { return now >= expires; }
};

/// Reading is thread-safe; create() and erase() belong to the admin loop.
class TokenStore {
 public:
  using Clock = std::function<WallTime()>;

  TokenStore(plugin::AuditLog& audit, Clock clock) : audit_(audit), clock_(std::move(clock)) {}
  TokenStore(const TokenStore&) = delete;
  TokenStore& operator=(const TokenStore&) = delete;

  /// Reads everything there is. Once, before any other call, on a thread that may block. A record
  /// that cannot be read is skipped: that token is refused.
  storage::Status load(const storage::KvStore& store);

  struct Created {
    storage::Status status;
    bool at_limit = false;  ///< tokens_max in the store: nothing was made
    std::string token;      ///< plain text, this one time
    TokenInfo info;
  };
  struct Wish {
    std::string user;
    std::string name;
    std::vector<std::string> scopes{"*"};  ///< valid ones
    WallTime expires{};
    std::string made_by = {};
  };
  /// Makes a token and resumes when it is durable. Expired tokens are forgotten on the way.
  boost::asio::awaitable<Created> create(Wish wish, auth::Actor actor);

  struct Erased {
    storage::Status status;
    bool found = false;  ///< false as well while another call erases it
  };
  /// The token is refused from now on, even when storing that fails, and then may be erased again;
  /// resumes when it is stored.
  boost::asio::awaitable<Erased> erase(std::string id, auth::Actor actor);

  /// Live tokens with id > `after`, at most `limit`. Any thread. O(tokens) at worst.
  std::vector<TokenInfo> list(std::string_view after, std::size_t limit) const;

  /// The live token of this id. Any thread.
  std::optional<TokenInfo> find(std::string_view id) const;

  /// The token that has made this one, empty when a user has; nullopt when there is no such token.
  /// Also of tokens that have expired or whose removal could not be stored. Any thread.
  std::optional<std::string> maker_of(std::string_view id) const;

  /// "user:<name>" with the token's scopes for a live token, otherwise an empty name. Any thread,
  /// never blocks for long.
  http::Principal principal_of(std::string_view token) const;

  /// Is there such a token, and has it not expired? Any thread.
  bool is_live(std::string_view id) const;

  /// principal_of() for the server; the store must outlive it.
  http::TokenGuard guard() const;

 private:
  struct Entry {
    TokenInfo info;
    std::string hash;
    /// Erased, but not known to be out of the store: seen by erase() and the limit alone.
    bool removing = false;
    bool erase_under_way = false;

    bool is_live(WallTime now) const noexcept { return !removing && !info.is_expired(now); }
  };

  /// Ids of expired tokens, whose removal is put into `batch`; forget() them when it is stored.
  std::vector<std::string> erase_expired(WallTime now, storage::Batch& batch) const;
  void forget(const std::vector<std::string>& ids);

  plugin::AuditLog& audit_;
  Clock clock_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry, std::less<>> by_id_;
  std::unordered_map<std::string, std::string> id_by_hash_;
};

}  // namespace skerry::admin_api
