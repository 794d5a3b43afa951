// Configuration files: whatever the text, the answer is a configuration that survives being printed
// and read again, or a ConfigurationError; never a crash.
#include <cstdlib>

#include "app/configuration.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skerry::app;
  try {
    const Configuration configuration =
        parse_configuration({reinterpret_cast<const char*>(data), size}, "fuzz");
    const std::string text = configuration_text(configuration);
    if (configuration_text(parse_configuration(text, "again")) != text) {
      std::abort();
    }
  } catch (const ConfigurationError&) {
  }
  return 0;
}
