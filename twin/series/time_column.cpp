#include "twin/series/time_column.hpp"

#include <algorithm>

namespace skerry::twin::series {
namespace {

enum class Form : std::uint8_t { differences, grid };

/// Fewer samples show no interval.
constexpr std::size_t grid_times_min = 4;

/// Timestamps are far from the ends of their type, but what is damaged must not overflow.
std::int64_t subtract(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) -
                                   static_cast<std::uint64_t>(right));
}

std::int64_t add(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) +
                                   static_cast<std::uint64_t>(right));
}

std::int64_t multiply(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) *
                                   static_cast<std::uint64_t>(right));
}

/// The interval at which the device means to report: the middle one of the differences, made exact
/// by the whole length. 0: none can be seen.
std::int64_t interval_of(std::span<const std::int64_t> times, std::vector<std::int64_t>& scratch) {
  scratch.clear();
  for (std::size_t i = 1; i < times.size(); ++i) {
    scratch.push_back(subtract(times[i], times[i - 1]));
  }
  const auto middle = scratch.begin() + static_cast<std::ptrdiff_t>(scratch.size() / 2);
  std::nth_element(scratch.begin(), middle, scratch.end());
  const std::int64_t usual = *middle;
  // A grid of more than a billion steps would be no gain, and its arithmetic could overflow.
  const std::int64_t length = subtract(times.back(), times.front());
  if (usual <= 1 || length < 0 || length / usual > 1'000'000'000) {
    return 0;
  }
  std::int64_t steps = 0;
  for (std::size_t i = 1; i < times.size(); ++i) {
    steps += (subtract(times[i], times[i - 1]) + usual / 2) / usual;
  }
  return steps == 0 ? 0 : std::max<std::int64_t>((length + steps / 2) / steps, 1);
}

void append_grid(std::span<const std::int64_t> times, std::int64_t interval, Workspace& workspace,
                 std::string& out) {
  std::vector<std::int64_t>& steps = workspace.integers;
  std::vector<std::int64_t>& distances = workspace.others;
  steps.clear();
  distances.clear();
  std::int64_t before = 0;
  for (const std::int64_t time : times.subspan(1)) {
    const std::int64_t offset = time - times.front();
    const std::int64_t at = (offset + interval / 2) / interval;
    steps.push_back(at - before);
    distances.push_back(offset - at * interval);
    before = at;
  }
  append_varint(out, static_cast<std::uint64_t>(interval));
  encode_integers(steps, TryZstd::no, workspace, out);
  encode_integers(distances, TryZstd::no, workspace, out);
}

bool read_grid(ByteReader& in, std::int64_t first, std::size_t count, Workspace& workspace,
               std::vector<std::int64_t>& out) {
  const auto interval = static_cast<std::int64_t>(in.varint());
  if (!decode_integers(in, count - 1, workspace, workspace.integers) ||
      !decode_integers(in, count - 1, workspace, workspace.others)) {
    return false;
  }
  std::int64_t at = 0;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    at = add(at, workspace.integers[i]);
    out.push_back(add(add(first, multiply(at, interval)), workspace.others[i]));
  }
  return true;
}

bool read_differences(ByteReader& in, std::int64_t first, std::size_t count, Workspace& workspace,
                      std::vector<std::int64_t>& out) {
  if (!decode_integers(in, count - 1, workspace, workspace.integers)) {
    return false;
  }
  std::int64_t time = first;
  for (const std::int64_t difference : workspace.integers) {
    time = add(time, difference);
    out.push_back(time);
  }
  return true;
}

}  // namespace

void encode_times(std::span<const std::int64_t> times, Workspace& workspace, std::string& out) {
  std::string& differences = workspace.column;
  differences.clear();
  workspace.integers.clear();
  for (std::size_t i = 1; i < times.size(); ++i) {
    workspace.integers.push_back(subtract(times[i], times[i - 1]));
  }
  encode_integers(workspace.integers, TryZstd::no, workspace, differences);
  const std::int64_t interval = times.size() < grid_times_min || differences.size() <= 16
                                    ? 0
                                    : interval_of(times, workspace.others);
  if (interval > 0) {
    std::string& grid = workspace.alternative;
    grid.clear();
    append_grid(times, interval, workspace, grid);
    if (grid.size() < differences.size()) {
      out.push_back(static_cast<char>(Form::grid));
      out.append(grid);
      return;
    }
  }
  out.push_back(static_cast<char>(Form::differences));
  out.append(differences);
}

bool decode_times(ByteReader& in, std::int64_t first, std::size_t count, Workspace& workspace,
                  std::vector<std::int64_t>& out) {
  out.clear();
  out.push_back(first);
  bool read = false;
  switch (static_cast<Form>(in.byte())) {
    case Form::differences:
      read = read_differences(in, first, count, workspace, out);
      break;
    case Form::grid:
      read = read_grid(in, first, count, workspace, out);
      break;
  }
  return read && in.ok() && std::is_sorted(out.begin(), out.end());
}

}  // namespace skerry::twin::series
