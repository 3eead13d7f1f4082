#include "base/log.hpp"
#include "tools/misbehaviour.hpp"
#include "tools/nats_link.hpp"
#include "tools/progress_channel.hpp"
#include "tools/simulated_training.hpp"

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <sstream>
#include <thread>

#include <unistd.h>

/// @file
/// A training backend that only simulates trainings. It implements both
/// protocols, and reports progress that depends only on the clock.

namespace aiops::tools {

namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr auto component = "training_sim";

/// Where a gateway with the protocol `kv` stores what to train.
constexpr auto parameters_bucket = "model-training-parameters";
constexpr auto parameters_key = "modelTrainingParameters";

struct sim_options {
  nats_link_options nats;
  backend_protocol protocol = backend_protocol::request_reply;
  bool report_by_nats = false;
  std::string gateway_url = "http://127.0.0.1:11080";
  int64_t duration = 30'000;
  int64_t report_interval = 1'000;
  std::filesystem::path state_file;
  std::vector<fault> misbehaviour;
  int64_t slow_by = 10'000;
};

/// Replaces a file in one step: a reader sees the old or the new text.
bool write_atomically(const std::filesystem::path& file,
                      const std::string& text) {
  auto fresh = file;
  fresh += ".new";
  std::ofstream out{fresh, std::ios::trunc};
  out << text << std::flush;
  out.close();
  std::error_code err;
  if (out)
    std::filesystem::rename(fresh, file, err);
  return out && !err;
}

class simulator {
public:
  explicit simulator(sim_options options)
    : options_(std::move(options)),
      faults_(options_.misbehaviour.begin(), options_.misbehaviour.end()),
      job_(milliseconds{options_.duration}, options_.protocol),
      link_(options_.nats, component) {
    load();
  }

  /// Answers requests until the signal arrives.
  void serve(const stop_signal& stop);

  /// Reports the progress to the gateway; never returns.
  void report();

private:
  static void on_message(natsConnection*, natsSubscription*, natsMsg* msg,
                         void* self) {
    static_cast<simulator*>(self)->answer(msg);
    natsMsg_Destroy(msg);
  }

  void answer(natsMsg* msg);

  std::string reply_to(std::string_view subject, std::string_view payload);

  std::string train(std::string_view payload);

  bool subscribe();

  void unsubscribe();

  /// Takes the watchlist from the store if none was submitted yet.
  void read_parameters();

  void log_gpus(httplib::Client& gateway);

  /// Sends the current progress and returns the pause before the next report.
  milliseconds report_once(progress_channel& channel);

  /// Sends all of them; false when the first one has to be sent again.
  bool send(progress_channel& channel, const planned_reports& reports);

  bool has(fault what) const {
    return faults_.contains(what);
  }

  void load();

  void save();

  const sim_options options_;
  const faults faults_;
  std::mutex mutex_;
  std::condition_variable changed_;
  simulated_training job_;
  nats_link link_;
  std::vector<natsSubscription*> subscriptions_;
  // Used by the reporting thread only.
  milliseconds back_off_{0};
  int64_t reports_ = 0;
  system_clock::time_point announced_;
};

void simulator::load() {
  std::ifstream in{options_.state_file};
  if (!in)
    return;
  std::stringstream text;
  text << in.rdbuf();
  if (job_.load(text.str()))
    log::info(component, "continues from its state file",
              {{"state", job_.status()}});
  else
    log::warning(component, "ignores an unreadable state file",
                 {{"file", options_.state_file.string()}});
}

void simulator::save() {
  if (!options_.state_file.empty()
      && !write_atomically(options_.state_file, job_.save()))
    log::warning(component, "cannot write its state file",
                 {{"file", options_.state_file.string()}});
}

// -- NATS ---------------------------------------------------------------------

std::string simulator::train(std::string_view payload) {
  auto reply = job_.submit(payload, system_clock::now());
  save();
  changed_.notify_all();
  log::info(component, "got a watchlist",
            {{"workloads", payload.substr(0, 500)}, {"reply", reply}});
  return reply;
}

std::string simulator::reply_to(std::string_view subject,
                                std::string_view payload) {
  std::lock_guard guard{mutex_};
  if (subject == "train_model")
    return train(payload);
  if (subject == "model_status")
    return job_.status();
  if (subject == "workload_parameters")
    return job_.watchlist();
  return "running";
}

void simulator::answer(natsMsg* msg) {
  if (natsMsg_GetReply(msg) == nullptr || has(fault::silent))
    return;
  if (has(fault::slow))
    std::this_thread::sleep_for(milliseconds{options_.slow_by});
  auto size = static_cast<size_t>(natsMsg_GetDataLength(msg));
  auto reply = has(fault::rubbish) ? std::string{"\xff\xfe{{{\0rubbish", 13}
                                   : reply_to(natsMsg_GetSubject(msg),
                                              {natsMsg_GetData(msg), size});
  natsConnection_Publish(link_.get(), natsMsg_GetReply(msg), reply.data(),
                         static_cast<int>(reply.size()));
}

bool simulator::subscribe() {
  auto subjects = std::vector{"train_model", "gpu_service_running"};
  if (options_.protocol == backend_protocol::request_reply)
    subjects.insert(subjects.end(), {"model_status", "workload_parameters"});
  for (auto subject : subjects) {
    natsSubscription* sub = nullptr;
    if (natsConnection_Subscribe(&sub, link_.get(), subject, on_message, this)
        != NATS_OK)
      return false;
    subscriptions_.push_back(sub);
  }
  return natsConnection_FlushTimeout(link_.get(), 2'000) == NATS_OK;
}

void simulator::unsubscribe() {
  for (auto* sub : subscriptions_)
    natsSubscription_Destroy(sub);
  subscriptions_.clear();
}

void simulator::read_parameters() {
  {
    std::lock_guard guard{mutex_};
    if (options_.protocol != backend_protocol::kv || !job_.fresh())
      return;
  }
  jsCtx* context = nullptr;
  kvStore* bucket = nullptr;
  kvEntry* entry = nullptr;
  std::string found;
  if (natsConnection_JetStream(&context, link_.get(), nullptr) == NATS_OK
      && js_KeyValue(&bucket, context, parameters_bucket) == NATS_OK
      && kvStore_Get(&entry, bucket, parameters_key) == NATS_OK)
    found = kvEntry_ValueString(entry);
  kvEntry_Destroy(entry);
  kvStore_Destroy(bucket);
  jsCtx_Destroy(context);
  std::lock_guard guard{mutex_};
  if (!found.empty() && job_.fresh()) {
    log::info(component, "uses the watchlist in the store");
    train(found);
  }
}

void simulator::serve(const stop_signal& stop) {
  for (auto wait = milliseconds{0}; !stop.wait(wait);) {
    wait = milliseconds{100};
    if (link_.connected())
      continue;
    unsubscribe();
    if (!link_.connect() || !subscribe()) {
      link_.close();
      continue;
    }
    read_parameters();
    log::info(component, "is ready for training requests, and only "
                         "simulates trainings");
  }
}

// -- progress -----------------------------------------------------------------

void simulator::log_gpus(httplib::Client& gateway) {
  auto response = gateway.Get("/ModelTraining/gpu_info");
  if (response && response->status == 200)
    log::info(component, "would train on these GPUs",
              {{"gpus", response->body.substr(0, 500)}});
  else
    log::warning(component,
                 "could not get the GPUs from the gateway, continues",
                 {{"gateway", options_.gateway_url}});
}

bool simulator::send(progress_channel& channel,
                     const planned_reports& reports) {
  auto done = true;
  for (auto& body : reports.bodies) {
    auto result = channel.send(body);
    if (&body == &reports.bodies.front())
      done = result.what != outcome::lost;
    if (result.what == outcome::stored)
      log::info(component, "reported progress", {{"report", body}});
    else if (result.what == outcome::refused || back_off_ == milliseconds{0})
      log::warning(component,
                   result.what == outcome::refused
                     ? "was refused a report"
                     : "could not report progress, will try again",
                   {{"report", body}, {"reason", result.reason}});
  }
  return done;
}

milliseconds simulator::report_once(progress_channel& channel) {
  std::unique_lock lock{mutex_};
  auto now = system_clock::now();
  auto started = job_.started();
  auto due = job_.due(now);
  if (has(fault::die) && job_.done(now) >= 0.5) {
    log::info(component, "exits in the middle of the training");
    std::_Exit(1);
  }
  auto reports = plan_reports(job_, now, faults_,
                              milliseconds{options_.slow_by}, reports_++);
  lock.unlock();
  auto done = send(channel, reports);
  lock.lock();
  if (started != job_.started())
    return milliseconds{0};
  if (due) {
    job_.finish();
    if (done && reports.last)
      job_.reported();
    save();
  }
  if (done) {
    back_off_ = milliseconds{0};
    return milliseconds{options_.report_interval};
  }
  back_off_ = std::clamp(back_off_ * 2, milliseconds{100}, milliseconds{2'000});
  return back_off_;
}

void simulator::report() {
  auto gateway = make_client(options_.gateway_url);
  auto channel = options_.report_by_nats
                   ? progress_by_nats(options_.nats)
                   : progress_by_http(options_.gateway_url, options_.protocol);
  for (;;) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return job_.reporting(); });
    auto started = job_.started();
    lock.unlock();
    if (started != std::exchange(announced_, started))
      log_gpus(*gateway);
    auto pause = report_once(*channel);
    lock.lock();
    // Not later than the end, so that a short training ends on time.
    started = job_.started();
    auto end = started + milliseconds{options_.duration};
    auto until = system_clock::now() + pause;
    if (system_clock::now() < end)
      until = std::min(until, end);
    changed_.wait_until(lock, until, [&] { return job_.started() != started; });
  }
}

// -- command line --------------------------------------------------------------

int run(int argc, char** argv) {
  sim_options options;
  CLI::App app{"A training backend that only simulates trainings: it answers "
               "the gateway as a real\none does, and reports progress that "
               "depends only on the clock. For demonstrations\nand tests."};
  app.set_version_flag("--version", "training_sim " AIOPS_GATEWAY_VERSION);
  options.nats.add_to(app);
  app
    .add_option("--backend-protocol", options.protocol,
                "The protocol to speak, as the gateway does: `request-reply` "
                "(default) or `kv`")
    ->transform(CLI::CheckedTransformer(std::map<std::string, backend_protocol>{
      {"request-reply", backend_protocol::request_reply},
      {"kv", backend_protocol::kv}}));
  app
    .add_option("--report-by", options.report_by_nats,
                "How progress is reported: by `http` (default) or `nats`")
    ->transform(CLI::CheckedTransformer(
      std::map<std::string, bool>{{"http", false}, {"nats", true}}));
  app
    .add_option("--gateway-url", options.gateway_url,
                "Where progress is reported")
    ->capture_default_str();
  app
    .add_option("--duration", options.duration,
                "How long a training takes (30s)")
    ->transform(duration_units());
  app
    .add_option("--report-interval", options.report_interval,
                "How often progress is reported (1s)")
    ->transform(duration_units())
    ->check(CLI::PositiveNumber);
  app.add_option("--state-file", options.state_file,
                 "Keep watchlist and training in this file");
  app
    .add_option("--misbehave", options.misbehaviour,
                "For tests, a list: answer `rubbish`, never (`silent`) or late "
                "(`slow`); `die` in\nmid-training; report each progress twice "
                "(`repeat`), go `backwards`, be `late`,\nreport on an "
                "`older-job`, with `null-statistics`, all numbers as "
                "`strings`,\nor not the end (`lose-completion`)")
    ->delimiter(',')
    ->transform(CLI::CheckedTransformer(faults_by_name()));
  app
    .add_option("--slow-by", options.slow_by,
                "How late `slow` and `late` are (10s)")
    ->transform(duration_units());
  CLI11_PARSE(app, argc, argv);
  while (options.gateway_url.ends_with('/'))
    options.gateway_url.pop_back();
  if (!httplib::Client{options.gateway_url}.is_valid()) {
    std::cerr << "--gateway-url " << options.gateway_url
              << ": give a URL such as http://127.0.0.1:11080\n";
    return 2;
  }
  stop_signal stop;
  simulator sim{std::move(options)};
  std::thread{[&sim] { sim.report(); }}.detach();
  sim.serve(stop);
  log::info(component, "stops");
  // All lasting state is in the state file; the reporting thread may be waiting
  // for the gateway.
  std::_Exit(0);
}

} // namespace

} // namespace aiops::tools

int main(int argc, char** argv) {
  return aiops::tools::run(argc, argv);
}
