// Marks a store as written by a version of Skerry that does not exist yet: newer_data DIRECTORY.
// The data directory of a newer version for errors_test.py.
#include <cstdio>
#include <string>

#include "storage/kv_store.hpp"

int main(int count, char** words) {
  using namespace skerry::storage;
  if (count != 2) {
    std::fputs("usage: newer_data DIRECTORY\n", stderr);
    return 2;
  }
  RocksOptions options;
  options.directory = words[1];
  OpenedStore opened = open_rocks_store(options);
  if (!opened.status.ok()) {
    std::fprintf(stderr, "%s\n", opened.status.detail.c_str());
    return 1;
  }
  Batch batch;
  batch.put(Family::meta, "format_version", std::to_string(format_version + 1));
  return opened.store->write(batch, true).ok() ? 0 : 1;
}
