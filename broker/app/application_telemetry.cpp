// Telemetry and the live stream: what their routes need to know of devices.
#include <algorithm>

#include "app/application_impl.hpp"
#include "auth/device_fields.hpp"

namespace skerry::app {
namespace {

/// What a filter of devices is refused with, for the twin and for the live stream.
template <typename Error>
Error refusal_of(const filter::FilterError& error) {
  return {error.offset, error.what};
}

/// The texts of a field, as groups that the device is in.
std::vector<std::string> groups_of(const auth::Device& device, std::string_view field) {
  std::vector<std::string> groups;
  const auth::DevicePresence presence;
  auth::DeviceFields(device, presence).each(field, [&groups](const filter::Value& value) {
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      groups.emplace_back(*text);
    }
    return false;
  });
  return groups;
}

bool can_group(std::string_view field) noexcept {
  return field == "tags" || field == "state" || field == "model" ||
         field.starts_with("attributes.");
}

}  // namespace

Result<std::vector<twin::SelectedDevice>, twin::SelectionError> Application::Impl::select_devices(
    const twin::DeviceSelection& selection, std::string_view after, std::size_t limit) {
  if (!selection.group_by.empty() && !can_group(selection.group_by)) {
    return twin::SelectionError{
        0, "devices can be grouped by all, tags, state, model or attributes.<name>"};
  }
  const auto filter = auth::parse_device_filter(selection.filter);
  if (filter.has_error()) {
    return refusal_of<twin::SelectionError>(filter.error());
  }
  std::vector<std::string> ids;
  if (selection.devices.empty()) {
    ids = index->ids(*filter, after, limit, read_clocks().wall);
  } else {
    const auto begin = std::upper_bound(selection.devices.begin(), selection.devices.end(), after);
    const auto count = std::min<std::ptrdiff_t>(selection.devices.end() - begin,
                                                static_cast<std::ptrdiff_t>(limit));
    ids.assign(begin, begin + count);
  }
  std::vector<twin::SelectedDevice> found;
  for (std::string& id : ids) {
    std::vector<std::string> groups;
    if (!selection.group_by.empty()) {
      if (const auth::DevicePointer device = registry->find(id)) {
        groups = groups_of(*device, selection.group_by);
      }
    }
    found.push_back({std::move(id), std::move(groups)});
  }
  return found;
}

twin::TelemetryEndpointOptions Application::Impl::telemetry_options() {
  twin::TelemetryEndpointOptions telemetry;
  telemetry.store = series.get();
  telemetry.units = units.get();
  telemetry.pool = readers.get();
  telemetry.audit = audit.get();
  telemetry.device_exists = [this](std::string_view device) {
    return registry->find(device) != nullptr;
  };
  telemetry.select_devices = [this](const twin::DeviceSelection& selection, std::string_view after,
                                    std::size_t limit) {
    return select_devices(selection, after, limit);
  };
  telemetry.units_erased = [this] { tap->forget_units(); };
  return telemetry;
}

admin_api::EventStreamOptions Application::Impl::event_options() {
  admin_api::EventStreamOptions stream;
  stream.hub = &events;
  stream.device_exists = [this](std::string_view device) {
    return registry->find(device) != nullptr;
  };
  stream.parse_filter =
      [this](std::string_view text) -> Result<admin_api::EventFilter, admin_api::EventFilterError> {
    auto filter = auth::parse_device_filter(text);
    if (filter.has_error()) {
      return refusal_of<admin_api::EventFilterError>(filter.error());
    }
    return admin_api::EventFilter([this, chosen = *std::move(filter)](std::string_view device) {
      return index->matches(chosen, device, read_clocks().wall);
    });
  };
  return stream;
}

}  // namespace skerry::app
