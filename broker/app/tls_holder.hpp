// TlsHolder: the TLS context that a port shows now. Certificates are swapped by making a new
// context and publishing it; connections that began with the old one keep it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "transport/tls_context.hpp"

namespace skerry::app {

class TlsHolder {
 public:
  /// `make` gives the options of the moment (files are read there) or throws with one sentence.
  explicit TlsHolder(std::function<transport::TlsOptions()> make);

  /// Makes the context anew. Throws like `make`; the old one then stays. One thread at a time.
  void reload();

  /// For ServerOptions and Listener; the holder must outlive whoever uses it.
  transport::TlsContextSource source() const;

 private:
  std::function<transport::TlsOptions()> make_;
  std::atomic<std::shared_ptr<const transport::TlsContext>> context_;
};

}  // namespace skerry::app
