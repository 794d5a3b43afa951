// Message: an accepted PUBLISH that somebody keeps: one immutable block (MessageBlock) with topic,
// properties in wire form and payload. The block is shared between cores and counted atomically
// once per core; on a core, MessagePtr counts without atomics.
//
// Block layout in memory and, behind a record header, on disk (encode_record):
//   topic | Property Length | properties as in an MQTT 5.0 PUBLISH | payload
// The properties hold what travels unaltered (MessageProperties): no expiry, which shrinks on the
// way, no alias and no subscription identifiers, which belong to a connection.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/now.hpp"
#include "base/strong_id.hpp"
#include "mqtt/codec.hpp"
#include "mqtt/packet.hpp"

namespace skerry::mqtt {

/// The immutable part. Made by make_block(); freed with the last BlockPtr.
class MessageBlock {
 public:
  std::string_view topic() const noexcept { return {bytes(), topic_size_}; }
  /// The property section without its length.
  Bytes properties() const noexcept {
    return as_bytes({bytes() + topic_size_ + prefix_size_, properties_size_});
  }
  Bytes payload() const noexcept {
    return as_bytes({bytes() + topic_size_ + prefix_size_ + properties_size_, payload_size_});
  }
  Qos qos() const noexcept { return qos_; }         ///< as published
  bool retain() const noexcept { return retain_; }  ///< as published
  /// Wall time after which it is not delivered any more; WallTime::max() without expiry.
  WallTime expires_at() const noexcept { return expires_at_; }
  bool expired(WallTime now) const noexcept { return now >= expires_at_; }
  /// Memory the block takes, for caps.
  std::size_t size_bytes() const noexcept { return sizeof(MessageBlock) + content_size(); }
  /// The same content as a Publish whose views point into the block; the expiry interval is not set
  /// (see expires_at). O(bytes of the properties).
  Publish view() const;

 private:
  friend class BlockPtr;
  friend class BlockMaker;  // message.cpp: builds blocks and reads their bytes
  MessageBlock() = default;
  std::size_t content_size() const noexcept {
    return std::size_t{topic_size_} + prefix_size_ + properties_size_ + payload_size_;
  }
  const char* bytes() const noexcept { return reinterpret_cast<const char*>(this + 1); }

  mutable std::atomic<std::uint32_t> references_{1};
  std::uint32_t topic_size_ = 0;
  std::uint32_t properties_size_ = 0;
  std::uint32_t payload_size_ = 0;
  WallTime expires_at_ = WallTime::max();
  Qos qos_ = Qos::at_most_once;
  bool retain_ = false;
  std::uint8_t prefix_size_ = 0;  // bytes of the Property Length
};

/// Shared ownership of a block across cores.
class BlockPtr {
 public:
  BlockPtr() = default;
  explicit BlockPtr(const MessageBlock* adopted) noexcept : block_(adopted) {}
  BlockPtr(const BlockPtr& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) {
      block_->references_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  BlockPtr(BlockPtr&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockPtr& operator=(BlockPtr other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockPtr() {
    if (block_ != nullptr && block_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      free_block(block_);
    }
  }
  explicit operator bool() const noexcept { return block_ != nullptr; }
  const MessageBlock& operator*() const noexcept { return *block_; }
  const MessageBlock* operator->() const noexcept { return block_; }
  const MessageBlock* get() const noexcept { return block_; }

 private:
  static void free_block(const MessageBlock* block) noexcept;
  const MessageBlock* block_ = nullptr;
};

/// Copies topic, properties and payload of `publish` into one block. The expiry interval becomes a
/// wall time; alias and subscription identifiers are left behind. The topic must be the real one,
/// not an alias. O(bytes), one allocation.
BlockPtr make_block(const Publish& publish, WallTime now);

/// Appends an encoded PUBLISH of `block` with the header of one recipient; the remaining expiry is
/// worked out from `now` [MQTT-3.3.2-6], unless the header names one. Properties are left out
/// for 3.1 and 3.1.1. Nothing is appended when the packet would exceed the largest Remaining
/// Length. One pass over the block, no allocation besides the growth of `out`.
void encode_message(const MessageBlock& block, const PublishHeader& header, Version version,
                    WallTime now, std::string& out);

/// Bytes that encode_message would append; it does not depend on the time. O(subscription ids).
std::size_t encoded_message_size(const MessageBlock& block, const PublishHeader& header,
                                 Version version) noexcept;

/// Storage form of a block, appended to `out`. Begins with a version byte. O(bytes).
void encode_record(const MessageBlock& block, std::string& out);

/// Reads a block from the front of `in` and removes it from there; null, and `in` as it was, when
/// the record is damaged: cut short, of another version, a header that fails its check, a topic or
/// properties that no PUBLISH could have. Damage inside the payload is for the storage's checksums
/// to find. O(bytes), one allocation.
BlockPtr decode_record(std::string_view& in);

/// One core's handle on a block: copies count without atomics. Never crosses to another core; send
/// block() instead.
class MessagePtr {
 public:
  MessagePtr() = default;
  explicit MessagePtr(BlockPtr block) : local_(new Local{std::move(block), 1}) {}
  MessagePtr(const MessagePtr& other) noexcept : local_(other.local_) {
    if (local_ != nullptr) {
      ++local_->references;
    }
  }
  MessagePtr(MessagePtr&& other) noexcept : local_(std::exchange(other.local_, nullptr)) {}
  MessagePtr& operator=(MessagePtr other) noexcept {
    std::swap(local_, other.local_);
    return *this;
  }
  ~MessagePtr() {
    if (local_ != nullptr && --local_->references == 0) {
      delete local_;
    }
  }
  explicit operator bool() const noexcept { return local_ != nullptr; }
  const MessageBlock& operator*() const noexcept { return *local_->block; }
  const MessageBlock* operator->() const noexcept { return local_->block.get(); }
  const BlockPtr& block() const noexcept { return local_->block; }

 private:
  struct Local {
    BlockPtr block;
    std::uint32_t references;
  };
  Local* local_ = nullptr;
};

}  // namespace skerry::mqtt
