// EnrolmentTokens: secrets with which a device whose key nobody could know beforehand is let in, a
// counted number of times (RFC 7030 section 3.2.3). A token is 256 random bits that only its holder
// knows; what is kept, in memory and in Family::admin, is its SHA-256.
//
// Record: key "enrolment/<id>", value version (1 byte, 1) and JSON: hash, what it allows, uses.
//
//   begin_use → the batch joins the change that it pays for → (stored: done | not: cancel_use)
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/registry.hpp"
#include "base/now.hpp"
#include "plugin/audit.hpp"
#include "storage/kv_store.hpp"

namespace skerry::auth {

struct EnrolmentToken {
  std::string id;  ///< "ent-" and 16 hexadecimal digits
  std::string created_by;
  /// The one device it is for; empty: any id that is not taken yet.
  std::string device;
  std::string model;              ///< of devices that it registers
  std::vector<std::string> tags;  ///< the same
  WallTime created{};
  WallTime expires{};
  std::uint32_t uses_max = 1;
  std::uint32_t uses = 0;
  std::string last_device;  ///< that it has let in; empty: none yet
  WallTime last_used{};

  bool is_good(WallTime now) const noexcept { return now < expires && uses < uses_max; }
};

/// Belongs to the admin loop.
class EnrolmentTokens {
 public:
  explicit EnrolmentTokens(plugin::AuditLog& audit) : audit_(audit) {}
  EnrolmentTokens(const EnrolmentTokens&) = delete;
  EnrolmentTokens& operator=(const EnrolmentTokens&) = delete;

  /// Reads everything there is. Once, before any other call, on a thread that may block. A record
  /// that cannot be read is skipped: that token is refused.
  storage::Status load(const storage::KvStore& store);

  struct Created {
    storage::Status status;
    bool at_limit = false;  ///< enrolment_tokens_max tokens: nothing was made
    std::string secret;     ///< plain text, this one time
    EnrolmentToken token;
  };
  /// Makes a token of what `wish` says of device, model, tags, uses_max and expires. Resumes when
  /// it is durable. Expired tokens are forgotten on the way.
  boost::asio::awaitable<Created> create(EnrolmentToken wish, Actor actor, WallTime now);

  struct Erased {
    storage::Status status;
    bool found = false;  ///< false as well while another call erases it
  };
  /// The token is refused from now on, even when storing that fails, and then may be erased again;
  /// resumes when it is stored.
  boost::asio::awaitable<Erased> erase(std::string id, Actor actor);

  /// Tokens with id > `after`, at most `limit`, used up and expired ones too.
  std::vector<EnrolmentToken> list(std::string_view after, std::size_t limit) const;
  /// nullptr when there is none. Good until the next change.
  const EnrolmentToken* find(std::string_view id) const;

  /// The token of this secret; nullptr when there is none, or it has expired or is used up. Looked
  /// up by its hash, so the time it takes says nothing of a secret. Good until the next change.
  const EnrolmentToken* find_secret(std::string_view secret, WallTime now) const;

  /// Counts a use for `device` and gives what makes it durable: to be stored with what it pays for
  /// or, when that comes to nothing, taken back. nullopt when it is not good any more.
  std::optional<storage::Batch> begin_use(std::string_view id, std::string_view device,
                                          WallTime now);
  void cancel_use(std::string_view id);

 private:
  struct Entry {
    EnrolmentToken token;
    std::string hash;
    /// Erased, but not known to be out of the store: seen by erase() and the limit alone.
    bool removing = false;
    bool erase_under_way = false;
  };
  void put(const Entry& entry, storage::Batch& batch) const;
  /// Ids of expired tokens, whose removal is put into `batch`; forget() them when it is stored.
  std::vector<std::string> erase_expired(WallTime now, storage::Batch& batch) const;
  void forget(const std::vector<std::string>& ids);

  plugin::AuditLog& audit_;
  std::map<std::string, Entry, std::less<>> by_id_;
  std::unordered_map<std::string, std::string> id_by_hash_;
};

}  // namespace skerry::auth
