// /api/v1/backups: backups of this server on its own disk. Verification and restore are no calls:
// they are for a server that is not there (skerryctl backup verify, restore).
#pragma once

#include "backup/service.hpp"
#include "http/endpoint.hpp"
#include "plugin/audit.hpp"
#include "storage/reader_pool.hpp"

namespace skerry::admin_api {

/// All must outlive the table, which is used on the admin loop.
struct BackupServices {
  backup::BackupService& backups;
  storage::ReaderPool& readers;
  plugin::AuditLog& audit;
};

/// POST, GET /api/v1/backups · GET, DELETE /api/v1/backups/{name}
http::EndpointTable backup_endpoints(const BackupServices& services);

}  // namespace skerry::admin_api
