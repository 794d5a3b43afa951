// The scenarios by name, each with options of its own.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "options.hpp"
#include "report.hpp"

namespace skerry::bench {

/// Adds a subcommand for each scenario; the one chosen sets `run`, which throws Failure. Both must
/// outlive the parsing and the run.
void add_scenarios(CLI::App& app, Common& common, std::function<Report()>& run);

}  // namespace skerry::bench
