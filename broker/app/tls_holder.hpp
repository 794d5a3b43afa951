// TlsHolder: the TLS context that a port shows now. Certificates are swapped by making a new
// context and publishing it; connections that began with the old one keep it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "transport/tls_context.hpp"

namespace skerry::app {

class TlsHolder {
 public:
  /// `make` gives the options of the moment (files are read there) or throws with one sentence.
  explicit TlsHolder(std::function<transport::TlsOptions()> make);

  using Context = std::shared_ptr<const transport::TlsContext>;

  /// A context of the moment, for show(). Throws like `make`. Apart, so that whoever has several
  /// holders changes all or none.
  Context prepare() const;
  void show(Context context) noexcept { context_.store(std::move(context)); }

  /// For ServerOptions and Listener; the holder must outlive whoever uses it.
  transport::TlsContextSource source() const;

 private:
  std::function<transport::TlsOptions()> make_;
  std::atomic<Context> context_;
};

}  // namespace skerry::app
