#include "actors/training/planted_bug.hpp"
#include "base/log.hpp"
#include "tests/simulation/campaign.hpp"
#include "tests/simulation/ledger.hpp"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

namespace {

using namespace aiops::simulation;

constexpr auto usage = R"(Usage: simulate [OPTION]...

Runs the gateways in a simulated world, one run per seed.

  --seeds N        how many seeds (default 1000)
  --first-seed N   the first one (default 1)
  --jobs N         processes at the same time (default: one per core)
  --keep-going     count failures by invariant instead of ending at the first
  --no-shrink      do not look for the shortest history of each failure
  --history        print what happened, with one seed
  --ignore TEXT    do not check invariants with this text in their names
  --bug NAME       plant this bug (only where bugs are compiled in)
  --planted        look for every planted bug and print a table
  --help           print this
)";

bool read_number(const char* text, uint64_t& out) {
  auto end = text + std::strlen(text);
  return std::from_chars(text, end, out).ptr == end;
}

struct command_line {
  campaign_config config;
  bool planted = false;
  bool help = false;
  std::string problem;
};

aiops::planted_bug bug_of(const std::string& name) {
  for (int i = 0; i < static_cast<int>(aiops::planted_bug::count); ++i)
    if (to_string(static_cast<aiops::planted_bug>(i)) == name)
      return static_cast<aiops::planted_bug>(i);
  return aiops::planted_bug::count;
}

command_line parse(int argc, char** argv) {
  command_line result;
  auto& config = result.config;
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    uint64_t number = 0;
    auto numeric = i + 1 < argc && read_number(argv[i + 1], number);
    if (name == "--help" || name == "-h") {
      result.help = true;
    } else if (name == "--planted") {
      result.planted = true;
    } else if (name == "--keep-going") {
      config.keep_going = true;
    } else if (name == "--ignore" && i + 1 < argc) {
      ignored_invariants.push_back(argv[++i]);
    } else if (name == "--no-shrink") {
      config.shrink = false;
    } else if (name == "--history") {
      config.history = true;
    } else if (name == "--seeds" && numeric) {
      config.seeds = number, ++i;
    } else if (name == "--first-seed" && numeric) {
      config.first_seed = number, ++i;
    } else if (name == "--jobs" && numeric && number > 0) {
      config.jobs = number, ++i;
    } else if (name == "--bug" && i + 1 < argc
               && bug_of(argv[i + 1]) != aiops::planted_bug::count) {
      config.bug = bug_of(argv[++i]);
    } else {
      result.problem = "cannot read '" + name + "'; see --help";
      break;
    }
  }
  return result;
}

} // namespace

int main(int argc, char** argv) {
  auto command = parse(argc, argv);
  if (command.help) {
    std::fputs(usage, stdout);
    return 0;
  }
  if (!command.problem.empty()) {
    std::fprintf(stderr, "simulate: %s\n", command.problem.c_str());
    return 2;
  }
  aiops::log::configure(aiops::log::level::error, aiops::log::format::text);
#ifdef AIOPS_SIMULATION
  // The gateways log many expected errors. With sanitizers the log is kept, for
  // the reports of the sanitizers.
  if (!std::freopen("/dev/null", "w", stderr))
    return 1;
#endif
  return command.planted ? look_for_planted_bugs(command.config)
                         : run_campaign(command.config);
}
