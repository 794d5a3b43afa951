// Filters: any text is either refused with a place inside it or a tree within its caps, and judging
// ends. What was understood in brackets, or denied twice, judges as before.
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "filter/filter.hpp"

namespace {

using namespace skerry;
using namespace skerry::filter;

struct Sample : Fields {
  bool each(std::string_view field, FunctionRef<bool(const Value&)> visit) const override {
    if (field == "n") {
      return visit(2.5);
    }
    if (field == "b") {
      return visit(true);
    }
    if (field == "w") {
      return visit(WallTime{std::chrono::days{20000}});
    }
    return visit(std::string_view{"pump-7"}) || visit(std::string_view{"North Hall 1.2.10"});
  }
};

std::size_t count_terms(const Node& node, std::size_t depth) {
  // Joining adds at most two nodes per level of brackets.
  SKERRY_ASSERT(depth <= 3 * filter_depth_max + 3);
  SKERRY_ASSERT(node.kind != Node::Kind::negation || node.children.size() == 1);
  std::size_t terms = node.kind == Node::Kind::term ? 1 : 0;
  for (const Node& child : node.children) {
    terms += count_terms(child, depth + 1);
  }
  return terms;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  const auto parsed = parse(text);
  if (!parsed) {
    SKERRY_ASSERT(parsed.error().offset <= size);
    SKERRY_ASSERT(!parsed.error().what.empty());
    return 0;
  }
  SKERRY_ASSERT(size <= filter_bytes_max);
  SKERRY_ASSERT(count_terms(parsed->root(), 0) <= filter_terms_max);
  const WallTime now{std::chrono::days{20001}};
  const bool holds = parsed->matches(Sample{}, now);
  static_cast<void>(check(*parsed, [](std::string_view field) -> std::optional<FieldKind> {
    return field == "w" ? std::optional{FieldKind::time} : std::nullopt;
  }));
  if (!parsed->is_everything()) {
    const auto again = parse("NOT (" + text + ")");
    SKERRY_ASSERT(!again || again->matches(Sample{}, now) != holds);
  }
  return 0;
}
