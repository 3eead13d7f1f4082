#include "base/log.hpp"
#include "nats/subjects.hpp"
#include "tools/log_line.hpp"
#include "tools/log_publisher.hpp"
#include "tools/nats_link.hpp"
#include "tools/sample_logs.hpp"

#include <array>
#include <cerrno>
#include <iostream>
#include <utility>

#include <poll.h>
#include <unistd.h>

/// @file
/// Publishes log lines, one message per line, for the gateway to count.

namespace aiops::tools {

namespace {

using namespace std::chrono_literals;

constexpr auto component = "log_feed";

/// A longer subject might exceed the limit of the NATS server for a protocol
/// line; the server would close the connection.
constexpr size_t max_subject = 2'048;

struct feed_options {
  nats_link_options nats;
  std::string stream = "logs";
  name_sources names;
  bool demo = false;
};

void add_name_options(CLI::App& app, const std::string& what,
                      name_source& source) {
  app.add_option("--" + what, source.fixed, "The " + what + " of every line")
    ->check([](const std::string& name) {
      return valid_name(name) ? "" : "not a name";
    });
  app
    .add_option(
      "--" + what + "-field", source.fields,
      "Fields of a JSON line that may have it; the first match counts")
    ->delimiter(',')
    ->capture_default_str();
}

class feed {
public:
  feed(feed_options options, const stop_signal& stop)
    : options_(std::move(options)), stop_(stop),
      publisher_(options_.nats, stop) {
    // nop
  }

  /// Publishes sample lines until the signal comes.
  void demo();

  /// Publishes the lines of standard input, to its end.
  void standard_input();

  /// Waits for the last acknowledgements, prints the totals and returns the
  /// exit code.
  int finish();

private:
  void publish(const workload& owner, std::string line);

  void publish(std::string line);

  /// Waits for input; false when the signal arrives first.
  bool wait_for_input() const;

  const feed_options options_;
  const stop_signal& stop_;
  log_publisher publisher_;
  line_splitter splitter_;
  uint64_t lines_ = 0;
  uint64_t nameless_ = 0;
  uint64_t abandoned_ = 0;
  bool read_error_ = false;
};

void feed::publish(const workload& owner, std::string line) {
  auto subject = nats::subjects::log_subject(
    options_.stream, owner.cluster_id, owner.namespace_name, owner.deployment);
  if (subject.size() > max_subject)
    ++nameless_;
  else if (!publisher_.publish(std::move(subject), std::move(line)))
    ++abandoned_;
}

void feed::publish(std::string line) {
  ++lines_;
  if (auto owner = owner_of(line, options_.names))
    publish(*owner, std::move(line));
  else
    ++nameless_;
}

void feed::demo() {
  sample_logs samples;
  log::info(component, "publishes generated log lines of three clusters");
  while (!stop_.wait(25ms)) {
    auto [owner, text] = samples.next();
    ++lines_;
    publish(owner, std::move(text));
  }
}

bool feed::wait_for_input() const {
  std::array pollers = {pollfd{STDIN_FILENO, POLLIN, 0},
                        pollfd{stop_.fd(), POLLIN, 0}};
  while (poll(pollers.data(), pollers.size(), -1) < 0)
    if (errno != EINTR)
      return false;
  return pollers[1].revents == 0;
}

void feed::standard_input() {
  auto publish_line = [this](std::string line) { publish(std::move(line)); };
  std::array<char, 64 * 1024> buffer;
  while (wait_for_input()) {
    auto size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN))
      continue;
    read_error_ = size < 0;
    if (size <= 0)
      break;
    splitter_.feed({buffer.data(), static_cast<size_t>(size)}, publish_line);
  }
  splitter_.finish(publish_line);
}

int feed::finish() {
  publisher_.flush();
  auto lost = publisher_.refused() + publisher_.pending() + abandoned_;
  std::cerr << "log_feed: " << lines_ << " lines, " << publisher_.stored()
            << " stored, " << lost << " not stored, " << nameless_
            << " without usable names, " << splitter_.cut() << " cut to "
            << line_splitter::max_line / 1024 << " KiB"
            << (read_error_ ? ", reading standard input failed" : "") << '\n';
  return lost + nameless_ > 0 || read_error_ ? 1 : 0;
}

int run(int argc, char** argv) {
  feed_options options;
  CLI::App app{"Publishes log lines into the stream that the gateway counts, "
               "one message per\nline: those of standard input, or generated "
               "ones with --demo. Lines are JSON objects\nwith the names of "
               "cluster, namespace and deployment, as `journalctl -o json` "
               "and\nlog shippers write them. A name given as an option "
               "applies to every line; with all\nthree the lines may be any "
               "text."};
  app.set_version_flag("--version", "log_feed " AIOPS_GATEWAY_VERSION);
  options.nats.add_to(app);
  app
    .add_option("--stream", options.stream,
                "Stream, and first token of its subjects")
    ->capture_default_str();
  add_name_options(app, "cluster", options.names.cluster);
  add_name_options(app, "namespace", options.names.namespace_name);
  add_name_options(app, "deployment", options.names.deployment);
  app.add_flag("--demo", options.demo, "Publish generated lines without end");
  app.footer("Exit codes: 0 when every line was stored, 1 when one was not, "
             "2 for an invalid\ncommand line.");
  CLI11_PARSE(app, argc, argv);
  stop_signal stop;
  auto demo = options.demo;
  feed lines{std::move(options), stop};
  if (!demo) {
    lines.standard_input();
    return lines.finish();
  }
  // The last lines of a demonstration do not matter.
  lines.demo();
  lines.finish();
  return 0;
}

} // namespace

} // namespace aiops::tools

int main(int argc, char** argv) {
  return aiops::tools::run(argc, argv);
}
