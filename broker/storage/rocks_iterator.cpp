// Walks a range of one family. The bounds are given to the engine, so that it never reads, nor
// skips tombstones, outside of them.
#include "storage/rocks_iterator.hpp"

#include <utility>

namespace skerry::storage {

namespace {

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

std::string_view view(const rocksdb::Slice& text) {
  return {text.data(), text.size()};
}

class RocksIterator final : public Iterator {
 public:
  RocksIterator(std::shared_ptr<const Engine> engine, Family family, KeyRange range,
                const rocksdb::Snapshot* snapshot)
      : engine_(std::move(engine)),
        range_(std::move(range)),
        from_(slice(range_.from)),
        to_(slice(range_.to)) {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    options.iterate_lower_bound = &from_;
    options.iterate_upper_bound = range_.to.empty() ? nullptr : &to_;
    iterator_.reset(engine_->database().NewIterator(options, engine_->handle(family)));
  }

  void seek_first() override { iterator_->SeekToFirst(); }
  void seek_last() override { iterator_->SeekToLast(); }

  void seek(std::string_view key) override {
    iterator_->Seek(key < std::string_view(range_.from) ? from_ : slice(key));
  }

  void seek_before(std::string_view key) override {
    if (!range_.to.empty() && key >= std::string_view(range_.to)) {
      iterator_->SeekToLast();
    } else {
      iterator_->SeekForPrev(slice(key));
    }
  }

  void next() override {
    if (iterator_->Valid()) {
      iterator_->Next();
    }
  }

  void previous() override {
    if (iterator_->Valid()) {
      iterator_->Prev();
    }
  }

  bool valid() const override { return iterator_->Valid(); }

  std::string_view key() const override {
    return iterator_->Valid() ? view(iterator_->key()) : std::string_view();
  }

  std::string_view value() const override {
    return iterator_->Valid() ? view(iterator_->value()) : std::string_view();
  }

  Status status() const override { return status_from(iterator_->status(), "scan"); }

 private:
  std::shared_ptr<const Engine> engine_;  // Goes last: the iterator reads from it.
  KeyRange range_;
  rocksdb::Slice from_;
  rocksdb::Slice to_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace

RocksSnapshot::RocksSnapshot(std::shared_ptr<const Engine> engine)
    : engine_(std::move(engine)), handle_(engine_->database().GetSnapshot()) {}

RocksSnapshot::~RocksSnapshot() {
  engine_->database().ReleaseSnapshot(handle_);
}

std::unique_ptr<Iterator> make_rocks_iterator(std::shared_ptr<const Engine> engine, Family family,
                                              KeyRange range, const rocksdb::Snapshot* snapshot) {
  return std::make_unique<RocksIterator>(std::move(engine), family, std::move(range), snapshot);
}

}  // namespace skerry::storage
