// AdminAccounts: the people who may ask for a token, and their passwords as argon2id hashes in
// Family::admin. For now there is one, "admin", made on first start.
//
// Record: key "user/<name>", value version (1 byte, 1) and the encoded hash.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "plugin/audit.hpp"
#include "storage/kv_store.hpp"

namespace skerry::admin_api {

class AdminAccounts {
 public:
  explicit AdminAccounts(plugin::AuditLog& audit) : audit_(audit) {}
  AdminAccounts(const AdminAccounts&) = delete;
  AdminAccounts& operator=(const AdminAccounts&) = delete;

  struct Opened {
    storage::Status status;
    /// The password of "admin" in plain text, this one time: on the first start, or when `reset`
    /// was asked for. Print it; it is stored nowhere.
    std::optional<std::string> new_password;
  };
  /// Reads the accounts and makes "admin" when there is none. `reset`: gives "admin" a new password
  /// in any case. Once, before any other call, on a thread that may block.
  Opened open(const storage::KvStore& store, bool reset = false);

  /// Some 20 ms and 19 MiB, for unknown users as well: on the reader pool only. Any thread once
  /// opened.
  bool verify(std::string_view user, std::string_view password) const;

 private:
  plugin::AuditLog& audit_;
  std::map<std::string, std::string, std::less<>> hashes_;  ///< user → encoded; fixed once opened
  std::string decoy_hash_;  ///< compared with for unknown users, so that time tells nothing
};

}  // namespace skerry::admin_api
