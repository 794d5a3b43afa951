#include "options.hpp"

namespace skerry::bench {

std::string client_id_of(const Common& common, ClientIndex index) {
  return common.client_prefix + std::to_string(index);
}

ConnectFields connect_fields(const Common& common, ClientIndex index,
                             std::uint32_t session_expiry) {
  ConnectFields fields;
  fields.client_id = client_id_of(common, index);
  fields.version = common.version();
  fields.session_expiry = session_expiry;
  fields.user_name = common.user_name;
  fields.password = common.password;
  return fields;
}

}  // namespace skerry::bench
