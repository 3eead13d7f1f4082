#include "tests/simulation/backend_model.hpp"

#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace aiops::simulation {

using namespace nats;

namespace {

using nlohmann::json;

constexpr size_t long_answer = 1'000;

constexpr std::string_view last_trained_key = "lastModelTrained";

std::string id_in(const std::string& parameters) {
  auto result = std::string{};
  auto object = parse_json(parameters);
  if (object.is_object())
    read_text(object, "uuid", result);
  return result;
}

} // namespace

std::string_view to_string(effect x) {
  constexpr std::string_view names[] = {"nothing", "refused", "trained",
                                        "updated", "reset"};
  return names[static_cast<size_t>(x)];
}

backend_model::backend_model(timeline& time, faults& what, network& net,
                             jetstream_model& store, const setup& config,
                             backend_observer& observer)
  : time_(time), faults_(what), net_(net), store_(store), config_(config),
    observer_(observer), random_(what.random(fault::backend_slow)) {
  // nop
}

void backend_model::start() {
  up_ = true;
  ++process_;
  serve();
  if (config_.protocol == backend_protocol::kv)
    read_parameters();
  else if (auto training = current())
    // The training starts again from the beginning.
    time_.after(config_.report_interval,
                [this, number = training->number] { report(number); });
}

void backend_model::serve() {
  auto asked = [this](size_t, auto& request, auto answer) {
    question(request, answer);
  };
  net_.serve(std::string{subjects::train_model},
             [this](size_t link, auto& request, auto answer) {
               take(link, request, answer);
             });
  if (config_.protocol == backend_protocol::kv) {
    net_.serve(std::string{subjects::gpu_service_running}, asked);
  } else {
    net_.serve(std::string{subjects::model_status}, asked);
    net_.serve(std::string{subjects::workload_parameters}, asked);
  }
}

void backend_model::crash(caf::timespan length, bool forgets) {
  if (!up_)
    return;
  up_ = false;
  auto process = ++process_;
  for (auto subject : {subjects::train_model, subjects::gpu_service_running,
                       subjects::model_status, subjects::workload_parameters})
    net_.serve(std::string{subject}, {});
  if (forgets) {
    end(truth::lost);
    workloads_.clear();
    job_.clear();
  } else if (config_.protocol == backend_protocol::kv) {
    end(truth::lost);
  }
  time_.after(length, [=, this] {
    if (process_ == process)
      start();
  });
}

void backend_model::heal() {
  if (!up_) {
    ++process_;
    start();
  }
}

void backend_model::read_parameters() {
  auto bucket = std::string{subjects::parameters_bucket};
  auto found = store_.find(bucket, std::string{subjects::parameters_key});
  if (!found)
    return;
  auto job = id_in(found->value);
  auto xs = decode_parameters(found->value);
  if (job.empty() || !xs)
    return;
  auto last = store_.find(bucket, std::string{last_trained_key});
  if (last && last->value == job) {
    workloads_ = std::move(*xs);
    job_ = job;
    return;
  }
  auto what = enter(job, std::move(*xs));
  observer_.on_received(job, what, false);
}

// -- submissions --------------------------------------------------------------

void backend_model::take(size_t link, const bus_request& request,
                         const answer_handler& answer) {
  auto kv = config_.protocol == backend_protocol::kv;
  auto job = kv ? id_in(request.payload) : job_of(link, request.payload);
  auto xs = kv ? decode_parameters(request.payload)
               : decode_workloads(request.payload);
  if (!xs)
    return answer("error: not a training request");
  caf::timespan wait = random_.between<milliseconds>(milliseconds{1},
                                                     milliseconds{300});
  if (faults_.happens(fault::backend_slow, request_kind::train))
    wait = random_.between<milliseconds>(milliseconds{100},
                                         config_.train_timeout * 3 / 2);
  // A watchlist that it found in the store is never refused.
  auto known = kv && job == job_;
  if (!known && faults_.happens(fault::backend_refuses, request_kind::train)) {
    observer_.on_received(job, effect::refused, true);
    time_.after(wait, [=, this] {
      observer_.on_answered(job, false);
      answer("error: no GPU can be had");
    });
    return;
  }
  auto silent = faults_.happens(fault::backend_silent, request_kind::train);
  if (silent && random_.chance(0.4)) {
    observer_.on_received(job, effect::none, true);
    return;
  }
  auto reset = xs->empty();
  auto act = [=, this, process = process_] {
    if (process_ != process)
      return;
    auto what = enter(job, *xs);
    observer_.on_received(job, what, true);
  };
  // Some enter it before they answer, some afterwards.
  auto before = random_.chance(0.7);
  if (before)
    act();
  ++busy_;
  time_.after(wait, [=, this, process = process_] {
    --busy_;
    if (process_ != process)
      return;
    if (!before)
      act();
    if (silent)
      return;
    if (faults_.happens(fault::backend_unreadable, request_kind::train))
      return answer(std::string(3, '\x01'));
    observer_.on_answered(job, true);
    std::string text = reset ? "model reset" : "training job submitted";
    // Some send long answers.
    if (trainings_.size() % 4 >= 2)
      text += std::string(long_answer, '"');
    answer(text);
  });
}

effect backend_model::enter(const std::string& job, workload_list xs) {
  auto action = action_for(workloads_, xs);
  auto empty = xs.empty();
  workloads_ = std::move(xs);
  job_ = job;
  if (empty) {
    end(truth::replaced);
    return effect::reset;
  }
  if (action != training_action::train)
    return effect::updated;
  begin(job);
  return effect::trained;
}

void backend_model::begin(const std::string& job) {
  end(truth::replaced);
  true_training next;
  next.number = static_cast<int64_t>(trainings_.size()) + 1;
  next.job = job;
  next.started = time_.now();
  next.length = config_.training_length;
  next.fails = faults_.happens(fault::training_fails);
  if (faults_.happens(fault::trainer_dies))
    next.silent_from = time_.now()
                       + random_.between<milliseconds>(milliseconds{0},
                                                       next.length);
  auto first = next.fails ? milliseconds{5} : config_.report_interval;
  trainings_.push_back(next);
  if (config_.protocol == backend_protocol::kv)
    store_.overwrite(std::string{subjects::parameters_bucket},
                     std::string{last_trained_key}, job);
  time_.after(random_.between<milliseconds>(milliseconds{1}, first),
              [this, number = next.number] { report(number); });
}

void backend_model::end(truth how) {
  if (auto training = current()) {
    training->state = how;
    training->ended = time_.now();
  }
}

void backend_model::train_unasked() {
  if (!up_)
    return;
  begin({});
}

true_training* backend_model::current() {
  if (trainings_.empty() || trainings_.back().state != truth::runs)
    return nullptr;
  return &trainings_.back();
}

const true_training* backend_model::running() const {
  if (trainings_.empty() || trainings_.back().state != truth::runs)
    return nullptr;
  return &trainings_.back();
}

const true_training* backend_model::find(int64_t number) const {
  if (number < 1 || number > static_cast<int64_t>(trainings_.size()))
    return nullptr;
  return &trainings_[static_cast<size_t>(number) - 1];
}

// -- questions ----------------------------------------------------------------

void backend_model::question(const bus_request& request,
                             const answer_handler& answer) {
  auto subject = request.subject;
  if (faults_.happens(fault::backend_silent, request_kind::question))
    return;
  caf::timespan wait = random_.between<microseconds>(microseconds{100},
                                                     milliseconds{20});
  if (faults_.happens(fault::backend_slow, request_kind::question))
    wait = random_.between<milliseconds>(milliseconds{50},
                                         config_.request_timeout * 3 / 2);
  time_.after(wait, [=, this, process = process_] {
    if (process_ != process)
      return;
    if (faults_.happens(fault::backend_unreadable, request_kind::question))
      return answer("");
    if (subject == subjects::model_status)
      answer(status());
    else if (subject == subjects::workload_parameters)
      answer(encode_workloads(workloads_));
    else
      answer("running");
  });
}

std::string backend_model::status() const {
  if (trainings_.empty() || workloads_.empty())
    return running() ? "training" : "not started";
  switch (trainings_.back().state) {
    case truth::runs:
      return "training";
    case truth::completed:
      return "completed";
    case truth::failed:
      return "training failed";
    default:
      return "not started";
  }
}

// -- progress -----------------------------------------------------------------

void backend_model::report(int64_t number) {
  auto training = current();
  if (!training || training->number != number || !up_)
    return;
  auto now = time_.now();
  if (training->silent_from && now >= *training->silent_from)
    return;
  sent_report next;
  next.epoch = number * epoch_base
               + static_cast<int64_t>(training->reports.size()) + 1;
  next.elapsed
    = std::chrono::duration_cast<seconds>(now - training->started).count();
  next.has_id = config_.progress_with_id && !training->job.empty();
  auto kv = config_.protocol == backend_protocol::kv;
  if (training->fails) {
    end(truth::failed);
    next.failed = next.has_statistics = kv;
    // In the other protocol, only the status shows it.
    if (kv)
      send(number, next, "training failed", 0);
    return;
  }
  auto part = std::chrono::duration<double>(now - training->started)
              / std::chrono::duration<double>(training->length);
  if (part >= 1) {
    end(truth::completed);
    next.completed = true;
    next.has_statistics = !kv;
    if (!faults_.happens(fault::completion_lost))
      send(number, next, "completed", 100);
    return;
  }
  send(number, next, "training", static_cast<int64_t>(part * 100));
  time_.after(config_.report_interval, [=, this] { report(number); });
}

void backend_model::send(int64_t number, sent_report what, std::string status,
                         int64_t percentage) {
  auto& training = trainings_[static_cast<size_t>(number) - 1];
  training.reports.push_back(what);
  auto body = encode(training, what, status, percentage);
  auto go = [=, this] {
    send_report(body, [=, this](ec code) {
      observer_.on_report_answered(*find(number), what, code);
    });
  };
  caf::timespan wait = random_.between<microseconds>(microseconds{100},
                                                     milliseconds{5});
  if (faults_.happens(fault::progress_late))
    wait = random_.between<milliseconds>(milliseconds{100}, seconds{10});
  time_.after(wait, go);
  if (faults_.happens(fault::progress_repeated))
    time_.after(random_.between<milliseconds>(milliseconds{1}, seconds{5}), go);
}

std::string backend_model::encode(const true_training& which,
                                  const sent_report& what,
                                  const std::string& status,
                                  int64_t percentage) {
  auto number = [](int64_t x) { return json(std::to_string(x)); };
  auto left = std::chrono::duration_cast<seconds>(which.length).count()
              - what.elapsed;
  json numbers{{"timeElapsed", number(what.elapsed)},
               {"percentageCompleted", number(percentage)},
               {"remainingTime", number(std::max<int64_t>(left, 0))},
               {"currentEpoch", number(what.epoch)},
               {"modelAccuracy", 0.5},
               {"stage", percentage < 10 ? "fetching data" : "train"}};
  if (faults_.happens(fault::progress_invalid))
    switch (random_.below(3)) {
      case 0:
        numbers["percentageCompleted"] = 250;
        break;
      case 1:
        numbers["remainingTime"] = -7;
        break;
      default:
        numbers["modelAccuracy"] = "NaN";
    }
  json body;
  if (config_.protocol == backend_protocol::kv) {
    body["status"] = status;
    body["statistics"] = what.has_statistics ? std::move(numbers) : json{};
  } else {
    body = std::move(numbers);
  }
  if (what.has_id)
    body["uuid"] = which.job;
  return dump_json(body);
}

} // namespace aiops::simulation
