// A directory that a test may fill, gone when the test is.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace skerry::agent {

class Scratch {
 public:
  Scratch() {
    std::string form = std::filesystem::temp_directory_path() / "skerry-agent-XXXXXX";
    if (mkdtemp(form.data()) == nullptr) {
      throw std::runtime_error("no scratch directory");
    }
    path_ = form;
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;

  std::string path(const std::string& below = {}) const {
    return below.empty() ? path_ : path_ + "/" + below;
  }

  void write(const std::string& below, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path{path(below)}.parent_path());
    std::ofstream{path(below), std::ios::binary | std::ios::trunc} << content;
  }

  std::string read(const std::string& below) const {
    std::ifstream file{path(below), std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
  }

  /// Names in a directory below, sorted.
  std::vector<std::string> names(const std::string& below) const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path(below))) {
      found.push_back(entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

 private:
  std::string path_;
};

}  // namespace skerry::agent
