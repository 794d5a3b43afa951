// Completion for bash, zsh and fish. The scripts are short: they hand the words to
// `skerryctl __complete`, which knows the commands because it is made of the same table, and asks
// the server for ids where a command wants one.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <ostream>

#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/failure.hpp"
#include "cli/output.hpp"

namespace skerry::cli {
namespace {

constexpr const char* bash_script = R"(_skerryctl() {
  local IFS=$'\n'
  COMPREPLY=($(skerryctl __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _skerryctl skerryctl
)";

constexpr const char* zsh_script = R"(#compdef skerryctl
_skerryctl() {
  local -a found
  found=("${(@f)$(skerryctl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "${found[1]}" ]]; then
    compadd -a found
  else
    _files
  fi
}
compdef _skerryctl skerryctl
)";

constexpr const char* fish_script = R"(function __skerryctl_complete
    set -l words (commandline -opc) (commandline -ct)
    skerryctl __complete $words[2..-1] 2>/dev/null
end
complete -c skerryctl -f -a '(__skerryctl_complete)'
)";

struct ShellOptions {
  std::string shell;
};

void print_script(Session& session, const ShellOptions& options) {
  session.out << (options.shell == "bash" ? bash_script
                                          : (options.shell == "zsh" ? zsh_script : fish_script));
}

/// How far the words lead into the table: the command they name, how many of its own words follow,
/// and the flag that still waits for its value.
struct Position {
  const CLI::App* command;
  const CLI::Option* flag = nullptr;
  std::size_t positionals = 0;
};

const CLI::Option* find_flag(const CLI::App* command, const std::string& word) {
  for (const CLI::App* at = command; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      if (option->check_name(word)) {
        return option;
      }
    }
  }
  return nullptr;
}

Position follow(const CLI::App* root, const std::vector<std::string>& words) {
  Position position{root};
  for (std::size_t index = 0; index + 1 < words.size(); ++index) {
    const std::string& word = words[index];
    if (position.flag != nullptr) {
      position.flag = nullptr;  // this word is its value
      continue;
    }
    if (word.starts_with('-')) {
      const CLI::Option* flag = find_flag(position.command, word);
      position.flag = flag != nullptr && flag->get_items_expected_max() > 0 ? flag : nullptr;
      continue;
    }
    const auto below = position.command->get_subcommands(
        [&](const CLI::App* candidate) { return candidate->check_name(word); });
    if (below.empty()) {
      ++position.positionals;
    } else {
      position = {below.front()};
    }
  }
  return position;
}

/// Up to 50 ids of devices that begin with `prefix`; none when the server cannot be asked.
std::vector<std::string> device_ids(const Session& session, const std::string& prefix) {
  std::vector<std::string> ids;
  if (prefix.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-") !=
      std::string::npos) {
    return ids;
  }
  try {
    const std::string target =
        with_parameter("/api/v1/devices?limit=50", "filter", "id:" + prefix + "*");
    HttpsRequest request;
    request.target = target;
    request.patience = std::chrono::seconds{2};
    const HttpsResponse response = Api{session.settings}.exchange(std::move(request));
    const boost::json::value page = boost::json::parse(response.body);
    for (const boost::json::value& item : page.at("items").as_array()) {
      ids.emplace_back(item.at("id").as_string());
    }
  } catch (const std::exception&) {
    ids.clear();  // completion stays silent; the command itself will say what is wrong
  }
  return ids;
}

std::vector<std::string> flags_of(const CLI::App* command) {
  std::vector<std::string> flags;
  for (const CLI::App* at = command; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        flags.push_back("--" + name);
      }
    }
  }
  return flags;
}

std::vector<std::string> candidates(const Session& session, const CLI::App& app,
                                    const std::vector<std::string>& words) {
  const std::string last = words.empty() ? std::string{} : words.back();
  const Position position = follow(&app, words);
  if (position.flag != nullptr) {
    return position.flag->check_lname("output")
               ? std::vector<std::string>{"csv", "json", "table", "yaml"}
               : std::vector<std::string>{};
  }
  if (last.starts_with('-')) {
    return flags_of(position.command);
  }
  std::vector<std::string> names;
  for (const CLI::App* below :
       position.command->get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(below->get_name());
  }
  if (!names.empty()) {
    return names;
  }
  for (const CLI::Option* option : position.command->get_options()) {
    const bool wants_device = option->get_positional() && option->get_single_name() == "device";
    if (wants_device && (position.positionals == 0 || option->get_items_expected_max() > 1)) {
      return device_ids(session, last);
    }
  }
  return names;
}

}  // namespace

void complete(Session& session, const CLI::App& app, const std::vector<std::string>& words) {
  const std::string last = words.empty() ? std::string{} : words.back();
  std::vector<std::string> found = candidates(session, app, words);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  for (const std::string& candidate : found) {
    if (candidate.starts_with(last)) {
      session.out << visible(candidate) << '\n';
    }
  }
}

void add_completion_commands(CommandLine& line) {
  const auto shell = std::make_shared<ShellOptions>();
  CLI::App& script = line.add(line.app(), "completion", "Print a completion script for a shell",
                              shell, &print_script);
  script.add_option("shell", shell->shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  script.footer(
      "bash: source <(skerryctl completion bash)\n"
      "zsh:  skerryctl completion zsh > \"${fpath[1]}/_skerryctl\"\n"
      "fish: skerryctl completion fish > ~/.config/fish/completions/skerryctl.fish");
}

}  // namespace skerry::cli
