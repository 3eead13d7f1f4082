#pragma once

#include "actors/actors.hpp"
#include "base/error.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

/// @file
/// Stand-ins for the edges. A test says by a `script` a message what they do,
/// and looks there at what they were asked.

namespace aiops::test {

/// What a fake does with the requests of one kind.
template <class R, class... Args>
class script {
public:
  explicit script(R standard) : plan_(std::move(standard)) {
    // nop
  }

  // -- what to do from now on --------------------------------------------------

  void answer(R value) {
    plan_ = std::move(value);
  }

  void fail(ec code, std::string text = "scripted failure") {
    plan_ = make_error(code, std::move(text));
  }

  /// Stay silent and keep the requests for `release`.
  void hold() {
    plan_ = silence{};
  }

  /// Die of the next request, as from an exception.
  void crash() {
    plan_ = death{};
  }

  // -- what to do with those that were held ------------------------------------

  size_t held() const {
    return held_.size();
  }

  /// Answers the oldest request that was held.
  void release(R value) {
    pop().deliver(std::move(value));
  }

  void release_error(ec code, std::string text = "scripted failure") {
    pop().deliver(make_error(code, std::move(text)));
  }

  // -- what was asked ----------------------------------------------------------

  size_t calls() const {
    return calls_.size();
  }

  /// The arguments of the i-th request.
  const std::tuple<Args...>& call(size_t i) const {
    return calls_.at(i);
  }

  const std::tuple<Args...>& last() const {
    return calls_.back();
  }

  // -- for the fake ------------------------------------------------------------

  /// `caf::unit_t` stands for an answer without a value.
  using message = std::conditional_t<std::is_same_v<R, caf::unit_t>, void, R>;

  template <class Self>
  caf::result<message> operator()(Self* self, const Args&... args) {
    calls_.emplace_back(args...);
    if (std::holds_alternative<R>(plan_)) {
      if constexpr (std::is_same_v<R, caf::unit_t>)
        return caf::unit;
      else
        return std::get<R>(plan_);
    }
    if (std::holds_alternative<caf::error>(plan_))
      return std::get<caf::error>(plan_);
    if (std::holds_alternative<death>(plan_)) {
      self->quit(caf::make_error(caf::sec::runtime_error));
      return caf::make_error(caf::sec::runtime_error);
    }
    auto promise = self->make_response_promise();
    held_.push_back(promise);
    return promise;
  }

private:
  struct silence {};
  struct death {};

  caf::response_promise pop() {
    if (held_.empty())
      throw std::logic_error{"no request to release"};
    auto result = std::move(held_.front());
    held_.pop_front();
    return result;
  }

  std::variant<R, caf::error, silence, death> plan_;
  std::vector<std::tuple<Args...>> calls_;
  std::deque<caf::response_promise> held_;
};

/// The training backend: knows no watchlist and accepts everything.
struct backend_script {
  script<std::string, backend_submission, caf::timespan> train{
    "training job submitted"};
  script<backend_report> status{backend_report{"not started"}};
  script<workload_list> watchlist{workload_list{}};
  script<caf::unit_t> check{caf::unit};
  script<stored_model> stored{stored_model{}};
  script<caf::unit_t, model_status> put{caf::unit};
  script<caf::unit_t> forget{caf::unit};
  script<caf::unit_t, backend_submission, uint64_t> put_watchlist{caf::unit};
  /// What was asked, in order.
  std::vector<std::string> asked;
};

/// The store of jobs: like the real one, in memory. Several actors on one
/// script are several replicas on one store.
struct job_store_script {
  stored_book book;
  /// By number.
  std::map<uint64_t, training_job> history;
  /// Watchlists that were stored ahead or with a book, by id.
  std::map<std::string, shared_workloads> watchlists;
  uint64_t told = 0;
  std::vector<book_listener_actor> listeners;
  /// Every book that was stored, in order.
  std::vector<training_book> books;
  size_t reads = 0;
  /// Reads of the history, and of one job of it.
  size_t lists = 0;
  size_t finds = 0;
  /// Fails everything while it is set.
  caf::error down;
  /// Likewise, but only additions to the history, and only watchlists.
  caf::error history_down;
  caf::error watchlists_down;
  /// What the next write meets, once: an error that leaves it undone...
  caf::error refuse;
  /// ...or one although it is done.
  caf::error lose_answer;
  /// What another replica stores just after the write whose answer is lost.
  std::optional<training_book> overtake;
  /// What readers see instead of the book, as from an old copy of the store.
  std::optional<stored_book> stale;
  /// Whether listeners are left without word.
  bool quiet = false;

  /// Stores a book as another replica would.
  void store(training_book value);

  /// Tells everyone who subscribed.
  void publish() const;
};

/// Who keeps the book of jobs: an empty book, and every change changes nothing.
struct training_jobs_script {
  script<book_update, job_change> put{book_update{}};
  script<stored_book> forget{stored_book{}};
  script<stored_book> get{stored_book{}};
  script<snapshot_ptr<job_summaries>> list{make_snapshot(job_summaries{})};
  script<training_job, std::string> find{training_job{}};
  std::vector<book_listener_actor> listeners;

  /// Tells everyone who subscribed.
  void publish(const stored_book& book) const;
};

/// Who is told of a job that has ended.
struct job_hook_script {
  script<caf::unit_t, training_job> put{caf::unit};
};

/// The counts store: takes everything.
struct counts_store_script {
  script<stored_breakdown, breakdown_ptr> put{stored_breakdown{}};
  script<std::vector<history_point>> history{std::vector<history_point>{}};
  /// What all replicas were told to be wrong, in order.
  std::vector<std::string> failures;
  std::vector<breakdown_listener_actor> listeners;

  /// Tells everyone who subscribed.
  void publish(const stored_breakdown& counts) const;
};

struct lease_script {
  std::vector<lease_listener_actor> listeners;

  /// Tells everyone who subscribed.
  void publish(const lease_status& status) const;
};

struct log_source_script {
  script<breakdown_ptr> count{std::make_shared<const breakdown>()};
};

struct gpu_probe_script {
  script<gpu_list> get{gpu_list{}};
  script<std::vector<std::string>> classes{std::vector<std::string>{}};
};

/// The hub of events: takes everything, what is equal too, and has no
/// listeners.
struct events_script {
  std::vector<event_value> told;

  /// The last value, which has to be of that type.
  template <class T>
  const T& last() const {
    return std::get<snapshot_ptr<T>>(told.back())->value();
  }
};

using backend_script_ptr = std::shared_ptr<backend_script>;
using job_store_script_ptr = std::shared_ptr<job_store_script>;
using training_jobs_script_ptr = std::shared_ptr<training_jobs_script>;
using job_hook_script_ptr = std::shared_ptr<job_hook_script>;
using counts_store_script_ptr = std::shared_ptr<counts_store_script>;
using lease_script_ptr = std::shared_ptr<lease_script>;
using log_source_script_ptr = std::shared_ptr<log_source_script>;
using gpu_probe_script_ptr = std::shared_ptr<gpu_probe_script>;
using events_script_ptr = std::shared_ptr<events_script>;

backend_actor::behavior_type fake_backend(backend_actor::pointer self,
                                          backend_script_ptr script);

job_store_actor::behavior_type fake_job_store(job_store_actor::pointer self,
                                              job_store_script_ptr script);

training_jobs_actor::behavior_type
fake_training_jobs(training_jobs_actor::pointer self,
                   training_jobs_script_ptr script);

job_hook_actor::behavior_type fake_job_hook(job_hook_actor::pointer self,
                                            job_hook_script_ptr script);

counts_store_actor::behavior_type
fake_counts_store(counts_store_actor::pointer self,
                  counts_store_script_ptr script);

lease_actor::behavior_type fake_lease(lease_actor::pointer self,
                                      lease_script_ptr script);

log_source_actor::behavior_type fake_log_source(log_source_actor::pointer self,
                                                log_source_script_ptr script);

gpu_probe_actor::behavior_type fake_gpu_probe(gpu_probe_actor::pointer self,
                                              gpu_probe_script_ptr script);

events_actor::behavior_type fake_events(events_actor::pointer self,
                                        events_script_ptr script);

} // namespace aiops::test
