// What a device has at all: its newest samples, and its keys with type and unit.
#pragma once

#include <string>
#include <vector>

#include "twin/answer.hpp"

namespace skerry::twin {

/// The newest sample of each series of one device.
class LatestAnswer final : public Answer {
 public:
  LatestAnswer(AnswerSources sources, std::string device, LatestParameters parameters,
               RowShape shape);
  Result<AnswerState, storage::Status> step(std::string& out) override;
  std::optional<SeriesPosition> next() const override { return next_; }
  bool any() const override { return any_; }

 private:
  AnswerSources sources_;
  const std::string device_;
  LatestParameters parameters_;
  RowText text_;
  std::optional<SeriesPosition> next_;
  bool begun_ = false;
  bool any_ = false;
};

/// JSON {"items":[{"key","type","unit"?,"lastTs"}],"next"}; `type` is that of the newest sample.
class KeysAnswer final : public Answer {
 public:
  KeysAnswer(AnswerSources sources, std::string device, LatestParameters parameters, WallTime now);
  Result<AnswerState, storage::Status> step(std::string& out) override;
  std::optional<SeriesPosition> next() const override { return next_; }
  bool any() const override { return any_; }

 private:
  AnswerSources sources_;
  const std::string device_;
  LatestParameters parameters_;
  const WallTime now_;
  std::optional<SeriesPosition> next_;
  bool begun_ = false;
  bool any_ = false;
};

}  // namespace skerry::twin
