// RollupEditor: brings the roll-ups of one series in line with its chunks. Told which minutes have
// changed and which ranges were erased, it makes those minutes anew from the samples, their hours
// from the minutes, their days from the hours. It reads through a snapshot and writes to a batch,
// like ChunkEditor, and asks that for samples.
//
// A bucket whose samples have outlived their time cannot be made anew: an erasure that meets it
// takes it whole.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "twin/series/chunk_editor.hpp"
#include "twin/series/keys.hpp"
#include "twin/series/rollup.hpp"

namespace skerry::twin::series {

class RollupEditor {
 public:
  RollupEditor(ChunkEditor::Parts parts, std::string prefix, Horizons horizons, bool is_blank);

  /// A sample of this time is new.
  void touch(std::int64_t time);
  void erase(TimeRange range) { erased_.push_back(range); }

  /// Writes what follows from touch() and erase(); once, when `chunks` is through.
  storage::Status finish(ChunkEditor& chunks);

 private:
  /// Buckets of blocks that were read or changed, by start of the block.
  struct Edited {
    std::map<std::int64_t, std::vector<RollupBucket>> blocks;
    std::set<std::int64_t> changed;  ///< blocks that are to be written
    std::set<std::int64_t> stale;    ///< buckets to be made anew
  };

  storage::Status apply_erased(Level level, Edited& edited, Edited* coarser);
  storage::Status erase_blocks(Level level, TimeRange range, Edited& edited, Edited* coarser);
  storage::Status make_minutes(ChunkEditor& chunks, Edited& minutes, Edited& hours);
  storage::Status make_from_finer(Level level, Edited& edited, Edited& finer, Edited* coarser);
  Result<std::vector<RollupBucket>*, storage::Status> block_of(Level level, std::int64_t time,
                                                               Edited& edited);
  storage::Status replace(Level level, const RollupBucket& bucket, Edited& edited);
  void write(Level level, const Edited& edited);

  ChunkEditor::Parts parts_;
  std::string prefix_;
  Horizons horizons_;
  bool is_blank_;
  std::vector<std::int64_t> touched_;  ///< minutes, as they came
  std::vector<TimeRange> erased_;
};

}  // namespace skerry::twin::series
