// How the files of commands add theirs to the command line. A command has an Options struct that
// its flags fill and a function that gets it.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/session.hpp"

namespace skerry::cli {

class CommandLine {
 public:
  explicit CommandLine(CLI::App& app) : app_(app) {}
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// "devices": a noun that has verbs. The same one when it exists, so several files may add verbs.
  CLI::App& group(const std::string& name, const std::string& description) {
    for (CLI::App* known : app_.get_subcommands([](CLI::App*) { return true; })) {
      if (known->get_name() == name) {
        return *known;
      }
    }
    CLI::App* made = app_.add_subcommand(name, description)->fallthrough();
    made->require_subcommand(1);
    return *made;
  }

  /// A verb below `parent`. `options` is where its flags are to be stored (add them to the App that
  /// this returns); `run` is called with them when this verb was chosen.
  template <typename Options>
  CLI::App& add(CLI::App& parent, const std::string& name, const std::string& description,
                std::shared_ptr<Options> options, void (*run)(Session&, const Options&)) {
    CLI::App* made = parent.add_subcommand(name, description)->fallthrough();
    made->callback([this, options = std::move(options), run] {
      chosen_ = [options, run](Session& session) { run(session, *options); };
    });
    return *made;
  }

  CLI::App& app() noexcept { return app_; }
  const std::function<void(Session&)>& chosen() const noexcept { return chosen_; }

 private:
  CLI::App& app_;
  std::function<void(Session&)> chosen_;
};

// The groups of commands, one file each.
void add_login_commands(CommandLine& line);        // login, token
void add_device_commands(CommandLine& line);       // devices …
void add_transfer_commands(CommandLine& line);     // devices import, export
void add_certificate_commands(CommandLine& line);  // certificates, ca, enrolment-tokens, services
void add_client_commands(CommandLine& line);       // clients …
void add_enroll_commands(CommandLine& line);       // device enroll
void add_telemetry_commands(CommandLine& line);    // telemetry …
void add_token_commands(CommandLine& line);        // tokens …, services … password
void add_policy_commands(CommandLine& line);       // policy …, system reload
void add_audit_commands(CommandLine& line);        // audit …
void add_backup_commands(CommandLine& line);       // backup …
void add_completion_commands(CommandLine& line);   // completion

/// Prints what may stand for the last of `words`, a command line that is still being written: one
/// candidate a line.
void complete(Session& session, const CLI::App& app, const std::vector<std::string>& words);

}  // namespace skerry::cli
