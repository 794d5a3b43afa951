// The pointer is exchanged atomically: any core may be taking a copy meanwhile.
#include "app/tls_holder.hpp"

namespace skerry::app {

TlsHolder::TlsHolder(std::function<transport::TlsOptions()> make) : make_(std::move(make)) {
  show(prepare());
}

TlsHolder::Context TlsHolder::prepare() const {
  return transport::TlsContext::make_server(make_());
}

transport::TlsContextSource TlsHolder::source() const {
  return [this] { return context_.load(); };
}

}  // namespace skerry::app
