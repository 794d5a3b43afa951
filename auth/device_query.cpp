// What a filter chooses, as operations on sets of devices.
#include <algorithm>

#include "auth/device_index.hpp"

namespace skerry::auth {
namespace {

using filter::Comparison;
using filter::Node;
using filter::Term;

constexpr std::string_view attribute_prefix = "attributes.";

/// The values that may match: those that begin with the word's part before its first wildcard.
template <typename Dictionary, typename Visit>
void each_candidate(const Dictionary& dictionary, const Term& term, Visit visit) {
  auto at = dictionary.begin();
  std::string_view prefix;
  if (term.comparison == Comparison::equal) {
    prefix = term.operand->parts.front();
    at = dictionary.lower_bound(prefix);
  }
  for (; at != dictionary.end() && std::string_view{at->first}.starts_with(prefix); ++at) {
    visit(*at);
  }
}

/// Are all parts in one line, in their order? Leftmost places are enough.
bool has_line_with(std::string_view text, const std::vector<std::string>& parts) {
  const std::string& first = parts.front();
  for (std::size_t at = text.find(first); at != std::string_view::npos; at = text.find(first, at)) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(0, end);
    at += first.size();
    const bool all = std::all_of(parts.begin() + 1, parts.end(), [&](const std::string& part) {
      const std::size_t found = line.find(part, at);
      at = found == std::string_view::npos ? at : found + part.size();
      return found != std::string_view::npos;
    });
    if (all) {
      return true;
    }
    if (end == text.size()) {
      return false;
    }
    at = end + 1;
  }
  return false;
}

}  // namespace

const DeviceIndex::Dictionary* DeviceIndex::dictionary(std::string_view field) const {
  static const Dictionary nothing;
  if (field == "state") {
    return &states_;
  }
  if (field == "model") {
    return &models_;
  }
  if (field == "tags") {
    return &tags_;
  }
  if (field.starts_with(attribute_prefix)) {
    const auto at = attributes_.find(field.substr(attribute_prefix.size()));
    return at == attributes_.end() ? &nothing : &at->second;
  }
  return nullptr;
}

/// Is the whole of it answered without looking at devices?
bool DeviceIndex::is_indexed(const Node& node) const {
  if (node.kind == Node::Kind::term) {
    return dictionary(node.term.field) != nullptr || node.term.field == "id";
  }
  return std::all_of(node.children.begin(), node.children.end(),
                     [this](const Node& child) { return is_indexed(child); });
}

/// The devices of `within` that `node` chooses.
DeviceSet DeviceIndex::evaluate(const Node& node, const DeviceSet& within, WallTime now) const {
  switch (node.kind) {
    case Node::Kind::all:
      return evaluate_all(node, within, now);
    case Node::Kind::any: {
      DeviceSet chosen;
      DeviceSet rest = within;
      for (const Node& child : node.children) {
        const DeviceSet found = evaluate(child, rest, now);
        rest -= found;
        chosen |= found;
      }
      return chosen;
    }
    case Node::Kind::negation: {
      DeviceSet chosen = within;
      chosen -= evaluate(node.children.front(), within, now);
      return chosen;
    }
    case Node::Kind::term:
      break;
  }
  return evaluate_term(node.term, within, now);
}

/// What is cheap goes first, so that little is left to be judged one by one.
DeviceSet DeviceIndex::evaluate_all(const Node& node, const DeviceSet& within, WallTime now) const {
  DeviceSet chosen = within;
  for (const bool indexed : {true, false}) {
    for (const Node& child : node.children) {
      if (is_indexed(child) == indexed && !chosen.empty()) {
        chosen = evaluate(child, chosen, now);
      }
    }
  }
  return chosen;
}

DeviceSet DeviceIndex::evaluate_term(const Term& term, const DeviceSet& within,
                                     WallTime now) const {
  if (term.comparison == Comparison::contains) {
    return scan_text(term, within, now);
  }
  if (term.field == "id") {
    return look_up_id(term, within, now);
  }
  const Dictionary* values = dictionary(term.field);
  if (values == nullptr) {
    return scan(term, within, now);
  }
  DeviceSet chosen;
  if (term.comparison == Comparison::equal && !term.operand->has_wildcard()) {
    if (const auto at = values->find(term.operand->parts.front()); at != values->end()) {
      at->second.add_to(chosen);
    }
  } else {
    each_candidate(*values, term, [&](const auto& entry) {
      if (filter::matches(term, std::string_view{entry.first}, now)) {
        entry.second.add_to(chosen);
      }
    });
  }
  chosen &= within;
  return chosen;
}

DeviceSet DeviceIndex::look_up_id(const Term& term, const DeviceSet& within, WallTime now) const {
  DeviceSet chosen;
  if (term.comparison == Comparison::equal && !term.operand->has_wildcard()) {
    const auto at = by_id_.find(term.operand->parts.front());
    if (at != by_id_.end() && within.has(at->second)) {
      chosen.add(at->second);
    }
    return chosen;
  }
  if (term.comparison != Comparison::equal || term.operand->parts.front().empty()) {
    within.each([&](DeviceNumber number) {
      if (filter::matches(term, std::string_view{slots_[number].id}, now)) {
        chosen.add(number);
      }
    });
    return chosen;
  }
  each_candidate(by_id_, term, [&](const auto& entry) {
    if (within.has(entry.second) && filter::matches(term, entry.first, now)) {
      chosen.add(entry.second);
    }
  });
  return chosen;
}

DeviceSet DeviceIndex::scan(const Term& term, const DeviceSet& within, WallTime now) const {
  DeviceSet chosen;
  within.each([&](DeviceNumber number) {
    const Slot& slot = slots_[number];
    const auto judge = [&](const filter::Value& value) {
      return filter::matches(term, value, now);
    };
    if (DeviceFields{*slot.device, slot.presence}.each(term.field, judge)) {
      chosen.add(number);
    }
  });
  return chosen;
}

/// Looks through one text per device. Where a word has a line break, a value may have one as well,
/// so the device itself is asked.
DeviceSet DeviceIndex::scan_text(const Term& term, const DeviceSet& within, WallTime now) const {
  std::vector<std::string> parts = term.operand->parts;
  bool has_break = false;
  for (std::string& part : parts) {
    has_break = has_break || part.find('\n') != std::string::npos;
    std::transform(part.begin(), part.end(), part.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  }
  if (has_break) {
    return scan(term, within, now);
  }
  DeviceSet chosen;
  within.each([&](DeviceNumber number) {
    if (has_line_with(slots_[number].text, parts)) {
      chosen.add(number);
    }
  });
  return chosen;
}

}  // namespace skerry::auth
