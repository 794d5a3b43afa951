// Writes another format_version into a store, as a later release would: newer_version STORE NUMBER.
#include <rocksdb/db.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

int main(int count, char** arguments) {
  if (count != 3) {
    return 2;
  }
  std::vector<std::string> names;
  rocksdb::DBOptions options;
  if (!rocksdb::DB::ListColumnFamilies(options, arguments[1], &names).ok()) {
    return 1;
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) {
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  if (!rocksdb::DB::Open(options, arguments[1], families, &handles, &opened).ok()) {
    return 1;
  }
  const std::unique_ptr<rocksdb::DB> store(opened);
  bool written = false;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == "meta") {
      written = store->Put({}, handles[i], "format_version", arguments[2]).ok();
    }
    store->DestroyColumnFamilyHandle(handles[i]);
  }
  return written ? 0 : 1;
}
