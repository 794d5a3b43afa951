// ChunkEditor: works erasures and new samples of one series into its chunks. It reads the store as
// a snapshot shows it and writes to a batch; what it has written so far it knows itself. After it,
// chunks of a series do not overlap, and each sample is in one of them.
//
//   new samples  ──▶ fall between two chunks, behind a full one: chunks of their own
//                └─▶ fall into a chunk, or behind a small one: merged with it, cut anew if too long
//   an erasure   ──▶ takes whole chunks by one range, and cuts those at its ends
//
// For one thread; used by SeriesEditor.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "storage/kv_store.hpp"
#include "twin/series/chunk.hpp"
#include "twin/series/limits.hpp"
#include "twin/series/samples.hpp"
#include "twin/series/series_view.hpp"

namespace skerry::twin::series {

class ChunkEditor {
 public:
  /// All must outlive the editor.
  struct Parts {
    const storage::KvStore& store;
    const storage::Snapshot& snapshot;
    Workspace& workspace;
    SeriesStatistics& statistics;
    storage::Batch& batch;
  };
  /// `is_blank`: take it that the store holds no chunk of the series, whatever it shows.
  ChunkEditor(Parts parts, std::string prefix, std::string end, bool is_blank);

  /// Before add(). Samples at the ragged ends come back into chunks with the next add().
  storage::Status erase(TimeRange range);
  /// Sorted and collapsed. Once.
  storage::Status add(std::vector<StoredSample> samples);

  /// Samples of the range as they are now.
  Result<std::vector<StoredSample>, storage::Status> samples(TimeRange range);
  /// The newest sample there is now.
  Result<std::optional<StoredSample>, storage::Status> newest();

 private:
  /// A chunk as the snapshot shows it.
  struct Found {
    SamplePlace place;
    ChunkHeader header;
    bool is_readable = false;
  };

  bool open();
  std::optional<Found> here() const;
  bool is_gone(SamplePlace place) const;
  std::optional<Found> find_before(SamplePlace place);
  std::optional<Found> find_behind(SamplePlace place);
  bool decode(const Found& chunk, std::vector<StoredSample>& samples);
  void cut(const Found& chunk, TimeRange range);
  std::optional<Found> find_to_join(SamplePlace place, std::vector<StoredSample>& base);
  storage::Status add_run(std::vector<StoredSample> run, const std::optional<Found>& before,
                          bool is_last);
  void remove(SamplePlace place);
  void write(std::vector<StoredSample> samples, bool is_last);
  void write_piece(std::vector<StoredSample> piece);
  storage::Status status() const { return chunks_ ? chunks_->status() : storage::Status(); }

  Parts parts_;
  std::string prefix_;
  std::string end_;
  bool is_blank_;
  std::unique_ptr<storage::Iterator> chunks_;              ///< null until it is needed
  std::vector<std::pair<SamplePlace, SamplePlace>> gone_;  ///< chunks from … to, both included
  std::vector<StoredSample> left_over_;                    ///< of chunks that an erasure cut
  std::map<SamplePlace, std::vector<StoredSample>> written_;
};

}  // namespace skerry::twin::series
