#include "base/log.hpp"
#include "host/demo.hpp"
#include "host/one_thread_scheduler.hpp"
#include "host/sd_notify.hpp"
#include "http/compat/ai_settings.hpp"
#include "http/route_handlers.hpp"
#include "http/server/server.hpp"
#include "nats/durability.hpp"
#include "nats/embedded_server.hpp"
#include "wiring.hpp"

#include <csignal>
#include <cstdio>
#include <iostream>
#include <optional>
#include <thread>

#include <unistd.h>

namespace {

using namespace aiops;
using namespace std::chrono_literals;

/// How long the actors may take to start before the server listens.
constexpr auto start_time = 1'000ms;

/// Interval of the checks for a signal meanwhile.
constexpr auto start_step = 50ms;

/// How long open requests may take when the gateway stops.
constexpr auto drain_time = 700ms;

/// The process exits after this time, even if a part of it has not stopped.
constexpr auto stop_time = 1'800ms;

/// How long an external NATS server may take to report how it stores the
/// bucket.
constexpr auto durability_patience = 500ms;

/// Signals that end the program; blocked everywhere and waited for in `main`.
sigset_t termination_signals() {
  sigset_t result;
  sigemptyset(&result);
  sigaddset(&result, SIGTERM);
  sigaddset(&result, SIGINT);
  return result;
}

/// Waits for one of these signals.
class termination {
public:
  /// Returns whether a signal has arrived, now or earlier.
  bool wait(std::chrono::milliseconds timeout) {
    auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
    timespec limit{seconds.count(),
                   std::chrono::nanoseconds{timeout - seconds}.count()};
    received_ = received_ || sigtimedwait(&signals_, nullptr, &limit) > 0;
    return received_;
  }

  void wait() {
    while (!wait(1h))
      ; // again
  }

private:
  sigset_t signals_ = termination_signals();
  bool received_ = false;
};

int fail(const std::string& problem) {
  log::error("aiops-gateway", problem);
  return 1;
}

/// Checks the content of files, which `validate` does not read.
std::string check_content(const gateway_config& config) {
  if (config.http.ai_settings.empty())
    return {};
  auto settings = http::load_ai_settings(config.http.ai_settings);
  if (settings)
    return {};
  return "--ai-settings: " + text_of(settings.error())
         + "; give a file with one JSON object";
}

/// Why the gateway has to exit; empty unless it has to. @thread-safe
class fatal_reason {
public:
  void set(std::string reason) {
    {
      std::lock_guard guard{mutex_};
      reason_ = std::move(reason);
    }
    kill(getpid(), SIGTERM);
  }

  std::string get() const {
    std::lock_guard guard{mutex_};
    return reason_;
  }

private:
  mutable std::mutex mutex_;
  std::string reason_;
};

/// Exits after `stop_time`, even if a part of the process hangs.
void exit_after_stop_time(int exit_code) {
  std::thread{[exit_code] {
    std::this_thread::sleep_for(stop_time);
    log::warning("aiops-gateway", "did not stop in time, exits anyway");
    _exit(exit_code);
  }}.detach();
}

int run(gateway_config config) {
  termination stop;
  nats::embedded_server embedded;
  caf::actor_system_config caf_config;
  // No actor on it blocks, and a message between two actors on one thread costs
  // a microsecond: waking a second one costs a hundred times as much
  // (docs/decisions/0004-submission-latency.md).
  host::one_thread_scheduler::use(caf_config);
  caf::actor_system system{caf_config};
  directory actors;
  auto own_server = config.nats.embedded();
  http::http_context context{&system, &actors, config.deadlines.all()};
  if (own_server)
    context.storage_problem = [&] { return embedded.problem(); };
  context.durability = [&, own_server] {
    return own_server ? embedded.durability()
                      : nats::ask_durability(system, actors.get()->bus,
                                             durability_patience);
  };
  http::http_server server{config.http,
                           http::route_handlers(context, config.http)};
  if (auto port = server.bind(); !port)
    return fail(text_of(port.error()));
  auto demo_config = config;
  if (own_server) {
    auto interrupted = [&](auto timeout) { return stop.wait(timeout); };
    auto problem = embedded.start(config.state_dir, config.nats_server_program,
                                  interrupted);
    if (stop.wait(0ms))
      return 0;
    if (!problem.empty())
      return fail(problem);
    config.nats = embedded.connection();
  }
  fatal_reason reason;
  auto give_up = [&](std::string why) { reason.set(std::move(why)); };
  auto root = system.spawn(supervisor,
                           gateway_children(config,
                                            own_server ? &embedded : nullptr,
                                            &server.events(), give_up),
                           &actors, supervisor_config{}, give_up);
  // The first request after the server listens needs the actors.
  for (auto waited = 0ms; waited < start_time && !stop.wait(0ms);
       waited += start_step)
    if (actors.wait(start_step))
      break;
  server.start();
  auto where = "listening on http://" + server.address();
  // At every log level, because scripts wait for it.
  log::announce("http", where);
  host::notify_systemd("READY=1\nSTATUS=" + where);
  std::vector<std::unique_ptr<host::child_process>> demo;
  if (config.demo)
    demo = host::start_demo(demo_config, server.address());
  stop.wait();
  auto exit_code = reason.get().empty() ? 0 : 1;
  if (exit_code != 0)
    log::error("aiops-gateway", "cannot continue", {{"reason", reason.get()}});
  log::info("aiops-gateway", "stops");
  host::notify_systemd("STOPPING=1\nSTATUS=stopping");
  exit_after_stop_time(exit_code);
  demo.clear();
  server.stop(drain_time);
  caf::anon_send_exit(root, caf::exit_reason::user_shutdown);
  root = nullptr;
  system.await_all_actors_done();
  embedded.stop();
  std::cerr.flush();
  // Threads of the NATS library may still be running.
  _exit(exit_code);
}

} // namespace

int main(int argc, char** argv) {
  auto line = parse_command_line(argc, argv, check_content);
  if (line.print)
    std::cout << *line.print << std::flush;
  if (!line.problem.empty())
    std::cerr << "aiops-gateway: " << line.problem << '\n';
  if (line.print || !line.problem.empty())
    return line.exit_code;
  // Before the first thread, so that all threads inherit it.
  auto signals = termination_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  log::configure(line.config.logging.level, line.config.logging.format);
  return run(std::move(line.config));
}
