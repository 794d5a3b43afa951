// Backups: where they lie, who asks for them, who is told how they ended.
#include <stdexcept>

#include "admin-api/backup_endpoints.hpp"
#include "app/application_impl.hpp"
#include "backup/restore.hpp"

namespace skerry::app {

void Application::Impl::refuse_half_restored() const {
  if (const backup::Outcome outcome = backup::check_restored(configuration.data_dir);
      !outcome.ok()) {
    throw std::runtime_error(outcome.detail);
  }
}

void Application::Impl::open_backups() {
  const PersistenceConfiguration& wish = configuration.persistence;
  backup::ServiceOptions service;
  service.data_dir = configuration.data_dir;
  service.directory =
      wish.backup_directory.empty() ? configuration.data_dir + "/backups" : wish.backup_directory;
  service.keep = wish.backup_keep;
  service.server_version = version();
  service.clock = [] { return read_clocks().wall; };
  service.checkpoint = [this](const std::string& to) { return store->checkpoint(to); };
  service.ended = [this](const backup::Info& info) {
    const std::string& name = info.manifest.name;
    if (info.outcome.ok()) {
      log.information("backup_complete",
                      name + ": " + std::to_string(info.manifest.bytes()) + " bytes in " +
                          std::to_string(info.manifest.files.size()) + " files, up to write " +
                          std::to_string(info.manifest.sequence));
    } else {
      log.error("backup_failed", name + ": " + info.outcome.detail);
    }
    audit->submit({},
                  {"system", "backup.end", "backup:" + name,
                   std::string{backup::name_of(info.outcome.code)}, info.outcome.detail, ""},
                  [](const storage::Status&) {});
  };
  backups = std::make_unique<backup::BackupService>(std::move(service));
}

http::EndpointTable Application::Impl::backup_table() {
  return admin_api::backup_endpoints({*backups, *readers, *audit});
}

}  // namespace skerry::app
