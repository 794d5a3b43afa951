// SHA-256 of what comes in pieces: files, and everything that does not fit into memory.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace skerry::crypto {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view data);
  /// 64 lower-case digits. Once, and no update() after it.
  std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace skerry::crypto
