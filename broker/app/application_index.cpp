// The index of devices beside the registry: filled at the start, told of every change after that.
#include "app/application_impl.hpp"

namespace skerry::app {

namespace {

constexpr std::size_t page_devices = 1'000;

}  // namespace

void Application::Impl::open_index() {
  index = std::make_unique<auth::DeviceIndex>(
      [this](std::string_view id) { return registry->find(id); });
  registry->on_change([this](const auth::Device& device, auth::DeviceRegistry::Change) {
    index->changed(device.id);
  });
  std::string after;
  for (bool more = true; more;) {
    const auth::DevicePage page = registry->list(after, page_devices);
    for (const auth::DevicePointer& device : page.devices) {
      index->changed(device->id);
      after = device->id;
    }
    more = page.more;
  }
}

}  // namespace skerry::app
