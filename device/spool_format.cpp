#include "device/spool_format.hpp"

#include <algorithm>
#include <boost/crc.hpp>

#include "device/limits.hpp"
#include "base/byte_order.hpp"

namespace skerry::agent {

namespace {

constexpr std::string_view segment_magic{"SKSP\1\0\0\0", 8};
constexpr std::string_view position_magic{"SKPO\1\0\0\0", 8};

std::uint32_t checksum(std::string_view first, std::string_view second = {}) {
  boost::crc_32_type crc;
  crc.process_bytes(first.data(), first.size());
  crc.process_bytes(second.data(), second.size());
  return crc.checksum();
}

std::uint64_t read_word(std::string_view bytes, std::size_t offset) {
  return read_big_endian<std::uint64_t>(bytes.substr(offset, 8));
}

bool ends_with_checksum(std::string_view bytes) {
  const std::size_t size = bytes.size() - 4;
  return checksum(bytes.substr(0, size)) == read_big_endian<std::uint32_t>(bytes.substr(size));
}

std::optional<Position> decode_slot(std::string_view slot) {
  if (slot.size() < position_bytes || !slot.starts_with(position_magic) ||
      !ends_with_checksum(slot.substr(0, position_bytes))) {
    return std::nullopt;
  }
  Position position;
  position.generation = read_word(slot, 8);
  position.done = read_word(slot, 16);
  position.lost = {read_word(slot, 24), read_word(slot, 32), read_word(slot, 40),
                   read_word(slot, 48)};
  return position;
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out{segment_magic};
  out.append(header.boot.data(), header.boot.size());
  append_big_endian(out, header.first);
  append_big_endian(out, checksum(out));
  return out;
}

std::string encode_record(const SpoolTime& time, std::string_view body) {
  std::string head;
  append_big_endian(head, static_cast<std::uint32_t>(body.size()));
  std::string rest;
  rest.reserve(body.size() + 16);
  append_big_endian(rest, epoch_milliseconds(time.wall));
  append_big_endian(rest, std::int64_t{time.since_boot.count()});
  rest += body;
  append_big_endian(head, checksum(head, rest));
  return head + rest;
}

std::string encode_position(const Position& position) {
  std::string out{position_magic};
  append_big_endian(out, position.generation);
  append_big_endian(out, position.done);
  append_big_endian(out, position.lost.size);
  append_big_endian(out, position.lost.age);
  append_big_endian(out, position.lost.damage);
  append_big_endian(out, position.lost.refused);
  append_big_endian(out, checksum(out));
  return out;
}

std::optional<SegmentHeader> decode_segment_header(std::string_view bytes) {
  if (bytes.size() < segment_header_bytes || !bytes.starts_with(segment_magic) ||
      !ends_with_checksum(bytes.substr(0, segment_header_bytes))) {
    return std::nullopt;
  }
  SegmentHeader header;
  std::copy_n(bytes.data() + 8, header.boot.size(), header.boot.begin());
  header.first = read_word(bytes, 24);
  return header;
}

std::optional<RecordView> decode_record(std::string_view bytes) {
  if (bytes.size() < record_header_bytes) {
    return std::nullopt;
  }
  const auto length = read_big_endian<std::uint32_t>(bytes);
  if (length > record_bytes_max || bytes.size() - record_header_bytes < length) {
    return std::nullopt;
  }
  const std::string_view rest = bytes.substr(8, 16 + length);
  if (checksum(bytes.substr(0, 4), rest) != read_big_endian<std::uint32_t>(bytes.substr(4))) {
    return std::nullopt;
  }
  RecordView record;
  record.time.wall = wall_from_epoch(read_big_endian<std::int64_t>(rest));
  record.time.since_boot = Milliseconds{read_big_endian<std::int64_t>(rest.substr(8))};
  record.body = rest.substr(16);
  record.bytes = record_header_bytes + length;
  return record;
}

std::optional<Position> decode_position(std::string_view file) {
  std::optional<Position> best;
  for (std::size_t offset = 0; offset < file.size() && offset <= position_slot_bytes;
       offset += position_slot_bytes) {
    const auto slot = decode_slot(file.substr(offset));
    if (slot && (!best || slot->generation > best->generation)) {
      best = slot;
    }
  }
  return best;
}

}  // namespace skerry::agent
