#include "twin/series/zstd.hpp"

#include <zstd.h>

namespace skerry::twin::series {
namespace {

/// Higher levels cost several times as much and gain nothing on pieces of a kilobyte.
constexpr int level = 3;

}  // namespace

Zstd::Zstd() = default;
Zstd::~Zstd() = default;

void Zstd::Free::operator()(ZSTD_CCtx_s* context) const noexcept {
  ZSTD_freeCCtx(context);
}

void Zstd::Free::operator()(ZSTD_DCtx_s* context) const noexcept {
  ZSTD_freeDCtx(context);
}

bool Zstd::compress(std::string_view bytes, std::string& out) {
  if (!compressor_) {
    compressor_.reset(ZSTD_createCCtx());
  }
  if (!compressor_ || bytes.empty()) {
    return false;
  }
  out.resize(bytes.size());  // What does not fit is not wanted.
  const std::size_t size = ZSTD_compressCCtx(compressor_.get(), out.data(), out.size(),
                                             bytes.data(), bytes.size(), level);
  if (ZSTD_isError(size) != 0 || size >= bytes.size()) {
    return false;
  }
  out.resize(size);
  return true;
}

bool Zstd::decompress(std::string_view bytes, std::size_t raw_size, std::string& out) {
  if (!decompressor_) {
    decompressor_.reset(ZSTD_createDCtx());
  }
  if (!decompressor_) {
    return false;
  }
  out.resize(raw_size);
  const std::size_t size =
      ZSTD_decompressDCtx(decompressor_.get(), out.data(), out.size(), bytes.data(), bytes.size());
  return ZSTD_isError(size) == 0 && size == raw_size;
}

}  // namespace skerry::twin::series
