#include "auth/revocation_lists.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "auth/secret_file.hpp"
#include "crypto/crl.hpp"

namespace skerry::auth {

void RevocationLists::add(std::string path, crypto::Certificate issuer, WallTime now) {
  Serials all = read(path, issuer, now);
  if (const auto earlier = serials_.load()) {
    all.insert(all.end(), earlier->begin(), earlier->end());
  }
  sources_.push_back({std::move(path), std::move(issuer)});
  replace({std::move(all)});
}

std::vector<RevocationLists::Serials> RevocationLists::read_again(WallTime now) const {
  std::vector<Serials> found;
  for (const Source& source : sources_) {
    found.push_back(read(source.path, source.issuer, now));
  }
  return found;
}

void RevocationLists::replace(const std::vector<Serials>& read) {
  auto all = std::make_shared<Serials>();
  for (const Serials& serials : read) {
    all->insert(all->end(), serials.begin(), serials.end());
  }
  std::sort(all->begin(), all->end());
  serials_.store(std::move(all));
}

bool RevocationLists::contains(std::string_view serial) const {
  const auto serials = serials_.load();
  return serials && std::binary_search(serials->begin(), serials->end(), serial);
}

RevocationLists::Serials RevocationLists::read(const std::string& path,
                                               const crypto::Certificate& issuer,
                                               WallTime now) const {
  const auto text = read_file(path, crypto::crl_bytes_max);
  if (!text) {
    throw std::runtime_error("cannot read " + path + ": there is no such file");
  }
  auto found = crypto::read_revoked_serials(*text, issuer);
  if (!found) {
    throw std::runtime_error("cannot use " + path + ": " + found.error().what);
  }
  if (found->next_update <= now) {
    warn_(path + " should have been replaced by a newer list; it stays in force");
  }
  return std::move(found->serials);
}

}  // namespace skerry::auth
