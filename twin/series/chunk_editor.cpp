#include "twin/series/chunk_editor.hpp"

#include <algorithm>

#include "twin/series/keys.hpp"
#include "twin/series/value_column.hpp"

namespace skerry::twin::series {

using storage::Family;
using storage::Status;

ChunkEditor::ChunkEditor(Parts parts, std::string prefix, std::string end, bool is_blank)
    : parts_(parts), prefix_(std::move(prefix)), end_(std::move(end)), is_blank_(is_blank) {}

/// False: there is nothing to iterate over, because the store is closed or counts as blank.
bool ChunkEditor::open() {
  if (chunks_ == nullptr && !is_blank_) {
    chunks_ = parts_.store.scan(Family::series_chunks, {prefix_, end_}, &parts_.snapshot);
  }
  return chunks_ != nullptr;
}

/// The chunk that the iterator stands on.
std::optional<ChunkEditor::Found> ChunkEditor::here() const {
  if (!chunks_->valid()) {
    return std::nullopt;
  }
  const auto place = parse_chunk_place(chunks_->key().substr(prefix_.size()));
  Found found;
  found.place = place.value_or(SamplePlace{});
  found.is_readable = place && read_chunk_header(chunks_->value(), found.header);
  if (!found.is_readable) {
    count(parts_.statistics.records_damaged);
  }
  return found;
}

bool ChunkEditor::is_gone(SamplePlace place) const {
  return std::any_of(gone_.begin(), gone_.end(), [place](const auto& range) {
    return !(place < range.first) && !(range.second < place);
  });
}

/// The last chunk that begins at `place` or before it. Damaged ones are as if not there.
std::optional<ChunkEditor::Found> ChunkEditor::find_before(SamplePlace place) {
  if (!open()) {
    return std::nullopt;
  }
  chunks_->seek_before(chunk_key(prefix_, place));
  for (auto found = here(); found; found = here()) {
    if (found->is_readable && !is_gone(found->place)) {
      return found;
    }
    chunks_->previous();
  }
  return std::nullopt;
}

/// The first chunk that begins behind `place`.
std::optional<ChunkEditor::Found> ChunkEditor::find_behind(SamplePlace place) {
  if (!open()) {
    return std::nullopt;
  }
  const std::string key = chunk_key(prefix_, place);
  chunks_->seek(key);
  if (chunks_->valid() && chunks_->key() == key) {
    chunks_->next();
  }
  for (auto found = here(); found; found = here()) {
    if (found->is_readable && !is_gone(found->place)) {
      return found;
    }
    chunks_->next();
  }
  return std::nullopt;
}

/// Decodes the chunk on which the iterator stands. One that cannot be stays where it is, and is
/// from then on as if not there: it must not keep what comes after it from being stored.
bool ChunkEditor::decode(const Found& chunk, std::vector<StoredSample>& samples) {
  if (decode_chunk(chunks_->value(), parts_.workspace, samples)) {
    return true;
  }
  samples.clear();
  count(parts_.statistics.records_damaged);
  gone_.emplace_back(chunk.place, chunk.place);
  return false;
}

void ChunkEditor::remove(SamplePlace place) {
  parts_.batch.erase(Family::series_chunks, chunk_key(prefix_, place));
  gone_.emplace_back(place, place);
}

Status ChunkEditor::erase(TimeRange range) {
  std::erase_if(left_over_,
                [&](const StoredSample& sample) { return range.holds(sample.timestamp); });
  auto found = find_before({range.from, 0});
  if (!found || found->header.last < range.from) {
    found = find_behind({range.from, 0});
  }
  std::optional<SamplePlace> first_whole;
  SamplePlace last_whole;
  while (found && found->place.timestamp <= range.to) {
    const SamplePlace place = found->place;
    if (place.timestamp >= range.from && found->header.last <= range.to) {
      first_whole = first_whole.value_or(place);
      last_whole = place;
    } else if (found->header.last >= range.from) {
      cut(*found, range);
    }
    found = find_behind(place);
  }
  if (first_whole) {
    parts_.batch.erase_range(Family::series_chunks, chunk_key(prefix_, *first_whole),
                             chunk_key(prefix_, last_whole) + '\0');
    gone_.emplace_back(*first_whole, last_whole);
  }
  return status();
}

/// Takes the chunk on which the iterator stands apart and keeps what lies outside of the range. Of
/// one that cannot be read nobody can tell what lies where: all of it goes, as was asked for.
void ChunkEditor::cut(const Found& chunk, TimeRange range) {
  std::vector<StoredSample> samples;
  decode(chunk, samples);
  for (StoredSample& sample : samples) {
    if (!range.holds(sample.timestamp)) {
      left_over_.push_back(std::move(sample));
    }
  }
  remove(chunk.place);
}

/// The chunk that samples from `place` on join, with its samples in `base`.
std::optional<ChunkEditor::Found> ChunkEditor::find_to_join(SamplePlace place,
                                                            std::vector<StoredSample>& base) {
  for (auto found = find_before(place); found; found = find_before(place)) {
    if (found->header.last < place.timestamp && found->header.totals.count >= chunk_samples_small) {
      return std::nullopt;
    }
    if (decode(*found, base)) {
      return found;
    }
  }
  return std::nullopt;
}

Status ChunkEditor::add(std::vector<StoredSample> samples) {
  if (!left_over_.empty()) {
    left_over_.insert(left_over_.end(), std::make_move_iterator(samples.begin()),
                      std::make_move_iterator(samples.end()));
    samples.swap(left_over_);
    sort_and_collapse(samples);
  }
  std::size_t at = 0;
  while (at < samples.size()) {
    const SamplePlace place = place_of(samples[at]);
    std::vector<StoredSample> base;
    const auto before = find_to_join(place, base);
    const auto behind = find_behind(place);
    std::size_t end = samples.size();
    if (behind) {
      const auto reaches = [&behind](const StoredSample& sample) {
        return sample.timestamp < behind->place.timestamp ||
               (sample.timestamp == behind->place.timestamp && place_of(sample) < behind->place);
      };
      end = at + 1;
      while (end < samples.size() && reaches(samples[end])) {
        ++end;
      }
    }
    if (before) {
      remove(before->place);
      count(parts_.statistics.chunks_rewritten);
    }
    base.insert(base.end(),
                std::make_move_iterator(samples.begin() + static_cast<std::ptrdiff_t>(at)),
                std::make_move_iterator(samples.begin() + static_cast<std::ptrdiff_t>(end)));
    count(parts_.statistics.samples_collapsed, sort_and_collapse(base));
    write(std::move(base), !behind);
    at = end;
  }
  return status();
}

/// Cuts into chunks. At the end of the series the first ones are filled, since more will come;
/// elsewhere all become about equal.
void ChunkEditor::write(std::vector<StoredSample> samples, bool is_last) {
  const std::size_t pieces = (samples.size() + chunk_samples_max - 1) / chunk_samples_max;
  const std::size_t size = is_last ? chunk_samples_max : (samples.size() + pieces - 1) / pieces;
  std::vector<StoredSample> piece;
  std::size_t text_bytes = 0;
  for (StoredSample& sample : samples) {
    const auto* text = std::get_if<std::string>(&sample.value);
    const std::size_t bytes = text != nullptr ? text->size() : 0;
    if (!piece.empty() && (piece.size() == size || text_bytes + bytes > chunk_text_bytes_max)) {
      write_piece(std::move(piece));
      piece.clear();
      text_bytes = 0;
    }
    text_bytes += bytes;
    piece.push_back(std::move(sample));
  }
  write_piece(std::move(piece));
}

void ChunkEditor::write_piece(std::vector<StoredSample> piece) {
  if (piece.empty()) {
    return;
  }
  std::string chunk;
  encode_chunk(piece, parts_.workspace, chunk);
  const SamplePlace place = place_of(piece.front());
  parts_.batch.put(Family::series_chunks, chunk_key(prefix_, place), chunk);
  count(parts_.statistics.chunks_written);
  count(parts_.statistics.chunk_bytes_written, chunk.size());
  written_[place] = std::move(piece);
}

Result<std::vector<StoredSample>, Status> ChunkEditor::samples(TimeRange range) {
  std::vector<StoredSample> out;
  const auto take = [&](const std::vector<StoredSample>& from) {
    for (const StoredSample& sample : from) {
      if (range.holds(sample.timestamp)) {
        out.push_back(sample);
      }
    }
  };
  std::vector<StoredSample> decoded;
  auto found = find_before({range.from, 0});
  if (!found || found->header.last < range.from) {
    found = find_behind({range.from, 0});
  }
  while (found && found->place.timestamp <= range.to) {
    decode(*found, decoded);
    take(decoded);
    found = find_behind(found->place);
  }
  for (const auto& [place, piece] : written_) {
    if (place.timestamp > range.to) {
      break;
    }
    if (piece.back().timestamp >= range.from) {
      take(piece);
    }
  }
  sort_and_collapse(out);
  if (Status failed = status(); !failed.ok()) {
    return failed;
  }
  return out;
}

Result<std::optional<StoredSample>, Status> ChunkEditor::newest() {
  std::optional<StoredSample> newest;
  if (!written_.empty()) {
    newest = written_.rbegin()->second.back();
  }
  constexpr SamplePlace end{INT64_MAX, UINT64_MAX};
  for (auto found = find_before(end); found && (!newest || newest->timestamp <= found->header.last);
       found = find_before(end)) {
    std::vector<StoredSample> samples;
    if (decode(*found, samples)) {
      if (!newest || is_before(*newest, samples.back())) {
        newest = samples.back();
      }
      break;
    }
  }
  if (Status failed = status(); !failed.ok()) {
    return failed;
  }
  return newest;
}

}  // namespace skerry::twin::series
