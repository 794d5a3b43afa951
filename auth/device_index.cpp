// DeviceIndex: taking in changes, and cutting pages. What a filter chooses is in device_query.cpp.
#include "auth/device_index.hpp"

#include <algorithm>
#include <limits>

#include "auth/device_sort_key.hpp"

namespace skerry::auth {
namespace {

/// A hook runs on the committer's thread: it takes in no more than this, questions take the rest.
constexpr std::size_t changes_per_hook_max = 256;
/// Above this share of all devices, walking in the order of ids finds a page sooner than sorting.
constexpr std::size_t walk_from_count = 4096;

void append_lower(std::string& text, std::string_view value) {
  if (value.empty()) {
    return;
  }
  std::transform(value.begin(), value.end(), std::back_inserter(text),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  text += '\n';
}

std::string searchable(const Device& device) {
  std::string text;
  append_lower(text, device.id);
  append_lower(text, device.name);
  append_lower(text, device.model);
  append_lower(text, device.serial_number);
  for (const std::string& tag : device.tags) {
    append_lower(text, tag);
  }
  for (const auto& [name, value] : device.attributes) {
    append_lower(text, value);
  }
  text.shrink_to_fit();
  return text;
}

template <typename Dictionary>
void update(Dictionary& dictionary, std::string_view value, DeviceNumber number, bool add) {
  auto at = dictionary.find(value);
  if (add) {
    if (at == dictionary.end()) {
      at = dictionary.try_emplace(std::string{value}).first;
    }
    at->second.add(number);
  } else if (at != dictionary.end()) {
    at->second.remove(number);
    if (at->second.empty()) {
      dictionary.erase(at);
    }
  }
}

bool has_attribute(const Device* device, const std::string& name, const std::string& value) {
  if (device == nullptr) {
    return false;
  }
  const auto at = device->attributes.find(name);
  return at != device->attributes.end() && at->second == value;
}

}  // namespace

void DeviceIndex::changed(std::string_view id) {
  {
    const std::lock_guard lock{queue_mutex_};
    queue_.emplace_back(id);
    queued_ = true;
  }
  // So that the queue does not grow while nobody asks. Whoever holds the lock takes it in instead.
  if (std::unique_lock lock{mutex_, std::try_to_lock}; lock) {
    apply_changes(changes_per_hook_max);
  }
}

void DeviceIndex::note_presence(std::string_view id, bool online, WallTime time) {
  const std::lock_guard lock{queue_mutex_};
  presences_.insert_or_assign(std::string{id}, DevicePresence{online, time});
  queued_ = true;
}

void DeviceIndex::refresh() {
  if (queued_) {
    const std::unique_lock lock{mutex_};
    apply_changes(SIZE_MAX);
  }
}

/// Under the lock.
void DeviceIndex::apply_changes(std::size_t at_most) {
  std::vector<std::string> changes;
  std::map<std::string, DevicePresence, std::less<>> presences;
  {
    const std::lock_guard lock{queue_mutex_};
    if (queue_.size() <= at_most) {
      changes.swap(queue_);
      presences.swap(presences_);
      queued_ = false;
    } else {
      const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(at_most);
      changes.assign(std::move_iterator{queue_.begin()}, std::move_iterator{end});
      queue_.erase(queue_.begin(), end);
    }
  }
  for (const std::string& id : changes) {
    apply(id);
  }
  for (const auto& [id, presence] : presences) {
    if (const auto at = by_id_.find(id); at != by_id_.end()) {
      slots_[at->second].presence = presence;
    }
  }
}

void DeviceIndex::apply(const std::string& id) {
  const auto at = by_id_.find(id);
  // What the registry says now, not what it said then: changes may arrive in any order.
  DevicePointer device = find_(id);
  if (device == nullptr) {
    if (at != by_id_.end()) {
      drop(at->second);
    }
    return;
  }
  if (at != by_id_.end()) {
    put(at->second, std::move(device));
    return;
  }
  DeviceNumber number = static_cast<DeviceNumber>(slots_.size());
  if (free_.empty()) {
    slots_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  slots_[number].id = device->id;
  by_id_.emplace(slots_[number].id, number);
  live_.add(number);
  put(number, std::move(device));
}

/// Adds the values of `device` to the dictionaries, or takes them out, but those that `unless` has
/// as well.
void DeviceIndex::post(const Device& device, DeviceNumber number, const Device* unless, bool add) {
  if (unless == nullptr || unless->state != device.state) {
    update(states_, name_of(device.state), number, add);
  }
  if (!device.model.empty() && (unless == nullptr || unless->model != device.model)) {
    update(models_, device.model, number, add);
  }
  for (const std::string& tag : device.tags) {
    if (unless == nullptr || !std::binary_search(unless->tags.begin(), unless->tags.end(), tag)) {
      update(tags_, tag, number, add);
    }
  }
  for (const auto& [name, value] : device.attributes) {
    if (has_attribute(unless, name, value)) {
      continue;
    }
    Dictionary& values = attributes_[name];
    update(values, value, number, add);
    if (values.empty()) {
      attributes_.erase(name);
    }
  }
}

void DeviceIndex::put(DeviceNumber number, DevicePointer device) {
  Slot& slot = slots_[number];
  if (slot.device != nullptr) {
    post(*slot.device, number, device.get(), false);
  }
  post(*device, number, slot.device.get(), true);
  slot.text = searchable(*device);
  slot.device = std::move(device);
}

void DeviceIndex::drop(DeviceNumber number) {
  Slot& slot = slots_[number];
  post(*slot.device, number, nullptr, false);
  live_.remove(number);
  by_id_.erase(slot.id);
  slot = Slot{};
  free_.push_back(number);
}

DeviceIndex::Key DeviceIndex::key_of(DeviceNumber number, DeviceSort sort) const {
  constexpr auto none = std::numeric_limits<std::int64_t>::min();
  const Slot& slot = slots_[number];
  const Device& device = *slot.device;
  const auto time = [](const std::optional<WallTime>& value) {
    return value ? epoch_milliseconds(*value) : none;
  };
  switch (sort) {
    case DeviceSort::id:
      return {0, {}, slot.id, number};
    case DeviceSort::name:
      return {0, device.name, slot.id, number};
    case DeviceSort::model:
      return {0, device.model, slot.id, number};
    case DeviceSort::state:
      return {0, name_of(device.state), slot.id, number};
    case DeviceSort::created:
      return {epoch_milliseconds(device.created), {}, slot.id, number};
    case DeviceSort::changed:
      return {epoch_milliseconds(device.changed), {}, slot.id, number};
    case DeviceSort::not_after:
      return {time(device.not_after), {}, slot.id, number};
    case DeviceSort::last_seen:
      return {time(slot.presence.last_seen), {}, slot.id, number};
  }
  return {0, {}, slot.id, number};
}

/// For ascending ids: goes through all devices in that order until the page is full.
std::vector<DeviceIndex::Key> DeviceIndex::page_by_walk(const DeviceSet& chosen,
                                                        const DeviceQuery& query) const {
  std::vector<Key> page;
  auto at = query.after ? by_id_.upper_bound(query.after->id) : by_id_.begin();
  for (; at != by_id_.end() && page.size() <= query.limit; ++at) {
    if (chosen.has(at->second)) {
      page.push_back({0, {}, at->first, at->second});
    }
  }
  return page;
}

std::vector<DeviceIndex::Key> DeviceIndex::page_by_sort(const DeviceSet& chosen,
                                                        const DeviceQuery& query) const {
  const bool by_id = query.sort == DeviceSort::id;
  const auto before = [&](const Key& left, const Key& right) {
    if (by_id) {
      return query.descending ? right.id < left.id : left.id < right.id;
    }
    if (left.number != right.number) {
      return (left.number < right.number) != query.descending;
    }
    const int order = left.text.compare(right.text);
    return order != 0 ? (order < 0) != query.descending : left.id < right.id;
  };
  std::vector<Key> keys;
  const Key after =
      query.after ? Key{query.after->number, query.after->text, query.after->id, 0} : Key{};
  chosen.each([&](DeviceNumber number) {
    Key key = key_of(number, query.sort);
    if (!query.after || before(after, key)) {
      keys.push_back(key);
    }
  });
  const std::size_t size = std::min(keys.size(), query.limit + 1);
  std::partial_sort(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(size), keys.end(),
                    before);
  keys.resize(size);
  return keys;
}

DeviceMatches DeviceIndex::query(const DeviceQuery& query, WallTime now) {
  refresh();
  const std::shared_lock lock{mutex_};
  const DeviceSet chosen = evaluate(query.filter.root(), live_, now);
  DeviceMatches found;
  const std::size_t count = chosen.count();
  if (query.count) {
    found.count = count;
  }
  const bool walk = query.sort == DeviceSort::id && !query.descending && count >= walk_from_count;
  std::vector<Key> page = walk ? page_by_walk(chosen, query) : page_by_sort(chosen, query);
  if (page.size() > query.limit) {
    page.resize(query.limit);
    const Key& last = page.back();
    found.last = DevicePlace{last.number, std::string{last.text}, std::string{last.id}};
  }
  found.devices.reserve(page.size());
  for (const Key& key : page) {
    const Slot& slot = slots_[key.device];
    found.devices.push_back({slot.device, slot.presence});
  }
  return found;
}

std::vector<std::string> DeviceIndex::ids(const filter::Filter& filter, std::string_view after,
                                          std::size_t limit, WallTime now) {
  DeviceQuery wish;
  wish.filter = filter;
  wish.limit = limit;
  if (!after.empty()) {
    wish.after = DevicePlace{0, {}, std::string{after}};
  }
  std::vector<std::string> ids;
  for (const FoundDevice& found : query(wish, now).devices) {
    ids.push_back(found.device->id);
  }
  return ids;
}

std::optional<FoundDevice> DeviceIndex::find(std::string_view id) {
  refresh();
  const std::shared_lock lock{mutex_};
  const auto at = by_id_.find(id);
  if (at == by_id_.end()) {
    return std::nullopt;
  }
  return FoundDevice{slots_[at->second].device, slots_[at->second].presence};
}

bool DeviceIndex::matches(const filter::Filter& filter, std::string_view id, WallTime now) {
  const auto found = find(id);
  return found && filter.matches(DeviceFields{*found->device, found->presence}, now);
}

}  // namespace skerry::auth
