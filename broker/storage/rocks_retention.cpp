// The engine's compaction filter over a RetentionFilter. It removes and never changes.
#include "storage/rocks_retention.hpp"

#include <string>
#include <utility>

namespace skerry::storage {

namespace {

class ExpiredRecords final : public rocksdb::CompactionFilter {
 public:
  ExpiredRecords(Family family, std::shared_ptr<const RetentionFilter> filter)
      : family_(family), filter_(std::move(filter)) {}

  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string*,
              bool*) const override {
    return !filter_->keeps(family_, {key.data(), key.size()}, {value.data(), value.size()});
  }

  const char* Name() const override { return "skerry.retention"; }

 private:
  Family family_;
  std::shared_ptr<const RetentionFilter> filter_;
};

class Factory final : public rocksdb::CompactionFilterFactory {
 public:
  Factory(Family family, std::shared_ptr<const RetentionSlot> slot)
      : family_(family), slot_(std::move(slot)) {}

  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    auto filter = slot_->get();
    return filter == nullptr ? nullptr
                             : std::make_unique<ExpiredRecords>(family_, std::move(filter));
  }

  const char* Name() const override { return "skerry.retention"; }

 private:
  Family family_;
  std::shared_ptr<const RetentionSlot> slot_;
};

}  // namespace

std::shared_ptr<rocksdb::CompactionFilterFactory> make_retention_factory(
    Family family, std::shared_ptr<const RetentionSlot> slot) {
  return std::make_shared<Factory>(family, std::move(slot));
}

}  // namespace skerry::storage
