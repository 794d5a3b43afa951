// The store's surroundings: the watch over free space, and what of it an operator is told.
#include <unistd.h>

#include <stdexcept>

#include "app/application_impl.hpp"
#include "auth/registry_record.hpp"
#include "auth/secret_file.hpp"
#include "crypto/crl.hpp"
#include "storage/salvage.hpp"

namespace skerry::app {

namespace {

/// How long a certificate stays revoked of which only the serial is known.
constexpr std::chrono::hours unknown_life{10 * 365 * 24};

/// The file that says that the running store was found damaged.
std::string damage_mark(const std::string& data_dir) {
  return data_dir + "/store-damaged";
}

std::string quarantine_name(WallTime now) {
  return std::to_string(epoch_milliseconds(now));
}

}  // namespace

void Application::Impl::open_salvaged(const storage::RocksOptions& rocks) {
  const std::string mark = damage_mark(configuration.data_dir);
  storage::SalvageOptions salvage{
      rocks, configuration.data_dir + "/quarantine/" + quarantine_name(read_clocks().wall)};
  salvage.thorough = auth::read_file(mark).has_value();
  storage::SalvagedStore opened = storage::open_or_salvage(salvage);
  if (!opened.opened.status.ok()) {
    throw std::runtime_error(opened.opened.status.detail);
  }
  store = std::move(opened.opened.store);
  salvaged = std::move(opened.report);
  for (const std::string& finding : salvaged.findings) {
    log.error("store_salvaged", finding);
  }
  if (!salvaged.directory.empty()) {
    log.error("store_salvaged", "what was damaged lies in " + salvaged.directory +
                                    "; it holds all that the store held, keep it as safe");
  }
  ::unlink(mark.c_str());
}

// Compaction may find damage long after the start. The next start then looks at every table.
void Application::Impl::mark_damaged() const {
  try {
    auth::write_file(damage_mark(configuration.data_dir), "1\n", auth::FileMode::open);
    log.error("store_damaged", "restart the server: it will set aside what is damaged");
  } catch (const std::exception& error) {
    log.error("store_damaged", error.what());
  }
}

// The last revocation list is a second copy of what was revoked. What it names stays revoked,
// whatever the store has lost or has in an older version.
void Application::Impl::keep_revocations() {
  if (!salvaged.identity_in_doubt) {
    return;
  }
  const auto der = auth::read_file(authority->directory() + "/device.crl", crypto::crl_bytes_max);
  const auto list = der ? crypto::read_crl(*der, authority->device_ca())
                        : Result<crypto::CrlFields, crypto::Failure>(crypto::Failure{});
  if (!list) {
    log.error("revocations_not_kept", "there is no readable revocation list beside the store");
    return;
  }
  storage::Batch batch;
  for (const crypto::RevokedCertificate& entry : list->entries) {
    const std::string key = auth::revocation_record_key(entry.serial);
    std::string known;
    if (store->get(storage::Family::registry, key, known).code == storage::StatusCode::not_found) {
      batch.put(storage::Family::registry, key,
                auth::encode_revocation({read_clocks().wall + unknown_life,
                                         entry.revoked,
                                         {},
                                         static_cast<auth::RevocationReason>(entry.reason)}));
    }
  }
  const std::uint32_t kept = batch.count();
  if (const auto status = committer->write_and_wait(std::move(batch)); !status.ok()) {
    throw std::runtime_error("the kept revocations cannot be stored: " + status.detail);
  }
  log.warning("revocations_kept", std::to_string(kept) + " of " +
                                      std::to_string(list->entries.size()) +
                                      " revoked certificates were taken from the last list");
}

void Application::Impl::watch_space() {
  storage::SpaceWatchOptions watch;
  watch.minimum = configuration.persistence.free_space_min;
  watch.measure = [directory = configuration.data_dir] { return storage::disk_space(directory); };
  watch.log = [this](std::string_view event, std::string_view detail) { log.error(event, detail); };
  space = std::make_unique<storage::SpaceWatch>(*store, std::move(watch));
  space->start();
}

// Not a reason against traffic: clients that come make room by taking what waits for them, and QoS
// 0 goes on.
std::vector<std::string> Application::Impl::warnings() const {
  std::vector<std::string> told;
  if (space->low()) {
    told.push_back("free disk space is low (" + std::to_string(space->free_bytes()) +
                   " bytes, durable work is taken again above " +
                   std::to_string(space->mark_bytes() + space->mark_bytes() / 4) +
                   "): durable work is refused, QoS 0 and deletions go on");
  }
  if (salvaged.damaged()) {
    told.push_back("the store was damaged at start; " +
                   (salvaged.directory.empty()
                        ? std::string("there was nothing to set aside")
                        : "what could not be used lies in " + salvaged.directory) +
                   ", the log says what was lost");
  }
  if (salvaged.identity_in_doubt) {
    told.push_back(
        "changes of devices, services or accounts may be among what was lost: compare them with "
        "what you know, suspended devices first");
  }
  return told;
}

}  // namespace skerry::app
