// Joins the groups of handlers.
#include "admin-api/endpoints.hpp"

#include <iterator>

#include "admin-api/handlers.hpp"

namespace skerry::admin_api {

http::EndpointTable admin_endpoints(AdminServices services) {
  const auto shared = std::make_shared<AdminServices>(std::move(services));
  http::EndpointTable table;
  for (http::EndpointTable part :
       {token_endpoints(shared), device_list_endpoints(shared), device_endpoints(shared),
        device_action_endpoints(shared), device_key_endpoints(shared),
        device_import_endpoints(shared), client_endpoints(shared), system_endpoints(shared)}) {
    std::move(part.begin(), part.end(), std::back_inserter(table));
  }
  if (shared->certificates) {
    for (http::EndpointTable part :
         {ca_endpoints(shared), enrolment_token_endpoints(shared), service_endpoints(shared)}) {
      std::move(part.begin(), part.end(), std::back_inserter(table));
    }
  }
  return table;
}

}  // namespace skerry::admin_api
