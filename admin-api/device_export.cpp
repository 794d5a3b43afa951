#include "admin-api/device_export.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "admin-api/rest.hpp"
#include "base/csv_cell.hpp"

namespace skerry::admin_api {

void append_ndjson(std::string& out, const auth::Device& device) {
  boost::json::object object;
  object["id"] = device.id;
  object["state"] = auth::name_of(device.state);
  boost::json::array keys;
  for (const auth::DeviceKey& key : device.keys) {
    if (!key.not_after) {
      keys.emplace_back(key.fingerprint);
      continue;
    }
    boost::json::object ending;
    ending["fingerprint"] = key.fingerprint;
    ending["notAfter"] = format_time(*key.not_after);
    keys.push_back(std::move(ending));
  }
  object["keys"] = std::move(keys);
  object["name"] = device.name;
  object["model"] = device.model;
  object["serialNumber"] = device.serial_number;
  boost::json::array tags;
  for (const std::string& tag : device.tags) {
    tags.emplace_back(tag);
  }
  object["tags"] = std::move(tags);
  boost::json::object attributes;
  for (const auto& [name, value] : device.attributes) {
    attributes[name] = value;
  }
  object["attributes"] = std::move(attributes);
  object["notAfter"] = device.not_after ? boost::json::value(format_time(*device.not_after))
                                        : boost::json::value(nullptr);
  out += boost::json::serialize(object);
  out += '\n';
}

void append_csv_header(std::string& out, const std::set<std::string, std::less<>>& attributes) {
  out += "id,state,name,model,serialNumber,tags,notAfter,keys";
  for (const std::string& name : attributes) {
    out += ",attributes." + name;
  }
  out += "\r\n";
}

void append_csv(std::string& out, const auth::Device& device,
                const std::set<std::string, std::less<>>& attributes) {
  append_csv_cell(out, device.id);
  out += ',';
  out += auth::name_of(device.state);
  for (const std::string* text : {&device.name, &device.model, &device.serial_number}) {
    out += ',';
    append_csv_cell(out, *text);
  }
  std::string tags;
  for (const std::string& tag : device.tags) {
    tags += (tags.empty() ? "" : ";") + tag;
  }
  out += ',';
  append_csv_cell(out, tags);
  out += ',';
  out += device.not_after ? format_time(*device.not_after) : std::string{};
  out += ',';
  std::string keys;
  for (const auth::DeviceKey& key : device.keys) {
    keys += (keys.empty() ? "" : ";") + key.fingerprint;
    keys += key.not_after ? "@" + format_time(*key.not_after) : std::string{};
  }
  out += keys;
  for (const std::string& name : attributes) {
    const auto value = device.attributes.find(name);
    out += ',';
    append_csv_cell(out, value == device.attributes.end() ? std::string_view{} : value->second);
  }
  out += "\r\n";
}

}  // namespace skerry::admin_api
