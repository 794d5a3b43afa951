#include "crash/series/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace skerry::crash {

std::vector<PlannedSample> samples_of(const Operation& operation) {
  std::vector<PlannedSample> out;
  for (int i = 0; i < operation.count; ++i) {
    const std::int64_t time = operation.time + 100 * i;
    const auto number = static_cast<std::int64_t>(operation.number) * 31 + i;
    out.push_back({"t", {time, static_cast<double>(number % 1000) / 10, 0}});
    out.push_back({"count", {time, number, 0}});
    out.push_back({"state", {time, std::string(number % 7 == 0 ? "busy" : "idle"), 0}});
  }
  return out;
}

Journal::Journal(const std::string& path)
    : file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (file_ < 0) {
    std::perror(path.c_str());
    std::exit(2);
  }
}

Journal::~Journal() {
  ::close(file_);
}

void Journal::line(const std::string& text) {
  const std::string whole = text + "\n";
  if (::write(file_, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) {
    std::perror("journal");
    std::exit(2);
  }
}

void Journal::set_out(const std::string& device, const Operation& operation) {
  std::string text = "T " + device + " " + std::to_string(operation.number);
  if (operation.erase) {
    text += " e " + operation.erase->key.value_or("-") + " " +
            std::to_string(operation.erase->from) + " " + std::to_string(*operation.erase->to);
  } else {
    text += " a " + std::to_string(operation.time) + " " + std::to_string(operation.count);
  }
  line(text);
}

void Journal::acknowledged(const std::string& device, std::uint64_t number) {
  line("A " + device + " " + std::to_string(number));
}

void Journal::resolved(const std::string& device, std::uint64_t number, bool done) {
  line("R " + device + " " + std::to_string(number) + (done ? " 1" : " 0"));
}

std::map<std::string, std::vector<Operation>> Journal::read(const std::string& path) {
  std::map<std::string, std::vector<Operation>> devices;
  std::ifstream file(path);
  std::string text;
  while (std::getline(file, text)) {
    std::istringstream words(text);
    char kind = 0;
    std::string device;
    std::uint64_t number = 0;
    words >> kind >> device >> number;
    auto& operations = devices[device];
    if (kind == 'T') {
      Operation& operation = operations.emplace_back();
      operation.number = number;
      char what = 0;
      words >> what;
      if (what == 'a') {
        words >> operation.time >> operation.count;
      } else {
        std::string key;
        std::int64_t from = 0;
        std::int64_t to = 0;
        words >> key >> from >> to;
        operation.erase = {device, key == "-" ? std::nullopt : std::optional(key), from, to};
      }
    } else if (!operations.empty() && operations.back().number == number) {
      int done = 1;
      if (kind == 'R') {
        words >> done;
      }
      operations.back().fate = done != 0 ? Operation::Fate::done : Operation::Fate::undone;
    }
  }
  return devices;
}

}  // namespace skerry::crash
