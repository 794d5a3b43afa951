// Compression of small pieces with contexts that are kept, since making one costs more than a
// piece. Not thread-safe: one per thread or per query.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace skerry::twin::series {

class Zstd {
 public:
  Zstd();
  ~Zstd();
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;

  /// Replaces `out` by `bytes` compressed. False: that would not make it smaller, or failed.
  bool compress(std::string_view bytes, std::string& out);

  /// Replaces `out` by the `raw_size` bytes that `bytes` stands for. False: damaged, or not of that
  /// size. The caller bounds `raw_size`.
  bool decompress(std::string_view bytes, std::size_t raw_size, std::string& out);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const noexcept;
    void operator()(ZSTD_DCtx_s* context) const noexcept;
  };
  std::unique_ptr<ZSTD_CCtx_s, Free> compressor_;
  std::unique_ptr<ZSTD_DCtx_s, Free> decompressor_;
};

}  // namespace skerry::twin::series
