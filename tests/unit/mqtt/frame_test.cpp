// FrameDecoder: whatever the pieces, the same frames; and headers that lie.
#include "mqtt/frame.hpp"

#include <doctest/doctest.h>

#include <random>

#include "unit/mqtt/vectors.hpp"

namespace skerry::mqtt::testing {
namespace {

constexpr std::uint32_t no_limit = 268'435'460;

std::vector<std::string> all_packets() {
  std::vector<std::string> packets;
  for (const Vector& vector : vectors()) {
    packets.push_back(bytes_of(vector.notation));
  }
  return packets;
}

std::string joined(const std::vector<std::string>& packets) {
  std::string stream;
  for (const std::string& packet : packets) {
    stream += packet;
  }
  return stream;
}

/// Feeds one piece, in memory of its own, and appends the frames it completes. All frames of a feed
/// are looked at after the last next() that gave one, because they must live that long.
void feed_piece(FrameDecoder& decoder, std::string_view piece, std::vector<std::string>& frames) {
  const std::vector<std::uint8_t> chunk(piece.begin(), piece.end());
  decoder.feed(chunk);
  std::vector<Frame> shown;
  for (;;) {
    const std::size_t before = shown.size();
    if (before > 0) {
      // The oldest frame of this feed must still be whole.
      REQUIRE(shown[0].whole[0] == shown[0].first_byte);
    }
    std::vector<std::string> copies;
    for (const Frame& frame : shown) {
      copies.emplace_back(as_text(frame.whole));
    }
    const auto frame = decoder.next();
    REQUIRE(frame.has_value());
    if (!*frame) {
      frames.insert(frames.end(), copies.begin(), copies.end());
      return;
    }
    for (std::size_t i = 0; i < shown.size(); ++i) {
      REQUIRE(as_text(shown[i].whole) == copies[i]);
    }
    const Frame& found = **frame;
    CHECK(found.first_byte == found.whole[0]);
    CHECK(found.body.data() + found.body.size() == found.whole.data() + found.whole.size());
    shown.push_back(found);
  }
}

TEST_CASE("a stream fed at once, byte by byte or in any pieces gives the same frames") {
  const std::vector<std::string> packets = all_packets();
  const std::string stream = joined(packets);
  for (std::size_t piece = 1; piece <= 40; ++piece) {
    FrameDecoder decoder(no_limit);
    std::vector<std::string> frames;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      feed_piece(decoder, std::string_view(stream).substr(at, piece), frames);
    }
    CHECK(frames == packets);
    CHECK(decoder.buffered_bytes() == 0);
  }
  FrameDecoder decoder(no_limit);
  std::vector<std::string> frames;
  feed_piece(decoder, stream, frames);
  CHECK(frames == packets);
}

TEST_CASE("random splits give the same frames") {
  const std::vector<std::string> packets = all_packets();
  const std::string stream = joined(packets);
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    FrameDecoder decoder(no_limit);
    std::vector<std::string> frames;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t piece = random() % 4 == 0 ? random() % 300 : random() % 12;
      feed_piece(decoder, std::string_view(stream).substr(at, piece), frames);
      at += piece;
    }
    CHECK(frames == packets);
  }
}

TEST_CASE("a packet cut anywhere needs more bytes and is kept") {
  for (const std::string& packet : all_packets()) {
    for (std::size_t size = 0; size < packet.size(); ++size) {
      FrameDecoder decoder(no_limit);
      std::vector<std::string> frames;
      feed_piece(decoder, std::string_view(packet).substr(0, size), frames);
      CHECK(frames.empty());
      CHECK(decoder.buffered_bytes() == size);
      feed_piece(decoder, std::string_view(packet).substr(size), frames);
      CHECK(frames == std::vector<std::string>{packet});
      CHECK(decoder.buffered_bytes() == 0);
    }
  }
}

Violation failure_of(std::string_view bytes, std::uint32_t packet_size_max = no_limit) {
  Violation whole;
  {
    FrameDecoder decoder(packet_size_max);
    decoder.feed(as_bytes(bytes));
    const auto frame = decoder.next();
    REQUIRE(frame.has_error());
    whole = frame.error();
    CHECK(decoder.next().error() == whole);  // the same for ever
    decoder.feed(as_bytes("\xC0"));
    CHECK(decoder.next().error() == whole);
  }
  FrameDecoder decoder(packet_size_max);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    decoder.feed(as_bytes(bytes.substr(i, 1)));
    const auto frame = decoder.next();
    if (!frame) {
      CHECK(frame.error() == whole);
      return whole;
    }
    CHECK(!frame->has_value());
  }
  FAIL("accepted byte by byte");
  return whole;
}

TEST_CASE("a Remaining Length of five bytes or of more than it needs is malformed") {
  using namespace std::string_view_literals;
  CHECK(failure_of("\x30\xFF\xFF\xFF\xFF"sv).reason == Reason::malformed_packet);
  CHECK(failure_of("\x30\x80\x80\x80\x80\x01"sv).reason == Reason::malformed_packet);
  CHECK(failure_of("\xC0\x80\x00"sv).reason == Reason::malformed_packet);
  CHECK(failure_of("\x30\x85\x80\x00"sv).reason == Reason::malformed_packet);
  CHECK(failure_of("\x30\x80\x80\x80\x00"sv).reason == Reason::malformed_packet);
}

TEST_CASE("a packet larger than the maximum is refused as soon as its header is there") {
  using namespace std::string_view_literals;
  CHECK(failure_of("\x30\x7F"sv, 128).reason == Reason::packet_too_large);
  CHECK(failure_of("\x30\xFF\xFF\xFF\x7F"sv, 2'000'000).reason == Reason::packet_too_large);
  FrameDecoder decoder(129);
  decoder.feed(as_bytes("\x30\x7F"sv));
  const auto frame = decoder.next();
  REQUIRE(frame.has_value());
  CHECK(!frame->has_value());
}

TEST_CASE("types and flags that no version has are malformed at the first byte") {
  for (int first = 0; first < 256; ++first) {
    const int type = first >> 4;
    const int flags = first & 15;
    const bool two = type == 6 || type == 8 || type == 10;
    const bool publish = type == 3 && (flags & 6) != 6 && (flags & 14) != 8;
    const bool good =
        publish || (two && (flags & 7) == 2) || (!two && type != 0 && type != 3 && flags == 0);
    CAPTURE(first);
    FrameDecoder decoder(no_limit);
    const std::uint8_t byte = static_cast<std::uint8_t>(first);
    decoder.feed({&byte, 1});
    const auto frame = decoder.next();
    CHECK(frame.has_value() == good);
    if (!frame) {
      CHECK(frame.error().reason == Reason::malformed_packet);
    }
  }
}

TEST_CASE("what was fed and not returned can be taken and goes on in another decoder") {
  const std::vector<std::string> packets = all_packets();
  const std::string stream = joined(packets);
  for (std::size_t split = 0; split < stream.size(); split += 5) {
    FrameDecoder first(no_limit);
    std::vector<std::string> frames;
    feed_piece(first, std::string_view(stream).substr(0, split), frames);
    first.feed(as_bytes(std::string_view(stream).substr(split)));
    const auto one = first.next();
    REQUIRE(one.has_value());
    REQUIRE(one->has_value());
    frames.emplace_back(as_text((*one)->whole));
    const std::string rest = first.take_unparsed();
    CHECK(first.buffered_bytes() == 0);
    FrameDecoder second(no_limit);
    feed_piece(second, rest, frames);
    CHECK(frames == packets);
  }
}

TEST_CASE("the maximum can be raised between packets") {
  const std::string packet = bytes_of(R"(30 "a" {} '0123456789')");
  FrameDecoder decoder(4);
  std::vector<std::string> frames;
  feed_piece(decoder, bytes_of("C0"), frames);
  decoder.set_packet_size_max(1000);
  feed_piece(decoder, packet, frames);
  CHECK(frames.size() == 2);
}

}  // namespace
}  // namespace skerry::mqtt::testing
