#include "plugin/identity.hpp"

namespace skerry::plugin {

std::string Identity::owner() const {
  switch (kind) {
    case IdentityKind::anonymous:
      return "domain:" + name;
    case IdentityKind::device:
      return "device:" + name;
    case IdentityKind::service:
      return "service:" + name;
    case IdentityKind::user:
      return "user:" + name;
  }
  return {};
}

}  // namespace skerry::plugin
