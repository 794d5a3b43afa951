#include "auth/revocation_lists.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "auth/secret_file.hpp"
#include "base/assert.hpp"
#include "crypto/crl.hpp"

namespace skerry::auth {

std::string RevocationLists::issuer_of(const crypto::Certificate& issuer) {
  const auto fields = issuer.fields();
  return fields ? fields->fingerprint : std::string{};
}

void RevocationLists::add(std::string path, crypto::Certificate issuer, WallTime now) {
  std::vector<Serials> all;
  if (const auto earlier = lists_.load()) {
    for (const List& list : *earlier) {
      all.push_back(list.serials);
    }
  }
  all.push_back(read(path, issuer, now));
  std::string name = issuer_of(issuer);
  sources_.push_back({std::move(path), std::move(issuer), std::move(name)});
  replace(all);
}

std::vector<RevocationLists::Serials> RevocationLists::read_again(WallTime now) const {
  std::vector<Serials> found;
  for (const Source& source : sources_) {
    found.push_back(read(source.path, source.issuer, now));
  }
  return found;
}

void RevocationLists::replace(const std::vector<Serials>& read) {
  if (read.empty()) {
    return;
  }
  SKERRY_ASSERT(read.size() == sources_.size());
  auto lists = std::make_shared<std::vector<List>>();
  for (std::size_t index = 0; index < read.size(); ++index) {
    lists->push_back({sources_[index].issuer_name, read[index]});
  }
  lists_.store(std::move(lists));
}

bool RevocationLists::contains(std::string_view issuer, std::string_view serial) const {
  const auto lists = lists_.load();
  return lists && std::any_of(lists->begin(), lists->end(), [&](const List& list) {
           return (issuer.empty() || issuer == list.issuer_name) &&
                  std::binary_search(list.serials.begin(), list.serials.end(), serial);
         });
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
