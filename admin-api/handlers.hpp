// The groups of handlers that admin_endpoints() joins; one .cpp file each. Not for other folders.
#pragma once

#include <memory>

#include "admin-api/endpoints.hpp"

namespace skerry::admin_api {

using Services = std::shared_ptr<AdminServices>;

http::EndpointTable token_endpoints(const Services& services);
http::EndpointTable device_list_endpoints(const Services& services);
http::EndpointTable device_endpoints(const Services& services);
http::EndpointTable device_action_endpoints(const Services& services);
http::EndpointTable device_key_endpoints(const Services& services);
http::EndpointTable device_import_endpoints(const Services& services);
http::EndpointTable client_endpoints(const Services& services);
http::EndpointTable system_endpoints(const Services& services);
// Only with AdminServices::certificates.
http::EndpointTable ca_endpoints(const Services& services);
http::EndpointTable enrolment_token_endpoints(const Services& services);
http::EndpointTable service_endpoints(const Services& services);

}  // namespace skerry::admin_api
